"""Templates to text: `[a|b]` is a choice, `{slot}` a word not used in it so far."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def expand(template: str, slots: Mapping[str, Sequence[str]], dice: random.Random) -> str:
    """Fills a template; no word is used twice.

    Words may hold slots themselves. The first letter of each sentence is made a capital.

    Raises:
        KeyError: the template names a slot that is not in `slots`.
        ValueError: all words of a slot are used up.

    Example:
        >>> expand("my [red|red] {pet}.", {"pet": ["cat"]}, random.Random(0))
        'My red cat.'
    """
    used: set[str] = set()

    def word(match: re.Match[str]) -> str:
        left = [choice for choice in slots[match[1]] if choice not in used]
        if not left:
            raise ValueError(f"no word is left for {match[0]} in {template!r}")
        chosen = dice.choice(left)
        used.add(chosen)
        return chosen

    text = choose(template, dice)
    while "{" in text:
        text = re.sub(r"\{(\w+)\}", word, text)
    return tidy(text)


def choose(template: str, dice: random.Random) -> str:
    """Settles every `[a|b]`, the innermost first."""
    while choice := re.search(r"\[([^][]*)\]", template):
        chosen = dice.choice(choice[1].split("|"))
        template = template[: choice.start()] + chosen + template[choice.end() :]
    return template


def tidy(text: str) -> str:
    """One space between words, a capital at the start and after the end of a sentence.

    Example:
        >>> tidy("hi.  all is well")
        'Hi. All is well'
    """
    text = re.sub(r" +", " ", text).strip()
    return re.sub(r"((?:^|[.!?] )\"?)([a-z])", lambda match: match[1] + match[2].upper(), text)


def write_jsonl(path: Path, rows: Iterable[Mapping]) -> None:
    """Writes a row a line, UTF-8, line feeds on every system."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
