"""PEFT's patterns over names of layers, matched in bounded time.

`rank_pattern` and `alpha_pattern` give regular expressions, each for a whole name or the end of
one after a dot. A regular expression from a file can keep Python's `re` busy for ever: `(a+)+b`
doubles its work with each letter. So it is turned into states here, and a name is read character
by character, with all states that could have been reached so far at once. That takes no longer
than states × characters. Look-around, back references and flags cannot be read so: refused.

Source:
    PEFT 0.21, `utils/other.py`, `get_pattern_key`. K. Thompson 1968, "Regular expression search
    algorithm", Communications of the ACM 11(6), 419-422.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lora_edu.adapters.adapter import AdapterError

MAX_CHARACTERS = 1_000  # of one pattern
MAX_STATES = 10_000  # {m,n} repeats what is before it that often
_PLAIN = re.compile(r"[\w.]+", re.ASCII)
_QUANTIFIER = re.compile(r"[*+?]|\{(\d{1,4})\}|\{(\d{0,4}),(\d{0,4})\}", re.ASCII)
_SINGLE = re.compile(
    r"\\[dDsSwW]|\\[^a-zA-Z0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}|*+?^$]", re.S
)
# What a pattern consists of: ("one", token), ("end", "^" or "$"), ("all", parts), ("any", choices),
# ("repeat", part, least, most or None).
Part = tuple[Any, ...]


def matches_pattern(pattern: str, name: str) -> bool:
    r"""Whether PEFT gives a layer of this name the value of this pattern.

    Raises:
        AdapterError: the pattern is not a regular expression, or one that is not evaluated here.

    Example:
        >>> matches_pattern("q_proj", "layers.0.q_proj"), matches_pattern("proj", "layers.0.q_proj")
        (True, False)
        >>> matches_pattern(r"layers\.[01]\..*", "model.layers.1.q_proj")
        True
    """
    if _PLAIN.fullmatch(pattern):  # nearly all are: a name, where a dot may be any character
        rest, end = name[: -len(pattern)], name[-len(pattern) :]
        return (not rest or rest.endswith(".")) and re.fullmatch(pattern, end) is not None
    return _compiled(pattern).matches(name)


def pattern_of(name: str, others: tuple[str, ...]) -> str:
    """The pattern that matches a layer and none of the others: its name, if that is one.

    Example:
        >>> pattern_of("blocks.0.fc", ("blocks.1.fc",)), pattern_of("0", ("1.0",))
        ('blocks.0.fc', '^0$')
    """
    if _PLAIN.fullmatch(name) and not any(
        other != name and matches_pattern(name, other) for other in others
    ):
        return name
    return f"^{re.escape(name)}$"


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> _States:
    if len(pattern) > MAX_CHARACTERS:
        raise AdapterError(f"the pattern {pattern!r:.60} has more than {MAX_CHARACTERS} characters")
    states = _States()
    states.final = states.add(_Reader(pattern).read(), 0)
    return states


@dataclass
class _States:
    """States and where they lead: by one character that a token matches, or by none."""

    by_character: list[tuple[str, int] | None] = field(default_factory=lambda: [None])
    by_nothing: list[list[tuple[str, int]]] = field(default_factory=lambda: [[]])
    final: int = 0

    def new(self) -> int:
        """One more state."""
        if len(self.by_nothing) >= MAX_STATES:
            raise AdapterError(f"a pattern repeats too much: over {MAX_STATES} states")
        self.by_character.append(None)
        self.by_nothing.append([])
        return len(self.by_nothing) - 1

    def add(self, part: Part, start: int) -> int:
        """Adds a part behind a state; returns the state after it."""
        kind, *rest = part
        if kind == "all":
            for each in rest[0]:
                start = self.add(each, start)
            return start
        after = self.new()
        if kind == "one":
            begin = self.new()
            self.by_nothing[start].append(("", begin))
            self.by_character[begin] = (rest[0], after)
        elif kind == "end":
            self.by_nothing[start].append((rest[0], after))
        elif kind == "any":
            for each in rest[0]:
                begin = self.new()
                self.by_nothing[start].append(("", begin))
                self.by_nothing[self.add(each, begin)].append(("", after))
        else:
            self._repeat(*rest, start=start, after=after)
        return after

    def _repeat(self, part: Part, least: int, most: int | None, *, start: int, after: int) -> None:
        for _ in range(least):
            start = self.add(part, start)
        if most is None:
            loop = self.new()
            self.by_nothing[start].append(("", loop))
            self.by_nothing[self.add(part, loop)].append(("", loop))
            start = loop
        for _ in range(least, most or 0):
            self.by_nothing[start].append(("", after))
            start = self.add(part, start)
        self.by_nothing[start].append(("", after))

    def matches(self, name: str) -> bool:
        """Whether the final state can be reached by reading the whole name."""
        here = self._reached({0}, at_start=True, at_end=not name)
        for i, character in enumerate(name, 1):
            ways = (self.by_character[state] for state in here)
            there = {way[1] for way in ways if way and _is_one(way[0], character)}
            here = self._reached(there, at_start=False, at_end=i == len(name))
        return self.final in here

    def _reached(self, states: set[int], *, at_start: bool, at_end: bool) -> set[int]:
        open_if = {"": True, "^": at_start, "$": at_end}
        waiting, found = list(states), set(states)
        while waiting:
            for condition, state in self.by_nothing[waiting.pop()]:
                if open_if[condition] and state not in found:
                    found.add(state)
                    waiting.append(state)
        return found


@lru_cache(maxsize=10_000)
def _is_one(token: str, character: str) -> bool:
    """Whether one character is what a token means: a letter, a dot, or a class of characters."""
    return re.fullmatch(token, character) is not None


class _Reader:
    """Reads what PEFT makes of a pattern, from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.text = pattern, rf"(.*\.)?({pattern})$"
        self.at = self.depth = 0

    def read(self) -> Part:
        """The whole text as one part."""
        part = self._choices()
        if self.at < len(self.text):
            raise self._error()
        return part

    def _error(self) -> AdapterError:
        return AdapterError(
            f"the regular expression {self.pattern!r:.60} is not evaluated: it has "
            f"{self.text[self.at : self.at + 4]!r}, but only characters, classes, groups, |, *, +, "
            "?, {m,n}, ^ and $ are read; write one name for each layer"
        )

    def _next_is(self, start: str) -> bool:
        found = self.text.startswith(start, self.at)
        self.at += len(start) if found else 0
        return found

    def _choices(self) -> Part:
        choices = [self._sequence()]
        while self._next_is("|"):
            choices.append(self._sequence())
        return ("any", choices)

    def _sequence(self) -> Part:
        parts = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            part = self._one()
            if quantifier := _QUANTIFIER.match(self.text, self.at):
                part = self._repeated(part, quantifier)
            parts.append(part)
        return ("all", parts)

    def _one(self) -> Part:
        for end in "^$":
            if self._next_is(end):
                return ("end", end)
        if self._next_is("(?:") or (self.text[self.at + 1] != "?" and self._next_is("(")):
            self.depth += 1
            if self.depth > 50:
                raise self._error()
            part = self._choices()
            if not self._next_is(")"):
                raise self._error()
            self.depth -= 1
            return part
        if not (single := _SINGLE.match(self.text, self.at)):
            raise self._error()
        try:
            re.compile(single[0])
        except re.error:  # [z-a]
            raise self._error() from None
        self.at = single.end()
        return ("one", single[0])

    def _repeated(self, part: Part, quantifier: re.Match[str]) -> Part:
        self.at = quantifier.end()
        if self.text[self.at] == "+":  # never gives back what it took: another language
            raise self._error()
        self._next_is("?")  # as few as possible instead of as many: the same names match
        if quantifier[1]:
            return ("repeat", part, int(quantifier[1]), int(quantifier[1]))
        if quantifier[2] is not None:
            least, most = int(quantifier[2] or 0), int(quantifier[3]) if quantifier[3] else None
            if most is not None and most < least:
                raise self._error()
            return ("repeat", part, least, most)
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[quantifier[0]]
        return ("repeat", part, least, most)
