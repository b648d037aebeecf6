"""How Sphinx makes the course's site; `scripts/build_site.py` lays out what it reads."""

from __future__ import annotations

import re

import sphinxcontrib.katex as katex
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# By a socket's file the extension may call its server before that listens; by a port it waits.
katex.KaTeXServer.start_server_process = katex.KaTeXServer.start_network_socket
katex.STARTUP_TIMEOUT = 60  # seconds; node starts slowly on a busy machine

project = html_title = "Learn LoRA"
author = copyright = "the lora_edu authors"
extensions = ["myst_nb", "sphinx_copybutton", "sphinxcontrib.katex"]
nb_execution_mode = "off"  # outputs are shown as they are stored
nb_merge_streams = True
nb_render_markdown_format = "gfm"  # an output may hold a table
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3  # links to page.ipynb#a-heading
katex_prerender = True  # formulas are typeset now, not in the reader's browser
katex_css_path = "katex/katex.min.css"
html_theme = "furo"
html_theme_options = {
    "light_css_variables": {
        "font-stack": '-apple-system, "Segoe UI", Roboto, Arial, "DejaVu Sans", sans-serif',
        "font-stack--monospace": 'ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace',
        "color-brand-primary": "#0072b2",
        "color-brand-content": "#0072b2",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6cc0f0",
        "color-brand-content": "#6cc0f0",
    },
}
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js", "answers.js", ("block.js", {"type": "module"})]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

DEEPER = "Deeper: "  # how the heading begins of a section that JupyterLab folds
BESIDE = "◇ "  # and how the line begins that says its minutes
GAP = re.compile(r"\S {2,}\S| \| ")  # between two columns of a printed line


class FoldedCode(SphinxPostTransform):
    """Says above folded code what it does, in the words of its `# @title`."""

    default_priority = 200  # right after myst-nb, which folds it at 199
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Names each fold whose code has a title, which then leaves the code."""
        for fold in self.document.findall(HideCodeCellNode):
            code = next(fold.findall(nodes.literal_block), None)
            if code is None or not code.astext().startswith("# @title "):
                continue
            title, _, rest = code.astext().partition("\n")
            said = title.removeprefix("# @title ").removeprefix("What it does: ")
            fold["prompt_show"] = fold["prompt_hide"] = said[0].upper() + said[1:]
            code.replace_self(nodes.literal_block(rest, rest, **code.attributes))


class Columns(SphinxPostTransform):
    """Marks what a cell printed in columns: there a line must not wrap."""

    default_priority = 200
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Marks an output of which two lines or more, and half of all, have a gap or a rule."""
        for printed in self.document.findall(nodes.literal_block):
            lines = printed.astext().strip().splitlines()
            columns = [line for line in lines if GAP.search(line)]
            if "output" in printed["classes"] and len(columns) >= max(2, len(lines) / 2):
                printed["classes"].append("columns")


class FoldedSections(SphinxPostTransform):
    """Folds a section beside the path to its heading and its minutes, as JupyterLab does."""

    default_priority = 900  # after all that looks for headings or cells
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Puts what is beneath the heading into a `<details>`, which needs no script to open."""
        for section in self.document.findall(nodes.section):
            heading = section.next_node(nodes.title)
            if heading is None or not heading.astext().startswith(DEEPER):
                continue
            place = section.index(heading)
            before, rest = section.children[:place], section.children[place + 1 :]
            minutes = []
            if rest and rest[0].astext().startswith(BESIDE):
                # A paragraph may not be in a summary.
                minutes = [nodes.inline("", "", *rest.pop(0).children, classes=["minutes"])]
            opening = _html('<details class="deeper"><summary>')
            summed_up = [opening, heading, *minutes, _html("</summary>")]
            section.children = []
            section.extend([*before, *summed_up, *rest, _html("</details>")])


def _html(tags: str) -> nodes.raw:
    return nodes.raw("", tags, format="html")


def setup(app: Sphinx) -> None:
    """What Sphinx calls to know of the transforms."""
    app.add_post_transform(FoldedCode)
    app.add_post_transform(Columns)
    app.add_post_transform(FoldedSections)
