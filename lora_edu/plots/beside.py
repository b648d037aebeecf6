"""Texts beside each other: what two models say, each on a card, left-aligned as prose is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from html import escape

from lora_edu.plots.display import LINE_CHARACTERS
from lora_edu.plots.sheet import widths_px
from lora_edu.plots.style import CONCEPTS, concept_of
from lora_edu.plots.tables import note_beneath

# As many columns as there is room for, but two for four cards; on a phone, one. The letters are the
# page's, and the cards a shade of its paper, light or dark.
_GRID = (
    "display:grid;grid-template-columns:repeat(auto-fit,minmax(min({least}px,100%),1fr));"
    "gap:12px;max-width:{widest};margin:4px 0"
)
_ENDED = re.compile(r"""[.!?:]['"”’)]?$""")
_LEAST_PX, _LEAST_OF_FOUR_PX = 240, 340
_CARD = "border-radius:6px;padding:8px 14px;background:rgba(128,128,128,.1);text-align:left"


class Cards:
    """Texts on cards, shown when a cell ends in it.

    Args:
        texts: Who says it → what; a blank line begins a paragraph.
        title: What all of them are about; stands above the cards.
        note: What a reader should know of the texts, in small letters beneath the cards.
    """

    def __init__(self, texts: Mapping[str, str], title: str = "", note: str = "") -> None:
        self.texts = {name: text.split("\n\n") for name, text in texts.items()}
        self.title = title
        self.note = note

    def __repr__(self) -> str:
        """Returns the title, the texts beneath each other, each beneath its name, and the note."""
        beneath = [textwrap.fill(self.note, LINE_CHARACTERS)] if self.note else []
        above = [textwrap.fill(self.title, LINE_CHARACTERS)] if self.title else []
        return "\n\n".join(
            above
            + [
                f"{name}:\n" + "\n\n".join(textwrap.fill(part, LINE_CHARACTERS) for part in parts)
                for name, parts in self.texts.items()
            ]
            + beneath
        )

    def _repr_html_(self) -> str:
        cards = "".join(_card(name, parts) for name, parts in self.texts.items())
        wide = widths_px()["narrow" if len(self.texts) == 1 else "wide"]
        margins = f"margin:8px 0 4px;max-width:{wide}px"  # as wide as the cards beneath it
        above = f'<p style="{margins}">{escape(self.title)}</p>' if self.title else ""
        grid = _GRID.format(
            least=_LEAST_OF_FOUR_PX if len(self.texts) == 4 else _LEAST_PX,
            widest=f"{wide}px",
        )
        return f'{above}<div style="{grid}">{cards}</div>{note_beneath(self.note)}'


def _card(name: str, parts: list[str]) -> str:
    edge = CONCEPTS[concept_of(name) or "frozen"]
    said = "".join(
        f'<p style="margin:.5em 0 0;line-height:1.5">{escape(part)}</p>' for part in parts
    )
    # mixed with the page's own ink, it is lighter on a dark page, as in the figures
    mixed = f"border-left-color:color-mix(in oklab,{edge} 72%,currentColor)"
    style = f"{_CARD};border-left:5px solid {edge};{mixed}"
    return f'<div style="{style}"><b>{escape(name)}</b>{said}</div>'


def to_last_word(text: str) -> str:
    """What a model wrote up to a limit: without a last, perhaps broken word, and with "…".

    A text whose end is that of a sentence stays as it is, and so does a single word.

    Example:
        >>> to_last_word("He ran. She ra"), to_last_word("He ran."), to_last_word("Ye")
        ('He ran. She …', 'He ran.', 'Ye')
    """
    whole, _, _ = text.rpartition(" ")
    return text if _ENDED.search(text) or not whole else f"{whole} …"


def cards(texts: Mapping[str, str], title: str = "", note: str = "") -> Cards:
    """Returns texts to show beside each other in a notebook, as the last line of a cell.

    A name that speaks of a concept, such as "LoRA", gives its card the concept's colour.

    Args:
        texts: Who says it → what; a blank line begins a paragraph.
        title: What all of them are about, if anything.
        note: What a reader should know of the texts, such as which command recorded them.

    Example:
        >>> cards({"base": "Tom went to the park.", "LoRA": "Tom went to the sea."})
        base:
        Tom went to the park.
        <BLANKLINE>
        LoRA:
        Tom went to the sea.
    """
    return Cards(texts, title, note)
