"""The exercise on choosing layers by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.trials import TINY
from lora_edu.gpt import GPT
from lora_edu.targets import find_targets


@exercise("03.targets", praise="8 layers: four projections in each of the last two blocks.")
def targets(answer: Any) -> None:
    """Judges targets for the four attention projections of the last two of six blocks."""
    model = GPT(TINY)
    wanted = find_targets(model, "blocks.[45].attention.*")
    try:
        found = find_targets(model, answer)
    except ValueError:
        raise Wrong(_no_match(model, [answer] if isinstance(answer, str) else answer)) from None
    blocks = sorted({name.split(".")[1] for name in found if name.startswith("blocks")})
    if others := [name for name in found if "attention" not in name]:
        whose = "the head does" if others == ["head"] else "the MLP's do"
        raise Wrong(
            f"{len(found)} layers match, and not all of them belong to attention: {whose} not."
        )
    if set(blocks) - {"4", "5"}:
        raise Wrong(
            f"This matches in the blocks {', '.join(blocks)}. Only the last two are asked for, "
            "numbers 4 and 5, since counting starts at 0."
        )
    if blocks != ["4", "5"] and "6" in str(answer):
        raise Wrong("Counting starts at 0: there is no block 6, the last of six is number 5.")
    if blocks != ["4", "5"]:
        raise Wrong(f"This matches in block {blocks[0]} only; [45] in a pattern means 4 or 5.")
    if found != wanted:
        raise Wrong(
            f"{len(found)} layers match, 8 are asked for: query, key, value and out, in two blocks."
        )


def _no_match(model: nn.Module, patterns: list[str]) -> str:
    """Says what is wrong with the first pattern that matches nothing."""
    if any(mark in str(patterns) for mark in "(\\"):
        return "That is a regular expression. Shell patterns know *, ? and [45] only."
    unmatched = next((pattern for pattern in patterns if not _matches(model, pattern)), "")
    if unmatched.startswith("blocks.6"):
        return "There is no block 6: counting starts at 0, and the last of six is number 5."
    if "{" in unmatched:
        return "Braces are not known here. [45] in a pattern means 4 or 5."
    if unmatched.endswith("attention"):
        return (
            f"{unmatched!r} is a group of layers, no layer. A target is a whole name, its last "
            "part, or a pattern: the layers in a group 'mlp' are 'mlp.*'."
        )
    return (
        f"{unmatched!r} matches no layer. Compare it with 'blocks.0.attention.query': a target is "
        "a whole name, its last part, or a pattern."
    )


def _matches(model: nn.Module, pattern: str) -> bool:
    try:
        return bool(find_targets(model, pattern))
    except ValueError:
        return False
