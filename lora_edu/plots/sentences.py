"""Tables of sentences: a table where there is room, a card for each row where it is narrow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

#: From this width on a table of four columns has lines of 20 characters and more.
ROOM_PX = 700
_LINK_OR_CODE = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)|`([^`]+)`")
# In the cell itself: a notebook that is not trusted has no style sheet, and stands on the right in
# JupyterLab.
_LEFT = 'style="text-align:left"'
_STYLE = f"""<style>
.sentences {{ container-type: inline-size; }}
.sentences table {{ border-collapse: collapse; margin: 0; width: 100%; table-layout: auto; }}
.sentences :is(th, td) {{ vertical-align: top; line-height: 1.4;
  white-space: normal !important; padding: .45em .7em; border-bottom: 1px solid #8888; }}
.sentences tr {{ background: none !important; }}
.sentences tbody td:first-child {{ font-weight: 600; }}
@container (max-width: {ROOM_PX}px) {{
  .sentences :is(table, tbody, tr, td) {{ display: block; }}
  .sentences thead {{ display: none; }}
  .sentences tr {{ padding: .6em 0; border-bottom: 1px solid #8888; }}
  .sentences td {{ border: 0; padding: .2em .1em; max-width: 46em; }}
  .sentences td:not(:first-child)::before {{ content: attr(data-column); display: block;
    opacity: .75; font-size: .85em; }}
}}
</style>"""


def sentence_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of sentences as HTML.

    Args:
        columns: The heading of each column; a card has it above each of its sentences.
        rows: Each row's cells: its name, then sentences. `[text](address)` is a link in them, and
            what is between backticks is code.

    Example:
        >>> "<code>r</code>" in sentence_table(["setting", "start with"], [["`r`", "8"]])
        True
    """
    head = "".join(f'<th scope="col" {_LEFT}>{inline_html(column)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td {_LEFT} data-column="{escape(column)}">{inline_html(cell)}</td>'
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="sentences">{_STYLE}{table}</div>'


def inline_html(text: str) -> str:
    """Links and code of Markdown as HTML; all else is plain text.

    Example:
        >>> inline_html("[PEFT](peft.html) & `r`")
        '<a href="peft.html">PEFT</a> &amp; <code>r</code>'
    """
    parts, end = [], 0
    for found in _LINK_OR_CODE.finditer(text):
        said, address, code = found.groups()
        parts.append(escape(text[end : found.start()]))
        link = f'<a href="{escape(address)}">{escape(said)}</a>' if address else ""
        parts.append(link or f"<code>{escape(code)}</code>")
        end = found.end()
    return "".join([*parts, escape(text[end:])])
