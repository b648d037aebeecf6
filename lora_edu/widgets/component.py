"""An explorer that needs no kernel: a small program inside a cell's output, with its data.

It is one output of HTML: a picture with its text, and a script that puts the explorer in the
picture's place. So it works in JupyterLab and Notebook, when a saved notebook is opened again, in a
page that nbconvert made and on the course's site; a reader whose page runs no scripts (a notebook
that is not trusted yet, say) sees the picture. No widget is in the output: once its kernel has
ended, JupyterLab would show an error in its place.

Only an explorer that asks a model, with the learner's own prompt for instance, reaches Python. Its
*bridge* is an anywidget that is never shown: the page finds it by its key.

The programs are `components/NAME.js`, each a module over `components/kit.js`.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from lora_edu.plots import image_tag, widths_px
from lora_edu.widgets.error_line import type_and_message

Ask = Callable[[Any], Any]

#: Tells the explorers of this kernel from those of another notebook in the same page.
SESSION = secrets.token_hex(4)
WAIT_SECONDS = 60  # for an answer of Python's
_WIDTH_PX = widths_px()["wide"]
_EXPORT = re.compile(r"^export (?=function|const|async)", flags=re.MULTILINE)
_IMPORT = re.compile(r'^import [^;]* from "\./(\w+)\.js";\n', flags=re.MULTILINE)
_STILL = "<p><i>A picture. It moves once its cell is run, and on the course's site.</i></p>"
_SCRIPT = """<div data-lora="{key}">{picture}</div>
<script type="module">
{code}
start("{key}", mount, {data}, {ask});
</script>"""
_BRIDGE = """export default {{ initialize({{ model }}) {{
  const bridges = (globalThis.loraBridges ??= new Map());
  bridges.set("{key}", model);
  return () => bridges.delete("{key}");
}} }};"""

_bridges: dict[str, Any] = {}  # kept alive as long as the kernel is


class Component:
    """An explorer, shown when a cell ends in it.

    Args:
        name: Of the program, `components/NAME.js`.
        data: What it answers from; goes into the output as JSON.
        alt: In words what the explorer shows at first; the picture's text.
        text: The same at more length, for readers who see text alone. Tests compare it.
        ask: Answers a request of the page; what it raises is shown in the explorer, in words.
            Requests and answers are what JSON can hold.
        pictured: Whether the program's still picture shows this opening state. Where it does not,
            a page without scripts has the words alone.
    """

    def __init__(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        alt: str,
        text: str = "",
        ask: Ask | None = None,
        pictured: bool = True,
    ) -> None:
        self.name, self.data, self.alt, self.ask = name, data, alt, ask
        self.pictured = pictured
        self._text = text or alt

    @property
    def key(self) -> str:
        """Names the explorer in its page: the same for the same program and data.

        With a way to Python, it also names the kernel.
        """
        content = program(self.name) + _as_json(self.data)
        key = "lx" + hashlib.sha256(content.encode()).hexdigest()[:8]
        return key if self.ask is None else f"{key}-{SESSION}"

    def html(self) -> str:
        """Returns the explorer as a piece of HTML, which needs nothing from elsewhere."""
        way = "null" if self.ask is None else f'toPython("{self.key}", {WAIT_SECONDS})'
        return _SCRIPT.format(
            key=self.key,
            picture=self._picture(),
            code=program(self.name),
            data=_as_json(self.data),
            ask=way,
        )

    def _picture(self) -> str:
        """What is seen where no script runs: how the explorer looks at first."""
        picture = resources.files(__package__) / "components" / f"{self.name}.png"
        if not (self.pictured and picture.is_file()):
            return f"<p>{escape(self.alt)}</p>"
        return image_tag(picture.read_bytes(), self.alt, width_px=_WIDTH_PX) + _STILL

    def __repr__(self) -> str:
        """Returns the text for readers without pictures."""
        return self._text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        if self.ask is not None:
            connect(self.key, self.ask)
        return {"text/html": self.html(), "text/plain": repr(self)}


@cache
def program(name: str) -> str:
    """Returns an explorer's whole program as one script: what it imports, then its own part.

    Raises:
        FileNotFoundError: there is no such program.
    """
    modules: dict[str, str] = {}
    _collect(name, modules)
    code = "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in modules.values())
    style = _read("kit.css")
    return f"const CSS = {json.dumps(style)};\n{code}".replace("</script", r"<\/script")


def _collect(name: str, modules: dict[str, str]) -> None:
    """Adds a module behind those that it imports; each once."""
    code = _read(f"{name}.js")
    for needed in _IMPORT.findall(code):
        if needed not in modules:
            _collect(needed, modules)
    modules[name] = code


def _read(name: str) -> str:
    return (resources.files(__package__) / "components" / name).read_text(encoding="utf-8")


def connect(key: str, ask: Ask) -> None:
    """Lets an explorer in the page ask Python.

    Args:
        key: As `Component.key`.
        ask: Called with each request, in the kernel's main thread, when no cell runs.
    """
    if not _connect_colab(key, ask):
        _bridges[key] = _bridge(key, ask)


def _connect_colab(key: str, ask: Ask) -> bool:
    """Registers `ask` with Colab, whose outputs cannot see each other; False elsewhere."""
    try:
        from google.colab import output
    except ImportError:
        return False
    from IPython.display import JSON

    output.register_callback(key, lambda request: JSON(answer_to(request, ask)))
    return True


def _bridge(key: str, ask: Ask) -> Any:
    from anywidget import AnyWidget

    def on_message(bridge: AnyWidget, message: dict, _: Any) -> None:
        bridge.send({"id": message["id"], **answer_to(message["request"], ask)})

    bridge = AnyWidget(_esm=_BRIDGE.format(key=key))
    bridge.on_msg(on_message)
    return bridge


def answer_to(request: Any, ask: Ask) -> dict[str, Any]:
    """Returns {"value": …}, or {"error": …} with what `ask` raised.

    Example:
        >>> answer_to(2, lambda x: 1 / x), answer_to(0, lambda x: 1 / x)
        ({'value': 0.5}, {'error': 'ZeroDivisionError: division by zero'})
    """
    try:
        return {"value": ask(request)}
    except Exception as error:  # whatever it is, the learner is told
        return {"error": type_and_message(error)}


def _as_json(data: Mapping[str, Any]) -> str:
    """As compact as JSON gets, and nothing in it ends a script."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")
