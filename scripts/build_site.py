"""Builds the course's site: `make site`, then open build/site/index.html.

Static pages of all learner's notebooks, with their outputs as they are stored, formulas typeset and
explorers that work; nothing in them asks another host for anything. What a notebook keeps back
comes from the solution: from a question to its answer folded, after that as in a finished run. The
front page is one explorer, one sentence and the map.

Formulas need node and KaTeX's style, which `npm ci` puts into docs/site/node_modules.
"""

from __future__ import annotations

import re
import shutil
import sys
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # also when run as a file
from scripts.drawings.signs import SIGNS  # noqa: E402
from scripts.notebook_answers import WITHHELD_TAG  # noqa: E402
from scripts.notebook_format import repository_slug  # noqa: E402
from scripts.notebook_times import FOLDED, FOLDED_HOW  # noqa: E402
from scripts.site_block import block  # noqa: E402
from scripts.site_predictions import join_answers, marks_a_prediction, page_script  # noqa: E402

SOLUTIONS = "blob/main/notebooks/solutions"
SITE, BUILD = ROOT / "docs" / "site", ROOT / "build"
NOTEBOOKS = ROOT / "notebooks"
COLAB_LINK = re.compile(r"^\[Open in Colab\]\(([^)]*)\)$", re.M)
# No Python is behind a page: an explorer then does not offer to ask it.
WAY_TO_PYTHON = re.compile(r'toPython\("[^"]*", \d+\)')
# A cell that a learner runs after predicting; a page shows what it says, folded, and not the cell.
ANSWER = "# @title The answer: run it"
FIRST_CELL = 'find_spec("lora_edu")'  # installs the course; a page needs none
#: What a check says where nobody can have tried.
NOT_TRIED = re.compile(r"(?<=<b>)Not tried yet(?=</b>)|(?<=>)not tried yet(?=</td>)")
#: And what it says beneath that to whoever can edit the cell.
STILL_BLANK = re.compile(r"<div[^>]*>A <code>\.\.\.</code> is still in it: [^<]*</div>")
#: Which exercise it is, on one line.
PLACE = re.compile(r"(?<=<span>· )exercise \d+ of \d+(?=</span>)")
READING = (
    "Here you read, unfold and drag. To run the code and change it, "
    r"[open the notebook in Colab](\1) "
    "or, on your machine, with `make lab`."
)
#: A link to a heading in this notebook or another.
INTO_NOTEBOOK = re.compile(r"(\]\((?:[^()\s]*\.ipynb)?)#([^()\s]+)\)")
#: What speaks to someone who has a kernel, and what a page says.
SAID_INSTEAD = (
    (
        "press Shift+Enter in each cell, from the top.",
        "here, from the top. In JupyterLab or Colab, press Shift+Enter in each cell.",
    ),
    (
        "If something breaks, or sliders stop answering after a restart, start again at the top.",
        "",
    ),
    (
        "Now write a prompt of **your own**; for the waiter, choose menu and Strength 1.",
        "In JupyterLab or Colab, write a prompt of **your own**, too.",
    ),
    (
        "A section headed “Deeper” is folded.",
        "A section headed “Deeper” is folded: open it with a click on its heading.",
    ),
    ("choose an answer, then run on.", "choose an answer, then read on."),
    ("Next comes a folded section. Use the mouse: Shift+Enter on one jumps to the top.", ""),
    (
        "set a rank and press **Run it live**.",
        "set a rank. In JupyterLab or Colab, press **Run it live**, too.",
    ),
    (
        "**Run it live** measures seed 0 alone.",
        "In JupyterLab or Colab, **Run it live** measures seed 0 alone.",
    ),
    (
        "**Stop** pauses training after the current step; **Go on** resumes; "
        "when it has ended, run the cells below again. (On Colab use the cell's own button.)",
        "",
    ),
)
# An output about what the learner wrote; on a page it is of the solution's code.
YOURS = re.compile(r"\byour\b")
NOTEBOOK_LINK = re.compile(r'href="(\w+)\.ipynb"')
# A row of the README's map: number, title, file, what one can do at its end, minutes.
MAP_ROW = re.compile(
    r"^\| (\d\d) \| \[(.+?)\]\(notebooks/(.+?)\.ipynb\) \| (.+?) \| (.+?) \|", re.M
)
CODE = re.compile(r"`(.+?)`")
UNIT = re.compile(r"(?<=\d) (?=[MB]\b)")  # a number and its unit stay on one line
PER_CENT = re.compile(r"(?<=\d) (?=%)")

