"""All claims as HTML: by verdict, a row each, and what it rests on folded beneath.

Styles are in the tags, which a notebook keeps that is not trusted; where a page drops them, too, a
row is still its verdict, its claim and its number, beneath each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lora_edu.plots import EDGES, Mood, inline_html, widths_px
from lora_edu.tasks.claims.verdicts import FAILS, HOLDS, OPEN, Claim, Trial

MARKS = {HOLDS: "✓", FAILS: "✗", OPEN: "?"}
NOTEBOOKS = {
    "01": "01_what_rank_means",
    "02": "02_build_lora",
    "03": "03_lora_in_a_gpt",
    "05": "05_finetune_a_classifier",
    "06": "06_finetune_a_generator",
    "08": "08_a_model_you_did_not_write",
}
_MOODS: dict[str, Mood] = {HOLDS: "right", FAILS: "wrong", OPEN: "open"}
_NOTE = (
    "The number in a row is of the trial that decides: against a claim the one farthest from 0, "
    "for a claim the one nearest to it, both counted in halves of the interval, and where nobody "
    "can tell the first that leaves it open."
)
# Beside each other where there is room, beneath each other on a phone.
_ROW = "display:flex;flex-wrap:wrap;gap:6px 18px;align-items:flex-start;text-align:left"
_PILL = "display:inline-block;padding:2px 11px;border-radius:12px;color:#fff;font-weight:700;"
_PILL += "font-size:.88em;line-height:1.6;white-space:nowrap"
_QUIET = "font-size:.88em"  # not paler: a link in it would be hard to read
_LINE = "border-top:1px solid #8886"


def claims_page(claims: Sequence[Claim]) -> str:
    """Returns all claims as HTML, those that hold first."""
    groups = ((verdict, [c for c in claims if c.verdict == verdict]) for verdict in MARKS)
    parts = "".join(
        f'<div style="margin:22px 0 6px"><b>{verdict.capitalize()}: '
        f"{len(group)} of {len(claims)}</b></div>{''.join(map(_row, group))}"
        for verdict, group in groups
        if group
    )
    note = f'<div style="{_QUIET}">{_NOTE}</div>'
    wide = widths_px()["wide"]
    return f'<div style="max-width:{wide}px;line-height:1.45">{note}{parts}</div>'


def notebook_links(claim: Claim) -> str:
    """Where a claim is told in full, in Markdown.

    Example:
        >>> notebook_links(Claim("", "", [], ["01", "10"]))
        '[01](01_what_rank_means.ipynb), above'
    """
    told = (
        f"[{n}]({NOTEBOOKS[n]}.ipynb)" if n in NOTEBOOKS else {"10": "above"}.get(n, n)
        for n in claim.told
    )
    return ", ".join(told)


def _row(claim: Claim) -> str:
    verdict = claim.verdict
    pill = f"{_PILL};background:{EDGES[_MOODS[verdict]]}"
    said = f"<b>{escape(claim.said)}</b>"
    source = f'<div style="{_QUIET}">{inline_html(claim.source)}</div>'
    what, figure = claim.decisive.parts if claim.trials else ("", "")
    number = f'<b>{escape(figure)}</b><div style="{_QUIET}">{escape(what)}</div>'
    told = f'<div style="flex:4 1 270px">{said}{source}</div>'
    told += f'<div style="flex:3 1 210px">{number}</div>'
    return (
        f'<div style="{_LINE};padding:11px 0;{_ROW}">'
        f'<div style="flex:0 0 165px"><span style="{pill}">{MARKS[verdict]} {verdict}</span></div>'
        f'<div style="flex:1 1 280px"><div style="{_ROW}">{told}</div>{_folded(claim)}</div></div>'
    )


def _folded(claim: Claim) -> str:
    """Every trial of a claim, the records that they are of, and where more is told."""
    trials = "".join(map(_trial, claim.trials))
    records = ", ".join(f"<code>data/results/{name}.json</code>" for name in claim.records)
    of = f"Recorded in {records}" if records else "Measured or counted when this cell ran"
    told = f"told in full: {inline_html(notebook_links(claim))}"
    many = len(claim.trials) != 1
    count = f"All {len(claim.trials)} trials, and the records" if many else "The trial's record"
    return (
        f'<details><summary style="{_QUIET};margin-top:4px">{count}</summary>'
        f'<div style="padding:4px 0 0 14px">{trials}'
        f'<div style="{_QUIET};margin-top:6px;overflow-wrap:anywhere">{of}; {told}.</div>'
        "</div></details>"
    )


def _trial(trial: Trial) -> str:
    what, figure = trial.parts
    return (
        f'<div style="margin:3px 0">{MARKS[trial.verdict]} {escape(what)}: '
        f"<b>{escape(figure)}</b></div>"
    )
