"""The builder: two notebooks from one source, the same at every build, compared when tested."""

import base64
import configparser
import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from support.contrast import contrast
from support.project import ROOT

from lora_edu.plots import drawing
from scripts import build_notebooks
from scripts.build_notebooks import (
    ONE_THREAD,
    SOURCES,
    all_names,
    drifted,
    execute,
    main,
    same_source,
    scrub,
    write,
)
from scripts.drawings.signs import SIGNS
from scripts.notebook_format import BOOTSTRAP, SourceError, parse, set_apart, to_notebook

SOURCE = '''\
# %% [markdown]
# # Title
# Text with **marks**
#
# and a second paragraph.
# %% bootstrap
# %% tags=["long"] exercise="99.half"
def half(x):
    """Returns x / 2."""
    # <solution>
    return x / 2
    # </solution>
    # <student>
    # # think first
    # return ...  # your code
    # </student>
# %%
print("a line")
print("of text")
object()
# %%
from lora_edu.plots.charts import figure, show

show(figure("empty"), alt="An empty figure.")
'''


def build(version: str) -> NotebookNode:
    return to_notebook(SOURCE, version, f"notebooks/{version}.ipynb", "owner/name")


def run(version: str, folder: Path) -> NotebookNode:
    notebook = build(version)
    execute(notebook, folder)
    scrub(notebook)
    return notebook


