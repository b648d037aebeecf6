"""A notebook's minutes: what counts, what is on the marked path, and where it is written."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from lora_edu.tasks import claim_table, published_claims
from lora_edu.widgets.choosing import decision_tables
from scripts.notebook_format import to_notebook
from scripts.notebook_times import (
    FOLDED_HOW,
    SHOWN_WORDS,
    count_words,
    needed,
    path_minutes,
    sections,
    shown_minutes,
    with_times,
)


def words(number: int) -> str:
    return " ".join(["word"] * number)


def opening(text: str = "**Time:** {path} and {whole} minutes"):
    return new_markdown_cell(f"# Title\n\n{text}")


def test_words_lines_and_exercises_are_counted_by_section() -> None:
    cells = [
        new_markdown_cell(f"# Title\n{words(4)}\n## First\n{words(180)}"),
        new_code_cell("a = 1\n\nb = 2"),
        new_markdown_cell(f"{words(180)}\n## Second\nx"),
        new_code_cell("def f(): ...\n    return", metadata={"exercise": "99.f"}),
    ]
    start, first, second = sections(cells)
    assert (start.words, first.words, first.lines, first.exercises) == (5, 360, 2, 0)
    assert first.minutes == pytest.approx(2 + 2 / 12)
    assert (second.lines, second.exercises) == (0, 1)
    assert second.minutes == pytest.approx(4.5 + 1 / 180)


def test_a_heading_of_a_lower_level_opens_no_section() -> None:
    assert len(sections([new_markdown_cell("# T\n## A\n### B\ntext")])) == 2


def test_folded_code_takes_no_time() -> None:
    cells = [opening(), new_code_cell("# @title Draw\nx = 1")]
    assert sections(cells)[0].lines == 0


def test_code_formulas_tags_and_addresses_are_no_words() -> None:
    text = "`a b c` $x y$ $$\nz\n$$ <b>bold</b> [two words](http://a.b/c-d)\n```\ncode here\n```"
    assert count_words(text) == 3


def test_what_is_deeper_counts_for_the_whole_alone() -> None:
    text = f"## On it\n{words(180)}\n## Deeper: more\n{words(180)}"
    assert shown_minutes(sections([opening(), new_markdown_cell(text)])) == (1, 2)


@pytest.mark.parametrize("heading", ["Three sentences to remember", "Five questions", "Where next"])
def test_what_has_no_minutes_of_its_own_counts_for_neither(heading: str) -> None:
    text = f"## On it\n{words(180)}\n## {heading}\n{words(180)}"
    assert shown_minutes(sections([opening(), new_markdown_cell(text)])) == (1, 1)


def test_a_fold_out_does_not_count() -> None:
    folded = f"<details><summary>Hint</summary>\n{words(179)}\n</details>"
    found = sections([opening(), new_markdown_cell(f"## On it\n{words(360)}\n\n{folded}")])
    assert path_minutes(found[1:]) == 2
    assert shown_minutes(found) == (2, 2)


def test_minutes_are_written_beneath_headings_and_into_the_opening() -> None:
    cells = [
        opening(),
        new_markdown_cell(f"## Near\n{words(350)}"),
        new_markdown_cell(f"## Deeper: far\n{words(900)}\n## Three sentences to remember\n1. x"),
    ]
    with_times(cells)
    assert cells[0].source == "# Title\n\n**Time:** 2 and 7 minutes"  # the sums of those below
    assert cells[1].source.startswith("## Near\n\u25c6 *2 min*\n\nword")
    far, kept = cells[2].source.split("\n## ")
    minutes, _, text = far.partition("\n\n")
    assert minutes == f"## Deeper: far\n\u25c7 *5 min{FOLDED_HOW}*"
    assert text.startswith("word")
    assert kept == "Three sentences to remember\n1. x"


def test_the_first_folded_section_alone_says_how_it_opens() -> None:
    text = "## Near\nword\n## Deeper: far\nword\n## Deeper: farther\nword"
    cells = [opening(), new_markdown_cell(text)]
    with_times(cells)
    assert [FOLDED_HOW in part for part in cells[1].source.split("\n## ")] == [False, True, False]


def test_a_deeper_section_names_those_that_must_have_run_before_it() -> None:
    cells = [
        new_markdown_cell("# Title\n{path} {whole}\n## Near"),
        new_code_cell("x = 1"),
        new_markdown_cell("## Deeper: why so?"),
        new_code_cell("y = x\nx = 2"),
        new_markdown_cell("## Deeper: how?\n## Deeper: by itself"),
        new_code_cell("z = x + len([y for y in range(3)])"),
        new_markdown_cell("## Deeper: then\nword"),
        new_code_cell("def later():\n    return y\nw = later()"),
        new_markdown_cell("## Deeper: last"),
        new_code_cell("print(w, z)"),
    ]
    assert needed(cells) == {
        "Deeper: then": ["Deeper: why so?"],
        "Deeper: last": ["Deeper: why so?", "Deeper: by itself", "Deeper: then"],
    }
    with_times(cells)
    assert cells[6].source == "## Deeper: then\n\u25c7 *1 min. Run “Why so?” first.*\n\nword"
    assert cells[8].source.endswith("Run “Why so?”, “By itself” and “Then” first.*")


def test_what_an_exercise_needs_is_left_out() -> None:
    cells = [
        new_markdown_cell("## Deeper: one"),
        new_code_cell("y = 1"),
        new_markdown_cell("## Deeper: two"),
        new_code_cell("answer = y", metadata={"exercise": "99.a"}),
    ]
    assert needed(cells) == {}


def test_a_notebook_without_a_path_gets_its_whole_time_alone() -> None:
    cells = [opening("**Time:** {whole} min"), new_markdown_cell(f"## Near\n{words(360)}")]
    with_times(cells)
    assert cells[0].source.endswith("**Time:** 2 min")
    assert cells[1].source == f"## Near\n{words(360)}"


def test_both_versions_tell_the_same_time() -> None:
    source = """# %% [markdown]
# # Title
# {path} {whole}
#
# ## Try
# %% exercise="99.f"
# <solution>
# a = 1
# b = 2
# </solution>
# <student>
# a = ...
# </student>
"""
    told = ["# Title\n4 4", "## Try\n◆ *4 min*"]
    versions = [to_notebook(source, version, "x", "o/n") for version in ("student", "solution")]
    for version in versions:
        assert [cell.source for cell in version.cells[:2]] == told


FOLD = "<details>.*?</details>"


@pytest.mark.parametrize("shown", SHOWN_WORDS)
def test_text_that_a_cell_shows_is_counted(shown: str) -> None:
    found = sections([opening(), new_code_cell(f"import it\n\n{shown}"), new_code_cell("x")])
    assert found[0].words == sections([opening()])[0].words + SHOWN_WORDS[shown]


def test_the_words_that_a_cell_shows_are_those_that_are_not_folded() -> None:
    claims = published_claims({1: 1.0, 2: 1.0}, by_alpha=[1.0], by_rates=[1.0])
    unfolded = re.sub(FOLD, "", claim_table(claims)._repr_html_())
    texts = {
        "decision_tables()": re.sub(FOLD, "", decision_tables().text, flags=re.DOTALL),
        "claim_table(claims)": re.sub("<[^>]*>", " ", unfolded),
    }
    assert {shown: count_words(text) for shown, text in texts.items()} == SHOWN_WORDS
