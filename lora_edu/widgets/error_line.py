"""A line in a widget that says in words what went wrong in it.

JupyterLab shows nothing of an exception in a widget's callback: the traceback goes to its log, and
the picture stays as it was, as if the click had not come. So a widget has such a line, and what
goes wrong in a block of its own is said there:

    with self.error_line:
        …

The exception goes on from there: a cell that called shows it, and the kernel logs its traceback.
"""

from __future__ import annotations

from html import escape
from types import TracebackType

import ipywidgets

from lora_edu.plots import alert_paragraph


class ErrorLine(ipywidgets.HTML):
    """Nothing as long as all goes well; after an exception its type and message, in words.

    Example:
        >>> line = ErrorLine()
        >>> try:
        ...     with line:
        ...         raise ValueError("300 tokens do not fit")
        ... except ValueError:
        ...     "300 tokens do not fit" in line.value
        True
        >>> with line:
        ...     pass
        >>> line.value
        ''
    """

    def __enter__(self) -> ErrorLine:
        """Returns the line; what it says stays until the block has ended."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Says what went wrong and lets it go on, or clears the line."""
        self.say(error)

    def say(self, error: BaseException | None) -> None:
        """Shows an exception, or clears the line where there is none."""
        if error is None:
            self.value = ""
            return
        said = escape(type_and_message(error))
        self.value = alert_paragraph(
            f"<b>That did not work.</b> {said}<br>Everything else here is still from before."
        )


def type_and_message(error: BaseException) -> str:
    """An exception as the last line of its traceback has it.

    Example:
        >>> type_and_message(KeyError("fc")), type_and_message(MemoryError())
        ("KeyError: 'fc'", 'MemoryError')
    """
    return type(error).__name__ + (f": {error}" if str(error).strip() else "")