def nbval(path: Path) -> subprocess.CompletedProcess[str]:
    """Compares a notebook's stored outputs with a new run, with the settings of `make test`."""
    settings = ["--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-c", os.devnull]
    sanitize = f"--nbval-sanitize-with={ROOT / 'tests/notebooks/sanitize.cfg'}"
    command = [sys.executable, "-m", "pytest", *settings, sanitize, str(path)]
    env = os.environ | ONE_THREAD
    return subprocess.run(
        command, cwd=path.parent, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    return run("solution", tmp_path_factory.mktemp("built"))


def test_each_version_keeps_its_own_block() -> None:
    student, solution = build("student").cells[3].source, build("solution").cells[3].source
    head = 'def half(x):\n    """Returns x / 2."""\n'
    assert solution == f"{head}    return x / 2"
    assert student == f"{head}    # think first\n    return ...  # your code"


def test_text_loses_its_comment_signs() -> None:
    assert build("student").cells[0].source == (
        "# Title\nText with **marks**\n\nand a second paragraph."
    )


def test_bootstrap_becomes_link_and_installing_cell() -> None:
    link, cell = build("student").cells[1:3]
    assert "/github/owner/name/blob/main/notebooks/student.ipynb)" in link.source
    assert "![" not in link.source
    assert cell.source == BOOTSTRAP.format(slug="owner/name").strip()
    assert "git+https://github.com/owner/name" in cell.source


def test_tags_and_exercise_reach_the_cell() -> None:
    assert build("student").cells[3].metadata == {"tags": ["long"], "exercise": "99.half"}


def test_an_edit_changes_the_id_of_its_cell_only() -> None:
    before = build("student").cells
    after = to_notebook(
        SOURCE.replace("a line", "b"), "student", "notebooks/student.ipynb", "owner/name"
    )
    changed = [old.id != new.id for old, new in zip(before, after.cells, strict=True)]
    assert changed == [False, False, False, False, True, False]


def test_equal_cells_have_different_ids() -> None:
    cells = to_notebook("# %%\n1\n# %%\n1\n", "student", "x", "owner/name").cells
    assert cells[1].id == f"{cells[0].id}-2"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n# %%\n", "line 1: text before"),
        ("# %% [raw]\n# a = 1", r"cell 1 \(a = 1\): cannot read its marker, which makes it a raw"),
        ("# %%\n1\n# %% [md]\n", r"cell 2 \(empty\): cannot read .* {'region_name': 'md'}"),
        ('# %% colour="red"\n', "cell 1 .* cannot read .* {'colour': 'red'}"),
        ("# %% half\n", "cell 1 .* cannot read .* {'title': 'half'}"),
        ('# %% tags=["a"\n', "cell 1 .* cannot read .* {'incorrectly_encoded_metadata'"),
        ('# %% tags="a"\n', "'a' is not of type 'array'; tags are written"),
        ("# %% exercise=1\n", "cell 1 .* cannot read .* {'exercise': 1}"),
        ("# %% [markdown] bootstrap\n", "cell 1 .* cannot read .* a markdown cell"),
        ("# %% bootstrap\nx = 1\n", r"cell 1 \(x = 1\): a bootstrap cell has no code of its own"),
        ("# %% [markdown]\n# a\n\nno sign\n", "line 4: 'no sign' must start with"),
        ("# %%\nx = 1\n# %%\n# <student>\n", r"cell 2 \(# <student>\): <student> is not closed"),
        ("# %%\n# </student>\n", "cell 1 .* '# </student>' does not match"),
        ("# %%\n# <student>\n# </solution>\n", "'# </solution>' does not match"),
    ],
)
def test_a_source_out_of_format_is_refused_with_its_place(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        to_notebook(source, "student", "x", "owner/name")


def test_a_marker_inside_a_string_does_not_open_a_cell() -> None:
    assert len(parse('# %%\ntext = """\n# %% not a marker\n"""\n')) == 1


@pytest.mark.parametrize("name", all_names())
def test_a_source_opened_and_saved_as_a_notebook_builds_the_same(name: str) -> None:
    text = (SOURCES / f"{name}.py").read_text(encoding="utf-8")
    saved = jupytext.writes(jupytext.reads(text, "py:percent"), "py:percent")  # as in JupyterLab
    assert to_notebook(saved, "student", "", "") == to_notebook(text, "student", "", "")


def test_building_twice_gives_the_same_file(built: NotebookNode, tmp_path: Path) -> None:
    write(built, tmp_path / "first.ipynb")
    write(run("solution", tmp_path), tmp_path / "second.ipynb")
    assert (tmp_path / "first.ipynb").read_bytes() == (tmp_path / "second.ipynb").read_bytes()


def test_outputs_hold_text_and_picture_and_nothing_else(built: NotebookNode) -> None:
    stream, value = built.cells[4].outputs
    assert stream.text == "a line\nof text\n"
    assert value.data == {"text/plain": "<object at 0x0>"}
    (shown,) = built.cells[5].outputs
    assert set(shown.data) == {"text/html", "image/png", "text/plain"}
    assert shown.metadata["image/png"]["alt"] == shown.data["text/plain"] == "An empty figure."
    assert set(built.metadata) == {"kernelspec", "language_info"}
    assert all("execution" not in cell.metadata for cell in built.cells)


def test_scrubbing_joins_the_pieces_of_a_stream_but_not_two_streams() -> None:
    streams = [("stdout", "a"), ("stdout", "b"), ("stderr", "c")]
    outputs = [new_output("stream", name=name, text=text) for name, text in streams]
    cell = new_code_cell("", outputs=outputs)
    notebook = build("student")
    notebook.cells.append(cell)
    scrub(notebook)
    assert [output.text for output in cell.outputs] == ["ab", "c"]


def test_scrubbing_removes_widget_state_and_views() -> None:
    notebook = build("student")
    notebook.metadata["widgets"] = {"state": {}}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "a slider"}
    notebook.cells[4].outputs = [new_output("display_data", view)]
    scrub(notebook)
    assert "widgets" not in notebook.metadata
    assert notebook.cells[4].outputs[0].data == {"text/plain": "a slider"}


def test_scrubbing_makes_the_keys_of_explorers_those_of_no_kernel() -> None:
    notebook = build("student")
    shown = '<div data-lora="lx{key}"></div><script>start("lx{key}", mount)</script>'
    notebook.cells[4].outputs = [
        new_output("display_data", {"text/html": shown.format(key=key)})
        for key in ("0123abcd-89abcdef", "0123abcd")
    ]
    scrub(notebook)
    assert [output.data["text/html"] for output in notebook.cells[4].outputs] == [
        shown.format(key="0123abcd-stored00"),
        shown.format(key="0123abcd"),
    ]


def test_nbval_takes_the_keys_of_two_kernels_for_the_same() -> None:
    config = configparser.RawConfigParser()
    config.read(ROOT / "tests/notebooks/sanitize.cfg")
    rule = config["kernel of an explorer that asks"]
    keys = ("lx0123abcd-stored00", "lx0123abcd-89abcdef", "lx0123abcd-fedcba98")
    assert {re.sub(rule["regex"], rule["replace"], key) for key in keys} == {"lx0123abcd-KERNEL"}


