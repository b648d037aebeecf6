"""A table has every cell, once as HTML and once as plain text."""

from __future__ import annotations

import re
from html import unescape

import pytest
from IPython.core.formatters import DisplayFormatter

from lora_edu.plots.tables import table

METHODS = table(["method", "rate", "loss"], [["LoRA, r < 9", 0.01, "0.23 ± 0.01"], ["full", 2, ""]])


def cells(html: str, tag: str) -> list[str]:
    return [unescape(text) for text in re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", html)]


def test_a_cell_that_ends_in_a_table_stores_html_and_text() -> None:
    bundle, _ = DisplayFormatter().format(METHODS)
    assert bundle == {"text/html": METHODS._repr_html_(), "text/plain": repr(METHODS)}


def test_the_text_has_its_columns_below_each_other() -> None:
    assert repr(METHODS).splitlines() == [
        "method       rate         loss",
        "LoRA, r < 9  0.01  0.23 ± 0.01",
        "full            2",
    ]


def test_the_page_gets_headings_of_columns_and_of_rows_and_no_raw_sign() -> None:
    html = METHODS._repr_html_()
    assert cells(html, "th") == ["method", "rate", "loss", "LoRA, r < 9", "full"]
    assert cells(html, "td") == ["0.01", "0.23\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.01", "2", ""]
    assert html.count('scope="col"') == 3 and html.count('scope="row"') == 2
    assert "r < 9" not in html
    assert re.findall(r"text-align:(\w+)", html)[:4] == ["left", "right", "right", "left"]


def test_a_column_that_is_words_for_the_most_part_is_on_the_left() -> None:
    entries = [["kind", "LORA"], ["rank", 8], ["modules", "query and 35 more"]]
    assert table(["entry", "value"], entries).on_the_left == {0, 1}
    assert table(["entry", "value"], [*entries[1:], ["alpha", 16], ["seed", "–"]]).on_the_left == {
        0
    }


def test_words_stand_on_the_left_and_numbers_on_the_right() -> None:
    rows = [["a", "spam", "none", "< 1 %"], ["b", "ham, 2", "L40S 48 GB", "–"]]
    found = table(["", "says", "card", "share"], rows)
    assert re.findall(r"text-align:(\w+)", found._repr_html_())[:4] == ["left"] * 3 + ["right"]
    assert repr(found).splitlines() == [
        "   says    card        share",
        "a  spam    none        < 1 %",
        "b  ham, 2  L40S 48 GB      –",
    ]


def test_the_lowest_number_of_a_column_is_marked_where_that_is_asked_for() -> None:
    rows = [["0.1", "4.5", "–", "−1.0"], ["1", "0.5", "–", "2.0"]]
    marked = table(["rate", "rank 1", "rank 2", "gain"], rows, marks_lowest=True)
    assert repr(marked).splitlines() == [
        "rate  rank 1   rank 2  gain",
        "0.1      4.5        –  −1.0*",
        "1        0.5*       –   2.0",
    ]
    assert re.findall("<b>(.*?)</b>", marked._repr_html_()) == ["−1.0", "0.5"]
    assert "<b>" not in table(["rate", "rank 1", "rank 2", "gain"], rows)._repr_html_()


def test_a_number_below_zero_has_a_minus_and_not_a_hyphen() -> None:
    lines = repr(table(["", "points"], [["all-spam, 1e-3", "-22.6"], ["2024-11", -0.5]]))
    assert "−22.6" in lines and "−0.5" in lines
    assert "all-spam, 1e-3" in lines and "2024-11" in lines


@pytest.mark.parametrize("row", [["LoRA"], ["LoRA", 1, 2, 3]])
def test_a_row_of_another_length_is_refused(row: list) -> None:
    with pytest.raises(ValueError, match=r"must have 3 cells.*got \['LoRA'"):
        table(["method", "rate", "loss"], [row])


def test_a_note_stands_beneath_the_numbers_in_small_letters() -> None:
    noted = table(["", "x"], [["y", "1 ± 1"]], note="± < 2\nanother " + 30 * "word ")
    lines = repr(noted).splitlines()
    assert lines[:3] == ["       x", "y  1 ± 1", "± < 2"]
    assert lines[3].startswith("another word") and max(map(len, lines)) <= 92
    html = noted._repr_html_()
    below = html.index("± &lt; 2<br>another")
    assert html.index("</table>") < html.index("font-size:.9em") < below


def test_the_command_that_recorded_the_numbers_is_folded_and_plain_text_says_it() -> None:
    noted = table(["", "x"], [["y", "1"]], note="One seed.\nRecorded by python -m a > b.")
    assert repr(noted).endswith("\nOne seed.\nRecorded by python -m a > b.")
    said, folded = noted._repr_html_().split("<details")
    assert said.endswith(">One seed.</p>") and "Recorded" not in said
    assert folded.endswith("</summary><code>python -m a &gt; b</code></details>")
    assert "<p" not in table(["", "x"], [["y", "1"]], note="Recorded by b.")._repr_html_()


def test_a_table_without_a_note_has_nothing_beneath() -> None:
    assert METHODS._repr_html_().endswith("</table>")


def test_on_a_page_no_line_ends_between_a_number_and_its_sign() -> None:
    found = table(["way", "right"], [["LoRA", "81.0 % (75.3 % to 86.7 %), 0.2 ± 0.1"]])
    said = re.search("<td.*?>(.*?)</td>", found._repr_html_())[1].replace("\N{NO-BREAK SPACE}", "_")
    assert said == "81.0_% (75.3_% to 86.7_%), 0.2_±_0.1"
    assert "81.0 % (75.3 % to 86.7 %), 0.2 ± 0.1" in repr(found)
