"""Every notebook keeps the notebook standard; and every rule of it can be broken."""

import copy
import re
from html import escape
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from support.project import ROOT, notebook_names
from support.standard import RULES, code_cells, output_texts, problems

from lora_edu.datasets import load_tales
from lora_edu.plots import PHONE_PX
from lora_edu.plots.sheet import picture_px
from scripts.drawings.signs import SIGNS
from scripts.notebook_answers import withhold
from scripts.notebook_format import to_notebook
from scripts.notebook_times import count_words, path_minutes, prose, sections

PATHS = [
    f"{folder}/{name}.ipynb"
    for name in notebook_names()
    for folder in ("notebooks", "notebooks/solutions")
]
PATH = "notebooks/99_example.ipynb"
LINK = re.compile(r"!?\[(?:!\[[^\]]*\]\([^)]*\)|[^\]])*\]\([^)]*\)")  # a badge is a picture in one
OPENING = """# %% [markdown]
# # Example
#
# You will see every rule kept.
#
# **You will be able to**
# - read the standard
#
# **You need** nothing.
#
# **Time:** 1 minute on a CPU, less on a GPU.
# %% bootstrap
# %%
prediction = predict("Which?", ["A", "B"])
# %%
reveal(prediction, "A")
"""
ENDING = """# %% [markdown]
# ## Three sentences to remember
# 1. One.
# 2. Two.
# 3. Three.
#
# ## Five questions
# 1. A?
# 2. B?
# 3. C?
# 4. D?
# 5. E?
#
# ## Where next
# [The start](00_start_here.ipynb)
#
# ## Further reading
# Hu et al. 2021, arXiv:2106.09685
"""


@pytest.mark.parametrize("path", PATHS)
def test_notebook_keeps_the_standard(path: str) -> None:
    found = problems(nbformat.read(ROOT / path, as_version=4), path)
    assert not found, "\n".join(found)


@pytest.fixture
def good() -> NotebookNode:
    """A notebook that keeps every rule, with outputs as if it had been run."""
    exercises = "".join(
        f'# %% [markdown]\n# <details><summary>Hint</summary>x</details>\n# %%\ncheck("99.e{i}")\n'
        for i in range(3)
    )
    notebook = to_notebook(OPENING + exercises + ENDING, "student", PATH, "lora-edu/lora_edu")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(cells, start=1):
        cell.execution_count = count
        shown = "plain text"
        if cell.source.startswith("check"):
            shown = f"○ {cell.source[7:12]}: not tried yet."
        cell.outputs = [new_output("execute_result", {"text/plain": shown})]
    withhold(notebook.cells)
    return notebook


def test_good_notebook_has_no_problem(good: NotebookNode) -> None:
    assert problems(good, PATH) == []