def test_an_edited_notebook_is_drift_and_an_output_is_not(built: NotebookNode) -> None:
    assert same_source(build("solution"), built)
    assert not same_source(build("student"), built)
    typed_over = build("solution")  # as an editor does it: the cell keeps its id
    typed_over.cells[4].source += "\nprint(3)"
    assert not same_source(typed_over, built)
    moved = build("solution")
    moved.cells[4].metadata["tags"] = ["nbval-skip"]
    assert not same_source(moved, built)


def test_committed_notebooks_are_what_their_sources_give() -> None:
    assert drifted(all_names()) == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one source, 99_half.py, in place of the repository's notebooks."""
    for name, folder in {"ROOT": ".", "NOTEBOOKS": "notebooks", "SOURCES": "source"}.items():
        monkeypatch.setattr(build_notebooks, name, tmp_path / folder)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/99_half.py").write_text(SOURCE)
    return tmp_path


def built_files(project: Path) -> dict[str, str]:
    files = (project / "notebooks").rglob("*.ipynb")
    return {path.relative_to(project).as_posix(): path.read_text() for path in files}


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("# <solution>\n1 / 0\n# </solution>", "division by zero"),
        ("# <solution>\nimport os; os._exit(1)\n# </solution>", "Kernel died"),
    ],
)
def test_a_cell_that_fails_is_named_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], cell: str, reason: str
) -> None:
    assert main(["99", "--no-run"]) == 0
    before = built_files(project)
    assert set(before) == {"notebooks/99_half.ipynb", "notebooks/solutions/99_half.ipynb"}
    (project / "source/99_half.py").write_text(f"# %%\n1\n# %%\n{cell}\n# %%\n3\n")
    assert main(["99"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("notebooks/solutions/99_half.ipynb, cell 2 of 3: ")
    assert reason in message
    assert built_files(project) == before


def test_a_source_out_of_format_is_named_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "source/99_half.py").write_text("x = 1\n")
    assert main(["99"]) == 1
    assert capsys.readouterr().err.startswith("99_half.py, line 1: text before")
    assert built_files(project) == {}


def test_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["98_no_such_notebook"])
    assert "no source matches ['98_no_such_notebook']" in capsys.readouterr().err


def test_a_true_output_is_green_and_a_wrong_one_red(built: NotebookNode, tmp_path: Path) -> None:
    # The bootstrap cell and the rest as built, then one stored output changed in a copy.
    write(built, tmp_path / "true.ipynb")
    assert nbval(tmp_path / "true.ipynb").returncode == 0
    wrong = nbformat.reads(nbformat.writes(built), as_version=4)
    wrong.cells[4].outputs[0].text = "a line\nof lies\n"
    write(wrong, tmp_path / "wrong.ipynb")
    result = nbval(tmp_path / "wrong.ipynb")
    assert result.returncode == 1
    assert "of lies" in result.stdout


def test_a_wrong_alt_text_is_red(built: NotebookNode, tmp_path: Path) -> None:
    wrong = nbformat.reads(nbformat.writes(built), as_version=4)
    wrong.cells[5].outputs[0].data["text/plain"] = "A full figure."
    write(wrong, tmp_path / "wrong.ipynb")
    assert nbval(tmp_path / "wrong.ipynb").returncode == 1


def test_an_exercise_and_its_hint_stand_in_one_box() -> None:
    text = "Why.\n\n**Exercise 1.** Do it.\n\n<details>\nsoon\n</details>\n\n## Next\n\nText."
    before, inside, after = parts_of_box(set_apart(text, exercises=5))
    assert (before, after) == ("Why.", "## Next\n\nText.")
    assert inside == "✎ Exercise 1/5\nDo it.\n\n<details>\nsoon\n</details>"


def test_there_is_room_beneath_what_is_folded() -> None:
    text = "# %% [markdown]\n# <details><summary>Hint</summary>\n# soon\n# </details>\n"
    (cell,) = to_notebook(text, "student", "notebooks/x.ipynb", "a/b").cells
    assert cell.source.startswith('<details><summary style="margin-bottom:.8em">Hint</summary>')


