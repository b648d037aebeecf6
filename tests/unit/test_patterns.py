"""PEFT's patterns mean what Python's `re` says they mean, and none takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.patterns import matches_pattern, pattern_of

SINGLES = [
    "a",
    "b",
    "1",
    "_",
    "-",
    ".",
    r"\.",
    r"\d",
    r"\w",
    r"\D",
    "[ab]",
    "[^a.]",
    "[]a]",
    "[0-9]",
]
ENDS = ["^", "$"]
QUANTIFIERS = ["*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?", "+?", "{0}"]
patterns = st.recursive(
    st.sampled_from(SINGLES + ENDS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join),
        st.tuples(st.sampled_from(["({})", "(?:{})"]), inner).map(lambda t: t[0].format(t[1])),
        st.tuples(inner, st.sampled_from(QUANTIFIERS)).map(lambda t: f"({t[0]}){t[1]}"),
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(pattern=patterns, names=st.lists(st.text("ab1_-.", max_size=8), min_size=4, max_size=4))
def test_a_pattern_matches_what_pefts_regular_expression_does(pattern, names):
    for name in names:
        theirs = re.match(rf"(.*\.)?({pattern})$", name)  # PEFT 0.21, get_pattern_key
        assert matches_pattern(pattern, name) == bool(theirs), (pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("q_proj", "model.layers.0.q_proj", True),
        ("proj", "model.layers.0.q_proj", False),
        ("q_proj", "q_proj", True),
        ("q_proj", "model.q_proj.x", False),
        ("layers.1.q", "model.layers.1.q", True),
        ("layers.1.q", "model.layers.11.q", False),
        ("h.1", "hx1", True),  # a dot is any character, in PEFT too
        (r".*\.(q|v)_proj", "model.layers.3.v_proj", True),
        (r"layers\.(1[0-9]|2)\..*", "model.layers.12.k_proj", True),
        (r"^model\.layers\.0\.q", "x.model.layers.0.q", False),
        ("", "a.", True),
        ("(q)?", "qq", False),
        ("q{2,2}", "qq", True),
        ("(X)", "X", True),
    ],
)
def test_names_and_ends_of_names(pattern, name, wanted):
    assert matches_pattern(pattern, name) is wanted
    assert bool(re.match(rf"(.*\.)?({pattern})$", name)) is wanted


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a*)*(a*)*(a*)*b", "(.*.*.*.*.*.*)x", "(a|aa)+b"])
def test_a_pattern_that_keeps_re_busy_for_ever_is_answered_at_once(pattern):
    begun = time.perf_counter()
    assert not matches_pattern(pattern, "a" * 1_000)
    assert time.perf_counter() - begun < 10  # Python's re takes longer than anyone can wait


@pytest.mark.parametrize(
    "pattern",
    ["(?=q)q", "(?!k)q", r"(a)\1", r"\bq", "(?i)q", "(?P<x>q)", "q++", "(q", "q)", "*q", "[z-a]"]
    + ["q{3,1}", "((q{99}){99}){9}", "(" * 60 + "q" + ")" * 60, "q*" * 501, "[q", r"\x41", "q\\"],
)
def test_what_is_not_read_is_refused(pattern):
    with pytest.raises(AdapterError):
        matches_pattern(pattern, "q")


@pytest.mark.parametrize("before", ["", "(a)(b)"], ids=repr)
def test_groups_are_read_to_a_depth_of_49_whatever_stands_before(before):
    deepest = "(" * 49 + "q" + ")" * 49
    assert matches_pattern(f"{before}{deepest}", re.sub("[()]", "", before) + "q")
    with pytest.raises(AdapterError, match="not evaluated"):
        matches_pattern(f"{before}({deepest})", "q")


def test_a_name_that_matches_no_other_is_its_own_pattern():
    assert pattern_of("blocks.0.fc", ("blocks.0.fc", "blocks.1.fc")) == "blocks.0.fc"


@given(st.lists(st.text("ab1.+*(|-", min_size=1, max_size=5), min_size=1, max_size=6, unique=True))
def test_each_layer_has_a_pattern_that_matches_no_other(names):
    for name in names:
        pattern = pattern_of(name, tuple(names))
        assert [other for other in names if matches_pattern(pattern, other)] == [name]