def _replace(old: str, new: str):
    def change(notebook: NotebookNode) -> None:
        assert any(old in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def _last_code(notebook: NotebookNode) -> NotebookNode:
    return [cell for cell in notebook.cells if cell.cell_type == "code"][-1]


def _output(**data: str):
    def change(notebook: NotebookNode) -> None:
        bundle = {mime.replace("_", "/", 1): content for mime, content in data.items()}
        _last_code(notebook).outputs.append(new_output("display_data", bundle))

    return change


def _stream(name: str, text: str):
    return lambda notebook: _last_code(notebook).outputs.append(
        new_output("stream", name=name, text=text)
    )


def _exempt(notebook: NotebookNode) -> None:
    notebook.cells[2].metadata["tags"] = ["nbval-ignore-output"]


def _error(notebook: NotebookNode) -> None:
    _last_code(notebook).outputs.append(new_output("error", ename="ValueError", evalue="no"))


def _not_run(notebook: NotebookNode) -> None:
    _last_code(notebook).execution_count = None


def _answered(notebook: NotebookNode) -> None:
    asked = next(cell for cell in notebook.cells if "= predict(" in cell.source)
    asked.outputs = [new_output("stream", name="stdout", text="A")]


def _counted(notebook: NotebookNode) -> None:
    told = next(cell for cell in notebook.cells if "reveal(" in cell.source)
    told.execution_count = 3


def _printed_above(notebook: NotebookNode) -> None:
    told = next(cell for cell in notebook.cells if "reveal(" in cell.source)
    told.outputs = [new_output("stream", name="stdout", text="A: 3"), *told.outputs]


def _widgets(notebook: NotebookNode) -> None:
    notebook.metadata["widgets"] = {}


def _insert(cell: NotebookNode):
    return lambda notebook: notebook.cells.insert(3, copy.deepcopy(cell))


def _insert_two(cell: NotebookNode):
    def change(notebook: NotebookNode) -> None:
        notebook.cells[3:3] = [copy.deepcopy(cell), copy.deepcopy(cell)]

    return change


def _of_lines(count: int, first: str = "x = 1") -> NotebookNode:
    return new_code_cell("\n".join([first] + ["x = 1"] * (count - 1)), execution_count=1)


LONG = _of_lines(21)
LONG_FOLDED = _of_lines(61, "# @title Draws the figure")
BREAKS = [
    ("opens_with_title", _replace("# Example", "Example")),
    ("opens_with_title", _replace("You will see every rule kept.", "- a list\n- no promise")),
    ("opens_with_title", _replace("**You need**", "You need")),
    ("opens_with_title", _replace("on a CPU", "somewhere")),
    ("installs_itself", _replace("%pip", "!pip")),
    ("installs_itself", _replace(PATH, "notebooks/98_other.ipynb")),
    ("headings_form", _insert(new_markdown_cell("# Another title"))),
    ("headings_form", _replace("## Where next", "#### Where next")),
    ("cells_are_short", _insert(LONG)),
    ("cells_are_short", _insert(LONG_FOLDED)),
    ("what_only_draws", _insert(new_code_cell(_of_lines(14).source + "\ntable(x)"))),
    ("what_only_draws", _insert(new_code_cell(_of_lines(17).source + "\ndisplay(x)"))),
    ("figures_spoken_of", _insert(new_markdown_cell("In the figure both fall."))),
    ("no_row_of_folded", _insert_two(new_code_cell("# @title Reads", execution_count=1))),
    ("titles_of_folded_cells", _insert(new_code_cell("# @title Takes `x`", execution_count=1))),
    ("every_cell_has_been_run", _not_run),
    ("every_cell_has_been_run", _insert(new_code_cell("1", execution_count=99))),
    ("no_stored_output_answers", _answered),
    ("no_stored_output_answers", _counted),
    ("few_outputs_are_exempt", _exempt),
    ("nothing_of_the_machine", _widgets),
    ("nothing_of_the_machine", _output(text_plain="saved to /home/me/file")),
    ("nothing_of_the_machine", _replace("nothing.", r"a file in C:\Users")),
    (
        "nothing_of_the_machine",
        lambda n: _last_code(n).outputs.append(
            new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
        ),
    ),
    ("outputs_are_clean", _error),
    ("outputs_are_clean", _stream("stderr", "a warning")),
    ("outputs_are_clean", _stream("stdout", " 40%|████      | 4/10")),
    ("columns_of_tables", _insert(new_markdown_cell("| what | why |\n|---|:--|\n| a | b |"))),
    ("tables_are", _stream("stdout", "method | accuracy\nLoRA   | 0.9")),
    ("numbers_are", _stream("stdout", "difference -0.1 (-0.2 to +0.1)")),
    ("numbers_are", _stream("stdout", "95% of them")),
    ("numbers_are", _output(text_plain="95 per cent of them")),
    ("nothing_is_printed", _printed_above),
    ("printed_lines", _stream("stdout", "short\n" + "word " * 24)),
    ("every_picture", _output(image_png="iVBORw0KGgo=")),
    ("every_picture", _insert(new_markdown_cell("![](picture.png)"))),
    ("every_picture", _insert(new_markdown_cell('<img src="picture.png">'))),
    ("learner_predicts", _replace("reveal(", "print(")),
    ("exercises_mark", _replace("99.e1", "98.e1")),
    ("exercises_mark", _replace("99.e1", "99.e0")),
    ("exercises_mark", _replace("<details>", "<div>")),
    ("ends_with", _replace("3. Three.", "")),
    ("ends_with", _replace("Where next", "And then")),
    ("ends_with", _replace("arXiv:2106.09685", "somewhere")),
]


@pytest.mark.parametrize(("name", "change"), BREAKS, ids=[f"{i}" for i in range(len(BREAKS))])
def test_a_broken_rule_is_reported(good: NotebookNode, name: str, change) -> None:
    change(good)
    assert any(found.startswith(name) for found in problems(good, PATH)), problems(good, PATH)


def test_a_folded_cell_may_be_long(good: NotebookNode) -> None:
    _insert(_of_lines(60, "# @title Draws the figure"))(good)
    assert problems(good, PATH) == []


def test_every_rule_is_broken_once_above() -> None:
    names = {name for name, _ in BREAKS}
    assert all(any(rule.__name__.startswith(name) for name in names) for rule in RULES)


def test_a_solution_that_is_not_passed_is_reported(good: NotebookNode) -> None:
    path = "notebooks/solutions/99_example.ipynb"
    assert sum("expected '99.e" in found for found in problems(good, path)) == 3


def test_every_notebook_lies_where_a_source_puts_it() -> None:
    stored = {path.relative_to(ROOT).as_posix() for path in Path(ROOT).glob("notebooks/**/*.ipynb")}
    assert {path for path in stored if ".ipynb_checkpoints" not in path} == set(PATHS)


def test_a_solution_stores_what_the_learner_is_to_predict(good: NotebookNode) -> None:
    found = problems(good, "notebooks/solutions/99_example.ipynb")
    assert any(f.startswith("every_cell_has_been_run_in_order: not run") for f in found)


@pytest.mark.parametrize("name", [name for name in notebook_names() if "01" <= name < "11"])
def test_a_notebook_has_its_small_drawing_beneath_its_title(name: str) -> None:
    opening = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4).cells[0].source
    assert f'alt="{escape(SIGNS[name[:2]]().description)}"' in opening.partition("**You will")[0]