def test_a_takeaway_is_a_box_of_one_paragraph_beside_an_exercise() -> None:
    text = "**Exercise 1.** Do it.\n\n**Takeaway:** little\nis enough.\n\nText."
    _, first, between, second, after = parts_of_box(set_apart(text))
    assert first == "✎ Exercise 1\nDo it."
    assert between == ""
    assert second == "☞ Takeaway: little\nis enough."
    assert after == "Text."


def test_a_folded_takeaway_is_a_box_to_its_end() -> None:
    folded = "<details><summary><b>Takeaway</b>, once you have predicted</summary>"
    _, inside, after = parts_of_box(set_apart(f"{folded}\n\nOne.\n\nTwo.\n\n</details>\n\nText."))
    said = "☞ Takeaway once you have predicted"
    assert inside == f"<details><summary>{said}</summary>\n\nOne.\n\nTwo.\n\n</details>"
    assert after == "Text."


def test_the_letters_of_a_label_stand_out_from_its_colour() -> None:
    exercise, takeaway = re.findall(
        r"background:(#\w+);color:(#\w+)",
        set_apart("**Exercise 1.** Do it.\n\n**Takeaway:** little is enough."),
    )
    assert exercise != takeaway
    for background, letters in (exercise, takeaway):
        long = "#" + "".join(2 * digit for digit in letters[1:])
        assert contrast(long, background) >= 4.5


def parts_of_box(text: str) -> list[str]:
    """What stands before, in, between and behind the boxes of a text, without styles."""
    text = re.sub(r"<b style[^>]*>|</b>(?:<br>)?", "", text)
    return [part.strip() for part in re.split(r"<blockquote style[^>]*>|</blockquote>", text)]


def test_a_section_headed_deeper_is_folded_to_its_heading_alone() -> None:
    text = "# %% [markdown]\n# Before.\n#\n# ## Deeper: far\n# Within.\n#\n# ## After\n# More.\n"
    notebook = to_notebook(text, "student", "notebooks/x.ipynb", "a/b")
    assert [cell.source for cell in notebook.cells] == [
        "Before.",
        "## Deeper: far",
        "Within.",
        "## After\nMore.",
    ]
    folded = [bool(c.metadata.get("jp-MarkdownHeadingCollapsed")) for c in notebook.cells]
    assert folded == [False, True, False, False]
    heading = notebook.cells[1]
    assert heading.metadata["id"] == heading.id
    assert notebook.metadata.colab.collapsed_sections == [heading.id]


def test_a_notebook_without_such_a_section_has_no_word_on_folding() -> None:
    notebook = to_notebook("# %% [markdown]\n# ## One\n", "student", "notebooks/x.ipynb", "a/b")
    assert "colab" not in notebook.metadata
    assert notebook.cells[0].metadata == {}


def test_an_exercise_right_beneath_a_heading_is_boxed_too() -> None:
    before, inside, _ = parts_of_box(set_apart("## Now\n**Exercise 1.** Do it."))
    assert (before, inside) == ("## Now", "✎ Exercise 1\nDo it.")
    assert set_apart("No box.\n\n- a list") == "No box.\n\n- a list"


def test_a_drawing_in_text_is_a_picture_with_its_words_and_needs_no_file() -> None:
    text = "# %% [markdown]\n# # Title\n#\n# {drawing:one_base}\n#\n# After.\n"
    (cell,) = to_notebook(text, "student", "x", "o/n").cells
    before, image, after = cell.source.split("\n\n")
    assert (before, after) == ("# Title", "After.")
    assert f'alt="{escape(drawing("one_base").alt)}"' in image
    data = re.search('src="data:image/svg\\+xml;base64,(.*)"', image)[1]
    assert base64.b64decode(data).decode() == drawing("one_base").svg


def test_a_sign_in_text_is_the_one_of_that_notebook_with_its_words() -> None:
    (cell,) = to_notebook("# %% [markdown]\n# {sign:02}\n", "student", "x", "o/n").cells
    assert f'alt="{escape(SIGNS["02"]().description)}"' in cell.source
    data = re.search('src="data:image/svg\\+xml;base64,(.*)"', cell.source)[1]
    assert base64.b64decode(data).decode() == SIGNS["02"]().svg()


def test_a_drawing_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="portrait"):
        to_notebook("# %% [markdown]\n# {drawing:portrait}\n", "student", "x", "o/n")
