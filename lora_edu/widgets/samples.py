"""What a model says while it learns: the same question, answered at a few steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from lora_edu.plots import widths_px

# Said in the cell: the lines of a widget are as high as its buttons.
_LINES = "text-align:left;vertical-align:top;line-height:1.45;padding:2px 14px 2px 0"
_CELL = f'style="{_LINES};white-space:pre-wrap"'
_WIDE = f"{widths_px()['wide']}px"  # as the picture above, so that long texts are seen whole
_STEP = f'style="{_LINES};white-space:nowrap"'


class Samples:
    """Texts after some steps of a run.

    Args:
        say: Returns what the model says now, `generate_text` on a fixed prompt for example.
        after: The steps after which it is asked; 0 is the start.

    Example:
        >>> samples = Samples(lambda: "Ahoy!", after=(0, 10, 40))
        >>> for step in range(41):
        ...     _ = samples.take(step)
        >>> samples.texts
        {0: 'Ahoy!', 10: 'Ahoy!', 40: 'Ahoy!'}
    """

    def __init__(self, say: Callable[[], str], after: Iterable[int]) -> None:
        self.texts: dict[int, str] = {}
        self._say, self._steps = say, set(after)

    @property
    def most(self) -> int:
        """How many texts there may be."""
        return len(self._steps)

    def take(self, step: int) -> bool:
        """Takes a text after this step, if it is one for that; says whether it did.

        Raises:
            Exception: whatever `say` raises.
        """
        wanted = step in self._steps and step not in self.texts
        if wanted:
            self.texts[step] = self._say()
        return wanted

    def html(self) -> str:
        """Returns the texts so far as a table, a row each."""
        rows = (
            f'<tr><th scope="row" {_STEP}>step {step}</th>'
            f"<td {_CELL}>{escape(_left_open(text))}</td></tr>"
            for step, text in self.texts.items()
        )
        return f'<table style="max-width:{_WIDE}">{"".join(rows)}</table>'


def _left_open(text: str) -> str:
    r"""Marks a text that was cut off before its sentence ended.

    Example:
        >>> _left_open("Ahoy!"), _left_open("He had a big hat and a long no")
        ('Ahoy!', 'He had a big hat and a long no\xa0…')
    """
    ended = text.rstrip().endswith((".", "!", "?", '"', "”", "…"))
    return text if ended or not text.strip() else f"{text.rstrip()}\N{NO-BREAK SPACE}…"