FRONT = """---
title: Learn LoRA
---
# Learn LoRA

<p class="hero">Drag the slider. The language model stays as it is, and a trained addition with
{share:.0f} % as many numbers changes what it says. That is low-rank adaptation: LoRA.</p>

```{{raw}} html
{explorer}
```

Inside the model, this is one of its six blocks. What the adapter adds to each layer is blue, and as
thick as the update ΔW is large beside the layer's own weights W, times the strength. Choose another
adapter above, or a layer here: it opens into its matrices, and a token passes through them.

```{{raw}} html
{block}
<p class="note">The sizes of ΔW and W are Frobenius norms, averaged over the six blocks.</p>
```

The course takes this apart: see what a low rank can hold, build the layer in fifteen lines, put it
into a GPT, count what it saves, train it and keep it as a small file. Interactive notebooks, on a
laptop, offline.

```text
git clone {repository} && cd lora_edu
make lab
```

## The notebooks

*{path} of {whole} min* means: {path} minutes on the marked path, the short way through;
{whole} in all. In a hurry? Take [LoRA in twenty minutes](20_minutes.ipynb).

```{{raw}} html
<ol class="course">
{cards}
</ol>
```

```{{toctree}}
:hidden:
:maxdepth: 1

{pages}
```
"""


def page_of(learner: NotebookNode, solution: NotebookNode) -> NotebookNode:
    """Returns a learner's notebook as Sphinx is to read it; changes it in place.

    The link to Colab becomes a sentence, the cell that installs the course goes, a cell
    without outputs takes those of its like in the solution, folded between a question and its
    answer but for predictions and for explorers that do not start at an answer, and code that
    Jupyter folds is folded here too. What needs a kernel is said so, or goes: an exercise that was
    not tried says where it can be.
    """
    solved = {cell.id: cell for cell in solution.cells}
    links = (COLAB_LINK.search(cell.source) for cell in learner.cells)
    notebook = next(link[1] for link in links if link)
    to_try = f'To try it, <a href="{escape(notebook)}">open the notebook</a>'
    for cell in learner.cells:
        tags = cell.metadata.setdefault("tags", [])
        if cell.cell_type == "markdown":
            cell.source = readable(cell.source)
            continue
        if FIRST_CELL in cell.source:
            tags.append("remove-cell")
        folds = marks_a_prediction(cell.source)
        if not cell.outputs and cell.id in solved:
            cell.outputs = solved[cell.id].outputs
            folds |= WITHHELD_TAG not in tags and any(map(may_answer, cell.outputs))
        if folds:
            tags.append("hide-output")
            within = named(cell)
            cell.metadata["mystnb"] = {
                "code_prompt_show": f"Show {within}",
                "code_prompt_hide": f"Hide {within}",
            }
        cell.outputs = [output for output in cell.outputs if not names_a_widget(output)]
        if cell.source.startswith(FOLDED):
            tags.append("remove-input" if cell.source.startswith(ANSWER) else "hide-input")
        for data in (output.get("data", {}) for output in cell.outputs):
            if "text/html" in data:
                alone = WAY_TO_PYTHON.sub("null", data["text/html"])
                alone = NOT_TRIED.sub(to_try, STILL_BLANK.sub("", alone))
                alone = PLACE.sub(lambda place: place[0].replace(" ", "\u00a0"), alone)
                data["text/html"] = NOTEBOOK_LINK.sub(r'href="\1.html"', alone)
            if "text/markdown" in data:  # Sphinx follows links of cells, not of outputs
                data["text/markdown"] = data["text/markdown"].replace(".ipynb)", ".html)")
    join_answers(learner)
    return learner


def named(cell: NotebookNode) -> str:
    """What a fold says of the outputs within; "{type}" stands for code or output."""
    if any(YOURS.search(output.get("text", "")) for output in cell.outputs):
        return "the solution's {type}"
    if marks_a_prediction(cell.source):
        return "the explorer, which starts at the answer"
    pictures = any(map(draws, cell.outputs))
    answers = "reveal(" in cell.source
    return " and ".join(["the figure"] * pictures + ["the answer"] * answers) or "the {type}"


def draws(output: NotebookNode) -> bool:
    """Whether an output is a figure, or has one in it; an explorer is none."""
    data = output.get("data", {})
    html = data.get("text/html", "")
    return "image/png" in data or ("lora-figure" in html and "data-lora=" not in html)


def may_answer(output: NotebookNode) -> bool:
    """Whether an output may answer an open question; what the reader moves is there to be moved."""
    return "data-lora=" not in output.get("data", {}).get("text/html", "")


def names_a_widget(output: NotebookNode) -> bool:
    """Whether an output is what a notebook stores of a widget that needs Python: its name."""
    return output.output_type == "display_data" and set(output.data) == {"text/plain"}


