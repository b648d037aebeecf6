"""Brings a widget of a cell that was just run onto the screen.

JupyterLab goes on to the next cell and puts that in the middle, so that of what is above it only
the lower part is seen: a view with its buttons at the top would begin off the screen.
"""

from __future__ import annotations

from anywidget import AnyWidget
from ipywidgets import Layout

# Once for each run: it is drawn anew when the reader scrolls back to it, and must not pull then.
_PROGRAM = """const seen = new WeakSet();
export default { render({ model, el }) {
  if (seen.has(model)) return;
  seen.add(model);
  setTimeout(() => {
    const cell = el.closest(".jp-Cell");
    if (cell?.nextElementSibling?.matches(".jp-mod-active"))
      el.closest(".lora-live")?.scrollIntoView({ block: "nearest" });
  }, 300);
} };"""


def into_view() -> AnyWidget:
    """Returns a widget that is not seen; the box `.lora-live` around it comes onto the screen."""
    return AnyWidget(_esm=_PROGRAM, layout=Layout(display="none"))
