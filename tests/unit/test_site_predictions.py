"""An answer loses its own fold on the site, and what was measured keeps its folds."""

from __future__ import annotations

import nbformat
import pytest

from lora_edu.widgets import reveal
from lora_edu.widgets.quiz import Prediction
from scripts.site_predictions import join_answers


class Folds:
    """Two folds, as the table of published claims has them."""

    def _repr_html_(self) -> str:
        fold = "<details><summary>more</summary><div>inside</div></details>"
        return f"<div>first {fold}</div><div>second {fold}</div>"


def test_folds_in_what_was_measured_stay_closed_where_they_were() -> None:
    asked = Prediction("Which?", ["a", "b"])
    answer = reveal(asked, "a", because="so it is", measured=["text", Folds()])._repr_html_()
    cells = []
    for source, html in (
        ('asked = predict("Which?", ["a", "b"])', '<div data-lora="lx0"></div>'),
        ('reveal(asked, "a")', answer),
    ):
        output = nbformat.v4.new_output("display_data", {"text/html": html})
        cells.append(nbformat.v4.new_code_cell(source, outputs=[output]))
    join_answers(nbformat.v4.new_notebook(cells=cells))
    joined = cells[1].outputs[0].data["text/html"]
    assert 'data-answers="lx0"' in joined and "No prediction recorded" not in joined
    assert joined.count("<details>") == joined.count("</details>") == 2
    assert joined.count("<div") == joined.count("</div>")
    assert joined.index("text</div>") < joined.index("first <details>")
    first, second = joined.split("second")
    assert first.count("<details>") == first.count("</details>") == 1
    assert second.endswith("</details></div></div>")


@pytest.mark.parametrize(
    ("asked", "revealed", "tolerance"),
    [
        ("", "", 0.1),
        (", tolerance=0.001", "", 0.001),
        (", tolerance=0.001", ", tolerance=0.2", 0.2),
        ("", ", tolerance=0.4", 0.4),
    ],
)
def test_a_page_judges_with_the_tolerance_of_the_question_or_of_its_answer(
    asked: str, revealed: str, tolerance: float
) -> None:
    cells = []
    for source, html in (
        (f'asked = predict("How many?"{asked})', '<div data-lora="lx0"></div>'),
        (f"reveal(asked, 8{revealed})", reveal(Prediction("How many?"), 8)._repr_html_()),
    ):
        output = nbformat.v4.new_output("display_data", {"text/html": html})
        cells.append(nbformat.v4.new_code_cell(source, outputs=[output]))
    join_answers(nbformat.v4.new_notebook(cells=cells))
    assert f'data-tolerance="{tolerance}"' in cells[1].outputs[0].data["text/html"]
