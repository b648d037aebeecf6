"""Does a sentence say its meaning? Slots that are missing, wrong or added, counted by patterns.

A meaning is a list of slots, `name[Old Oak], price[cheap]`. For each value of each slot there is a
pattern: a regular expression for the words that say it. The rule of matching:

- Case and accents do not count, and a phrase must stand there as whole words.
- Names (the slots `name` and `near`) are looked for first and taken out of the sentence, so that
  "Raja Indian Cuisine" is no Indian food. What is left is searched for the other slots.
- Within a slot, what one value has matched is taken out before the next value is tried:
  "not family-friendly" is a no, and leaves nothing that could be taken for a yes.
- A slot whose value is said is right, whatever else is said. One of which only another value is
  said is *wrong*; one of which nothing is said is *missing*. Each further value is *added*.

Source:
    Wen et al. 2015, arXiv:1508.01745, section 3.4: the error rate, missing and redundant slots over
    all slots; Dušek, Howcroft and Rieser 2019, arXiv:1911.03905: counting them by patterns, and
    how many errors the people's own sentences in E2E have.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from lora_edu.datasets import parse_meaning
from lora_edu.files import data_path
from lora_edu.tasks.slot_words import E2E_SAME, E2E_WORDS

NAMES = ("name", "near")  # slots whose values are proper names
Patterns = Mapping[str, Mapping[str, re.Pattern[str]]]


class SlotErrors(NamedTuple):
    """How many slots a meaning has, and how many of them a sentence gets wrong, and how.

    Example:
        >>> SlotErrors(4, missing=1, wrong=0, added=1).total
        2
    """

    meant: int
    missing: int
    wrong: int
    added: int

    @property
    def total(self) -> int:
        """All errors."""
        return self.missing + self.wrong + self.added


def said_slots(sentence: str, patterns: Patterns) -> dict[str, set[str]]:
    """Returns the values that a sentence says, for each slot of which it says any.

    Example:
        >>> said_slots("At OLD OAK you can drink mint tea.", menu_patterns())
        {'name': {'Old Oak'}, 'drink': {'mint tea'}}
    """
    said: dict[str, set[str]] = {}
    rest = whole = _plain(sentence)
    for slot in [s for s in NAMES if s in patterns] + [s for s in patterns if s not in NAMES]:
        text = whole if slot in NAMES else rest
        for value, pattern in patterns[slot].items():
            text, count = pattern.subn(" _ ", text)
            if count:
                said.setdefault(slot, set()).add(value)
                if slot in NAMES:
                    rest = pattern.sub(" _ ", rest)
    return said


def slot_errors(meaning: str, sentence: str, patterns: Patterns) -> SlotErrors:
    """Compares what a sentence says with what it should say.

    Args:
        meaning: Slots with values, such as `dish[tomato soup], price[cheap]`.
        sentence: What was made of it.
        patterns: `menu_patterns()` or `e2e_patterns(…)`.

    Raises:
        ValueError: the meaning is malformed, or has a slot or value without a pattern.

    Example:
        >>> slot_errors("name[Old Oak], price[cheap]", "Old Oak costs a lot.", menu_patterns())
        SlotErrors(meant=2, missing=0, wrong=1, added=0)
    """
    meant = {slot: E2E_SAME.get((slot, v), v) for slot, v in parse_meaning(meaning).items()}
    for slot, value in meant.items():
        if value not in patterns.get(slot, {}):
            known = ", ".join(patterns.get(slot, {})) or "none"
            raise ValueError(
                f"there is no pattern for {slot}[{value}], only for: {known}; are these the "
                "patterns of another set?"
            )
    said = said_slots(sentence, patterns)
    missing = wrong = added = 0
    for slot in patterns:
        # A name may be meant by the other slot; and "restaurant" is what every place is called.
        others = {
            value
            for value in said.get(slot, set()) - {meant.get(slot)}
            if not (slot in NAMES and value in meant.values()) and value != "restaurant"
        }
        if slot in meant and meant[slot] not in said.get(slot, set()):
            wrong += bool(others)
            missing += not others
            added += max(0, len(others) - 1)
        else:
            added += len(others)
    return SlotErrors(len(meant), missing, wrong, added)


def unmentioned(meaning: str, sentence: str) -> list[bool]:
    """For each value that is written out, whether its own words are nowhere in the sentence.

    Another judge beside `slot_errors`, which knows certain wordings alone and so does not take "the
    price is fair" for a price. This one takes it, but not "low prices" for *cheap*. Values of yes
    and no are left out, and so is a *the* at the start of a value.

    Args:
        meaning: Slots with their values.
        sentence: What was written.

    Example:
        >>> unmentioned("price[fair], near[the river], children[no]", "The price is Fair.")
        [False, True]
    """
    values = [value for value in parse_meaning(meaning).values() if value not in ("yes", "no")]
    return [value.lower().removeprefix("the ") not in sentence.lower() for value in values]


def slot_error_rate(errors: Iterable[SlotErrors]) -> float:
    """All errors over all slots that were meant: 0 is perfect, and it can exceed 1.

    Raises:
        ValueError: no slot was meant.

    Example:
        >>> slot_error_rate([SlotErrors(4, 1, 0, 1), SlotErrors(6, 0, 0, 0)])
        0.2
    """
    errors = list(errors)
    meant = sum(error.meant for error in errors)
    if not meant:
        raise ValueError("errors must hold at least one slot that was meant, got none")
    return sum(error.total for error in errors) / meant


@cache
def menu_patterns() -> Patterns:
    """The patterns of the bundled menu set, from the lexicon that its sentences were made with."""
    lexicon = json.loads(data_path("menu", "lexicon.json").read_text(encoding="utf-8"))
    return {
        slot: {value: _any_of(map(re.escape, map(_plain, phrases))) for value, phrases in v.items()}
        for slot, v in lexicon.items()
    }


def e2e_patterns(meanings: Iterable[str]) -> Patterns:
    """The patterns of the real E2E set: names from its meanings, other slots from `slot_words`.

    Args:
        meanings: All whose names should be known; a name that is not among them is not noticed.

    Example:
        >>> patterns = e2e_patterns(["name[Blue Spice], near[Ranch]"])
        >>> said_slots("Blue Spice is not for kids.", patterns)["familyFriendly"]
        {'no'}
    """
    names: dict[str, set[str]] = {slot: set() for slot in NAMES}
    for meaning in meanings:
        for slot, value in parse_meaning(meaning).items():
            if slot in NAMES:
                names[slot].add(value)
    found = {
        # Longer names first: one may hold another.
        slot: {
            v: _any_of([re.escape(_plain(v))]) for v in sorted(values, key=lambda v: (-len(v), v))
        }
        for slot, values in names.items()
    }
    return found | {
        slot: {value: _any_of(phrases) for value, phrases in values.items()}
        for slot, values in E2E_WORDS.items()
    }


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)")


def _plain(text: str) -> str:
    """Lower case, without accents, with single spaces and one kind of quotation mark."""
    letters = unicodedata.normalize("NFKD", text.lower().replace("\u2019", "'"))
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())
