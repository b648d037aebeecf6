"""Slot errors: a sentence that says its meaning has none, and each kind of mistake counts once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_edu.datasets.sets import load_menu, parse_meaning
from lora_edu.tasks.slots import (
    SlotErrors,
    e2e_patterns,
    menu_patterns,
    said_slots,
    slot_error_rate,
    slot_errors,
    unmentioned,
)

MENU = load_menu()
TEST = st.sampled_from(MENU.test)
E2E = e2e_patterns(
    [
        "name[Blue Spice], near[Raja Indian Cuisine]",
        "name[The Rice Boat], near[Café Rouge]",
        "name[The Mill], near[The Rice Boat]",
    ]
)


def meaning_of(slots: dict[str, str]) -> str:
    return ", ".join(f"{slot}[{value}]" for slot, value in slots.items())


@pytest.mark.parametrize("part", MENU._fields)
def test_bundled_sentences_say_their_meanings(part: str) -> None:
    for pair in getattr(MENU, part):
        slots = len(parse_meaning(pair.meaning))
        for sentence in pair.references or (pair.sentence,):
            errors = slot_errors(pair.meaning, sentence, menu_patterns())
            assert errors == SlotErrors(slots, 0, 0, 0), sentence


@given(TEST, st.data())
def test_a_slot_that_was_not_meant_is_added(pair, data) -> None:  # noqa: ANN001
    slots = parse_meaning(pair.meaning)
    del slots[data.draw(st.sampled_from(sorted(slots)))]
    errors = slot_errors(meaning_of(slots), pair.sentence, menu_patterns())
    assert errors == SlotErrors(len(slots), 0, 0, 1)


@given(TEST, st.data())
def test_a_slot_that_is_not_said_is_missing(pair, data) -> None:  # noqa: ANN001
    slots = parse_meaning(pair.meaning)
    more = data.draw(st.sampled_from(sorted(menu_patterns().keys() - slots.keys())))
    slots[more] = next(iter(menu_patterns()[more]))
    errors = slot_errors(meaning_of(slots), pair.sentence, menu_patterns())
    assert errors == SlotErrors(len(slots), 1, 0, 0)


@given(TEST, st.data())
def test_a_slot_with_another_value_is_wrong_and_nothing_else(pair, data) -> None:  # noqa: ANN001
    slots = parse_meaning(pair.meaning)
    slot = data.draw(st.sampled_from(sorted(slots)))
    slots[slot] = next(value for value in menu_patterns()[slot] if value != slots[slot])
    errors = slot_errors(meaning_of(slots), pair.sentence, menu_patterns())
    assert errors == SlotErrors(len(slots), 0, 1, 0)


def test_an_empty_sentence_misses_everything() -> None:
    assert slot_errors("name[Old Oak], price[cheap]", "", menu_patterns()).missing == 2


def test_both_values_of_a_slot_are_one_right_and_one_added() -> None:
    sentence = "Old Oak is cheap. It costs a lot."
    assert slot_errors("name[Old Oak], price[cheap]", sentence, menu_patterns()) == (2, 0, 0, 1)


def test_a_phrase_inside_a_longer_word_is_not_said() -> None:
    assert said_slots("Old Oaks is a place.", menu_patterns()) == {}


@pytest.mark.parametrize(
    ("sentence", "slot", "values"),
    [
        ("It is family-friendly.", "familyFriendly", {"yes"}),
        ("Children are welcome.", "familyFriendly", {"yes"}),
        ("It is not family friendly.", "familyFriendly", {"no"}),
        ("It's not a good place for kids.", "familyFriendly", {"no"}),
        ("It is not suitable for families with children.", "familyFriendly", {"no"}),
        ("Children are not allowed.", "familyFriendly", {"no"}),
        ("A non-child-friendly pub.", "familyFriendly", {"no"}),
        ("It is adults only.", "familyFriendly", {"no"}),
        ("Prices are under £20.", "priceRange", {"cheap"}),
        ("It costs less than £20 a head.", "priceRange", {"cheap"}),
        ("It is inexpensive.", "priceRange", {"cheap"}),
        ("It has a high price range.", "priceRange", {"high"}),
        ("It is expensive.", "priceRange", {"high"}),
        ("The price range is more than £30.", "priceRange", {"high"}),
        ("Expect £20-25.", "priceRange", {"moderate"}),
        ("It is moderately priced.", "priceRange", {"moderate"}),
        ("With a rating of 3 out of 5 stars.", "customer rating", {"average"}),
        ("It is rated 5 out of 5.", "customer rating", {"high"}),
        ("It is a one star pub.", "customer rating", {"low"}),
        ("It has a low customer rating and high prices.", "customer rating", {"low"}),
        ("It has a low customer rating and high prices.", "priceRange", {"high"}),
        ("A highly rated place.", "customer rating", {"high"}),
        ("Find it by the river.", "area", {"riverside"}),
        ("In the center of the city.", "area", {"city centre"}),
        ("A coffee shop with fast-food.", "eatType", {"coffee shop"}),
        ("A coffee shop with fast-food.", "food", {"Fast food"}),
        ("Blue Spice serves British food.", "food", {"English"}),
    ],
)
def test_people_say_the_values_of_e2e_in_many_ways(
    sentence: str, slot: str, values: set[str]
) -> None:
    assert said_slots(sentence, E2E)[slot] == values


def test_a_name_says_nothing_but_itself() -> None:
    said = said_slots("Blue Spice is near the Raja Indian Cuisine and Cafe Rouge.", E2E)
    assert said == {"name": {"Blue Spice"}, "near": {"Raja Indian Cuisine", "Café Rouge"}}


def test_a_name_that_stands_for_a_place_near_by_is_no_second_name() -> None:
    meaning, sentence = "name[The Mill], near[The Rice Boat]", "The Mill is near The Rice Boat."
    assert slot_errors(meaning, sentence, E2E) == (2, 0, 0, 0)


def test_every_place_may_be_called_a_restaurant() -> None:
    meaning = "name[The Mill], eatType[pub]"
    assert slot_errors(meaning, "The Mill is a restaurant and pub.", E2E) == (2, 0, 0, 0)
    assert slot_errors(meaning, "The Mill is a restaurant.", E2E) == (2, 1, 0, 0)
    meaning = "name[The Mill], eatType[restaurant]"
    assert slot_errors(meaning, "The Mill is a restaurant.", E2E) == (2, 0, 0, 0)


def test_values_that_people_use_for_one_another_are_the_same() -> None:
    meaning = "priceRange[less than £20], customer rating[1 out of 5]"
    assert slot_errors(meaning, "It is cheap and poorly rated.", E2E) == (2, 0, 0, 0)


def test_a_meaning_of_another_set_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no pattern for dish\[soup\], only for: none"):
        slot_errors("dish[soup]", "Soup.", E2E)
    with pytest.raises(ValueError, match=r"no pattern for price\[£1\], only for: cheap, fair"):
        slot_errors("price[£1]", "It is cheap.", menu_patterns())


def test_the_rate_is_all_errors_over_all_slots() -> None:
    assert slot_error_rate([SlotErrors(3, 1, 1, 0), SlotErrors(5, 0, 0, 2)]) == 4 / 8
    with pytest.raises(ValueError, match="at least one slot"):
        slot_error_rate([])


def test_a_value_is_mentioned_where_its_own_words_are():
    meaning = "name[Old Oak], price[fair], near[the river], children[no]"
    assert unmentioned(meaning, "The price of OLD OAK is Fair.") == [False, False, True]
