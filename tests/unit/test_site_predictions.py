"""An answer loses its own fold on the site, and what was measured keeps its folds."""

from __future__ import annotations

import nbformat

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