def core() -> list[NotebookNode]:
    """The learner's notebooks of the core, 00 to 05."""
    names = [name for name in notebook_names() if name < "06"]
    return [nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4) for name in names]


def test_the_marked_path_takes_ninety_minutes_at_most() -> None:
    assert sum(path_minutes(sections(notebook.cells)) for notebook in core()) <= 90


def test_the_core_has_at_most_eight_thousand_words_besides_links() -> None:
    texts = [cell.source for n in core() for cell in n.cells if cell.cell_type == "markdown"]
    assert sum(count_words(LINK.sub("", text)) for text in texts) <= 8_000


@pytest.mark.parametrize("name", notebook_names())
def test_few_parentheses_are_long(name: str) -> None:
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    text = "\n".join(prose(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    inside = [part for part in re.findall(r"\(([^()]*)\)", text) if count_words(part) > 8]
    assert 1000 * len(inside) <= 2 * count_words(text), inside


def test_all_stored_pictures_together_are_under_3_megabytes() -> None:
    stored = " ".join((ROOT / path).read_text(encoding="utf-8") for path in PATHS)
    # In HTML as a picture's source, and once more beside it.
    pictures = re.findall(r'(?:base64,|"image/png": ")([A-Za-z0-9+/]+)', stored)
    assert len(pictures) > 50
    assert sum(map(len, pictures)) * 3 / 4 < 3_000_000


@pytest.mark.parametrize("path", PATHS)
def test_every_stored_chart_has_a_form_for_phones_and_none_is_wider_than_its_sheet(
    path: str,
) -> None:
    book = nbformat.read(ROOT / path, as_version=4)
    outputs = [out for cell in book.cells for out in cell.get("outputs", [])]
    shown = [out.get("data", {}).get("text/html", "") for out in outputs]
    charts = [html for html in shown if "lora-figure" in html and "data-lora=" not in html]
    for html in charts:
        images = re.findall(r'<img class="lora-figure" [^>]* width="(\d+)"', html)
        sheets = html.count('<div class="lora-sheet"')
        assert len(images) == sheets == html.count('<img class="lora-figure"')
        assert {int(width) for width in images} <= {picture_px("wide"), picture_px("narrow")}
        small = re.findall(r'<source media="[^"]*" width="(\d+)" srcset="data:image/png', html)
        assert [int(width) for width in small] == [PHONE_PX] * sheets


@pytest.mark.parametrize(
    ("name", "tale"),
    [
        ("03_lora_in_a_gpt", r"LoRA, after 40 steps:\nLong ago, there was a(.*?)\n\n"),
        ("03_lora_in_a_gpt", r"LoRA, after longer training:\nLong ago, there was a(.*)"),
        ("07_adapters_as_files", r"tales: One day, Tom went to the(.*?)\n\n"),
        ("07_adapters_as_files", r"tales:\nPrompt, 7 tokens: [^\n]*\n\nIt writes:(.*?)\n\n"),
    ],
)
def test_a_stored_tale_has_no_word_that_the_training_tales_do_not_have(name: str, tale: str):
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    texts = [text for cell in code_cells(notebook) for text in output_texts(cell)]
    (told,) = [found for text in texts for found in re.findall(tale, text, re.S)]
    word = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
    known = {each.lower() for text in load_tales().train for each in word.findall(text)}
    words = {each.lower() for each in word.findall(told)}
    assert len(words) >= 8
    assert words <= known, words - known