def readable(text: str) -> str:
    r"""Returns a cell's Markdown as MyST reads it: no picture from another host, hints parsed.

    What only a kernel can do is said to be elsewhere, and the solutions are in the repository: the
    site has no pages of them.

    Example:
        >>> readable("<details><summary>Hint</summary>\n$x$\n</details>")
        '<details><summary>Hint</summary>\n\n$x$\n\n</details>'
        >>> readable("[all](solutions/00.ipynb)").endswith("/notebooks/solutions/00.ipynb)")
        True
    """
    text = COLAB_LINK.sub(READING, text).replace(FOLDED_HOW, "")
    text = text.replace("](solutions/", f"](https://github.com/{repository_slug()}/{SOLUTIONS}/")
    for said, instead in SAID_INSTEAD:
        text = re.sub(r"\s+".join(map(re.escape, said.split())), instead, text)
    text = INTO_NOTEBOOK.sub(lambda link: f"{link[1]}#{anchor(link[2])})", text)
    text = PER_CENT.sub("\u00a0", text)
    text = re.sub(r"</summary>\n(?!\n)", "</summary>\n\n", text)
    return re.sub(r"(?<!\n)\n</details>", "\n\n</details>", text)


def anchor(heading: str) -> str:
    """Names a heading as MyST does; JupyterLab keeps capitals and commas.

    Example:
        >>> anchor("Should-I-use-LoRA,-and-with-what?")
        'should-i-use-lora-and-with-what'
    """
    return re.sub(r"[^\w-]", "", heading.lower())


def front_page() -> str:
    """Returns the front page in MyST: the explorer, the two commands, the map of the README."""
    from lora_edu.pretrained import load_pretrained
    from lora_edu.widgets.strength_explorer import strength_explorer

    rows = MAP_ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    rows = [
        (*row[:3], CODE.sub(r"<code>\1</code>", UNIT.sub("\u00a0", row[3])), row[4]) for row in rows
    ]
    path, whole = re.findall(r"\d+", rows[0][4])
    cards = [
        f'<li><a href="{file}.html"><img class="sign" alt="{escape(SIGNS[number]().title)}" '
        f'src="_static/signs/{number}.svg">'
        f'<span class="number">{number} · {time}</span>'
        f"<b>{title.replace('`', '')}</b>{able}</a></li>"
        for number, title, file, able, time in rows
    ]
    base = sum(parameter.numel() for parameter in load_pretrained("mini").parameters())
    adapter = ROOT / "data" / "adapters" / "menu" / "adapter_model.safetensors"
    return FRONT.format(
        share=100 * sum(tensor.numel() for tensor in load_file(adapter).values()) / base,
        explorer=WAY_TO_PYTHON.sub("null", strength_explorer().html()),
        block=block(),
        repository=f"https://github.com/{repository_slug()}",
        path=path,
        whole=whole,
        cards="\n".join(cards),
        pages="\n".join(f"{n} {title.replace('`', '')} <{file}>" for n, title, file, _, _ in rows),
    )


def lay_out(source: Path) -> None:
    """Puts all that Sphinx reads into a folder, which is made anew.

    Raises:
        FileNotFoundError: KaTeX is not there; the message says what to do.
    """
    katex = SITE / "node_modules" / "katex" / "dist"
    if not katex.is_dir():
        raise FileNotFoundError(f"{katex} is missing: run `npm ci` in docs/site, or `make site`")
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(SITE, source, ignore=shutil.ignore_patterns("node_modules", "package*.json"))
    fonts = source / "_static" / "katex" / "fonts"
    fonts.mkdir(parents=True)
    shutil.copy(katex / "katex.min.css", fonts.parent)
    for font in (katex / "fonts").glob("*.woff2"):
        shutil.copy(font, fonts)
    signs = source / "_static" / "signs"
    signs.mkdir()
    for number, sign in SIGNS.items():
        (signs / f"{number}.svg").write_text(sign().svg(), encoding="utf-8")
    answers = source / "_static" / "answers.js"
    answers.write_text(page_script(answers.read_text(encoding="utf-8")), encoding="utf-8")
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        solution = nbformat.read(NOTEBOOKS / "solutions" / path.name, as_version=4)
        page = page_of(nbformat.read(path, as_version=4), solution)
        nbformat.write(page, source / path.name)
    (source / "index.md").write_text(front_page(), encoding="utf-8")


def main() -> int:
    """Builds the site; returns the exit status, not 0 at any warning."""
    from sphinx.cmd.build import build_main

    source, output = BUILD / "site-source", BUILD / "site"
    lay_out(source)
    shutil.rmtree(output, ignore_errors=True)
    return build_main(["-q", "-W", "--keep-going", "-b", "html", str(source), str(output)])


if __name__ == "__main__":
    raise SystemExit(main())
