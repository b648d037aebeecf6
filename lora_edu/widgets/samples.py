"""What a model says while it learns: the same question, answered at a few steps of a run."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

_CELL = 'style="text-align:left;vertical-align:top;white-space:pre-wrap"'


class Samples:
    """Texts at the start, after a quarter and a half, and at the end of a run.

    Args:
        say: Returns what the model says now, `generate_text` on a fixed prompt for example.
        steps: Length of the run.

    Example:
        >>> samples = Samples(lambda: "Ahoy!", steps=40)
        >>> for step in range(41):
        ...     _ = samples.take(step)
        >>> samples.texts
        {0: 'Ahoy!', 10: 'Ahoy!', 20: 'Ahoy!', 40: 'Ahoy!'}
    """

    def __init__(self, say: Callable[[], str], steps: int) -> None:
        self.texts: dict[int, str] = {}
        self._say, self._steps = say, {0, steps // 4, steps // 2, steps}

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
            f'<tr><th scope="row" {_CELL}>step {step}</th><td {_CELL}>{escape(text)}</td></tr>'
            for step, text in self.texts.items()
        )
        return f"<table>{''.join(rows)}</table>"
