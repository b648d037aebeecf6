"""The exercise on choosing layers by name."""

from __future__ import annotations

from fnmatch import fnmatchcase
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
            f"This matches in {_in_words(blocks)}. Only the last two are asked for, numbers 4 and "
            "5, since counting starts at 0. A pattern like [45] means 4 or 5."
        )
    if blocks != ["4", "5"] and "6" in str(answer):
        raise Wrong("Counting starts at 0: there is no block 6, the last of six is number 5.")
    if blocks != ["4", "5"]:
        raise Wrong(f"This matches in block {blocks[0]} only; [45] in a pattern means 4 or 5.")
    if found != wanted:
        raise Wrong(
            f"{len(found)} layers match, 8 are asked for: query, key, value and out, in two blocks."
        )


def _in_words(blocks: list[str]) -> str:
    return f"block {blocks[0]}" if len(blocks) == 1 else f"the blocks {', '.join(blocks)}"


class _Llama(nn.Module):
    """The names of a model of Llama's kind with two blocks, on layers of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.layers = nn.ModuleList(nn.Module() for _ in range(2))
        for block in self.model.layers:
            block.self_attn, block.mlp = nn.Module(), nn.Module()
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                setattr(block.self_attn, name, nn.Linear(1, 1))
            for name in ("gate_proj", "up_proj", "down_proj"):
                setattr(block.mlp, name, nn.Linear(1, 1))
        self.lm_head = nn.Linear(1, 1)


@exercise("08.targets", praise="Seven layers a block, 210 in all, and the head stays out.")
def llama_targets(answer: Any) -> None:
    """Judges targets for all linear layers in the blocks of a model of Llama's kind."""
    model = _Llama()
    try:
        found = find_targets(model, answer)
    except ValueError:
        if any(name in str(answer) for name in ("query", "fc_in", "blocks")):
            raise Wrong(
                "Those are the names in the course's own GPT. This model has others: read them "
                "in the table above."
            ) from None
        raise Wrong(
            "One of these matches no layer. A target is a whole name, its last part, or a "
            "pattern: 'q_proj' is enough for the queries of all blocks."
        ) from None
    if "lm_head" in found:
        raise Wrong(
            "This takes the head as well. Its matrix is also the table of embeddings, so leave it "
            "alone here."
        )
    inside = {name.split(".")[-1] for name in found}
    missing = [n for n in ("q_proj", "k_proj", "v_proj", "o_proj") if n not in inside]
    missing += [n for n in ("gate_proj", "up_proj", "down_proj") if n not in inside]
    if missing:
        raise Wrong(f"Not all kinds are in it yet: {', '.join(missing)} would stay as they are.")
    if len(found) != 14:
        raise Wrong("Not every block is in it. 'q_proj' alone, without a path, means all blocks.")


def _no_match(model: nn.Module, patterns: list[str]) -> str:
    """Says what is wrong with the first pattern that matches nothing."""
    if any(mark in str(patterns) for mark in "(\\"):
        return "That is a regular expression. Shell patterns know *, ? and [45] only."
    unmatched = next((pattern for pattern in patterns if not _matches(model, pattern)), "")
    if unmatched.startswith("blocks.6"):
        return "There is no block 6: counting starts at 0, and the last of six is number 5."
    if "{" in unmatched:
        return "Braces are not known here. [45] in a pattern means 4 or 5."
    if ":" in unmatched:
        return "A slice such as [-2:] is not known here. [45] in a pattern means 4 or 5."
    if any(fnmatchcase(f".{name}", f"*.{unmatched}") for name, _ in model.named_modules()):
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
