"""The strength explorer: choose an adapter, drag its strength, watch the text change.

State in (`StrengthState`), words and picture out (`explain`, `describe`); `StrengthExplorer` puts
controls around them. It answers from a recording at once; a button asks the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets

from lora_edu.plots import live_paragraph
from lora_edu.widgets.live import LABELLED, LivePicture, View
from lora_edu.widgets.strength_picture import StrengthPicture
from lora_edu.widgets.strength_record import (
    CLASSES,
    STRENGTHS,
    Answer,
    Recording,
    Responder,
    read_recording,
)

# Name of an adapter's folder: what it does, in a few words.
ADAPTERS = {
    "tales": "tales: a pirate speaks",
    "menu": "menu: a sentence from data",
    "spam": "spam: is this message spam?",
}
_LABEL_LENGTH = 48


@dataclass(frozen=True)
class StrengthState:
    """What is set, and the answers that belong to it.

    Args:
        adapter: A key of `ADAPTERS`.
        prompt: What the model reads.
        strength: What the adapter's update is multiplied by.
        answer: With the adapter at this strength.
        base: At strength 0.
        live: Whether the answers were computed just now and not recorded.
        unread: Tokens at the prompt's start that did not fit into the model's context.
    """

    adapter: str
    prompt: str
    strength: float
    answer: Answer
    base: Answer
    live: bool = False
    unread: int = 0

    @property
    def classifies(self) -> bool:
        """Whether the answer is a class and not a text."""
        return set(self.answer.shares) == set(CLASSES)


def explain(state: StrengthState) -> str:
    """The answer in words, prompt and continuation apart.

    Example:
        >>> spam = Answer("", {"not spam": 0.1, "spam": 0.9})
        >>> explain(StrengthState("spam", "Win a prize", 1.0, spam, spam))
        'Strength 1.0: Win a prize → spam (90 %)'
    """
    source = ", live" if state.live else ""
    source += f", without the prompt's first {state.unread} tokens" if state.unread else ""
    if state.classifies:
        said = f"→ {state.answer.likeliest} ({100 * max(state.answer.shares.values()):.0f} %)"
        return f"Strength {state.strength:.1f}{source}: {state.prompt.strip()} {said}"
    said = state.answer.text.strip()
    return f"Strength {state.strength:.1f}{source}: {state.prompt.strip()} → {said}"


def finding(state: StrengthState) -> str:
    """The picture's title: what is likeliest now, and what it was."""
    now, before = state.answer.likeliest, state.base.likeliest
    what = "class" if state.classifies else "next token"
    share = f"“{now}”, {100 * state.answer.shares[now]:.0f} per cent"
    if now == before:
        return f"Strength {state.strength:.1f}: likeliest {what} {share}, as at 0"
    return f"Strength {state.strength:.1f}: likeliest {what} {share}; at 0: “{before}”"


def describe(state: StrengthState) -> str:
    """The picture in words, for those who do not see it.

    Example:
        >>> spam = Answer("", {"not spam": 0.25, "spam": 0.75})
        >>> describe(StrengthState("spam", "Win", 1.0, spam, spam))[-49:]
        'not spam 25 per cent (25), spam 75 per cent (75).'
    """
    rows = ", ".join(
        f"{name} {100 * share:.0f} per cent ({100 * state.base.shares.get(name, 0.0):.0f})"
        for name, share in state.answer.shares.items()
    )
    return f"{finding(state)}. Bars, in brackets at strength 0: {rows}."


class StrengthExplorer(LivePicture):
    """The explorer, shown by `_ipython_display_`.

    Args:
        recording: Recorded answers; those that ship by default.
        make_responder: Makes what answers live, when it is first asked.
    """

    def __init__(
        self,
        recording: Recording | None = None,
        make_responder: Callable[[], Responder] = Responder,
    ) -> None:
        self.recording = read_recording() if recording is None else recording
        self._make_responder, self._responder = make_responder, None
        self._drawing = StrengthPicture()
        self._live: StrengthState | None = None
        self.own = ipywidgets.Text(
            description="Your own prompt:",
            placeholder="leave empty for the one above",
            style=LABELLED,
            layout=ipywidgets.Layout(width="480px"),
        )
        self.button = ipywidgets.Button(
            description="Run it live", tooltip="Ask the model itself, on this machine"
        )
        self.button.on_click(self.run_live)
        controls = self._controls()
        controls["adapter"].observe(self._offer_prompts, "value")  # before the first redraw
        rows = [("adapter", "prompt"), ("strength",)]
        super().__init__(controls, self._view, rows, height_px=385, text_height_px=120)
        lines = self.widget.children[:-3]
        live = ipywidgets.HBox([self.own, self.button])
        live.layout.flex_flow = "row wrap"
        self.widget.children = (*lines, self.text, self.picture, live, self.error_line)

    def _controls(self) -> dict[str, ipywidgets.Widget]:
        names = [(title, name) for name, title in ADAPTERS.items() if name in self.recording]
        wide = ipywidgets.Layout(width="440px")
        self._prompts = ipywidgets.Dropdown(
            options=self._labels(names[0][1]), description="Prompt:", style=LABELLED, layout=wide
        )
        return {
            "adapter": ipywidgets.Dropdown(options=names, description="Adapter:", style=LABELLED),
            "prompt": self._prompts,
            "strength": ipywidgets.FloatSlider(
                value=1.0,
                min=STRENGTHS[0],
                max=STRENGTHS[-1],
                step=0.1,
                readout_format=".1f",
                description="Strength:",
                style=LABELLED,
                layout=ipywidgets.Layout(width="520px"),
            ),
        }

    def _labels(self, adapter: str) -> list[tuple[str, int]]:
        """The prompts of an adapter as a drop-down takes them."""
        texts = [prompt.text.strip().replace("\n", " ") for prompt in self.recording[adapter]]
        short = [t if len(t) <= _LABEL_LENGTH else t[:_LABEL_LENGTH] + "…" for t in texts]
        return [(text, number) for number, text in enumerate(short)]

    def _offer_prompts(self, _: Any) -> None:
        with self.error_line:
            self._prompts.options = self._labels(self.controls["adapter"].value)

    def state(self, adapter: str, prompt: int, strength: float) -> StrengthState:
        """The recorded state for values of the controls."""
        recorded = self.recording[adapter][min(prompt, len(self.recording[adapter]) - 1)]
        return StrengthState(
            adapter, recorded.text, strength, recorded.at(strength), recorded.at(0.0)
        )

    def _view(self, values: dict[str, Any]) -> View:
        state = self._live or self.state(**values)
        shown = self._drawing.png(finding(state), state.answer.shares, state.base.shares)
        return View(shown, describe(state), explain(state))

    def redraw(self, change: Any = None) -> None:
        """Shows the recorded answer of the present state, or the live one just computed."""
        if change is not None:  # a control moved: what was computed is out of date
            self._live = None
        super().redraw(change)

    def as_html(self, shown: View) -> str:
        """Prompt in plain letters, the answer in bold ones."""
        return _as_html(self._live or self.state(**self.values))

    def run_live(self, _: Any = None) -> None:
        """Asks the model itself, with the learner's own prompt if there is one."""
        self.button.disabled = True
        try:
            with self.error_line:
                self._live = self._answer_live()
                self.redraw()
        finally:
            self.button.disabled = False

    def _answer_live(self) -> StrengthState:
        recorded = self.state(**self.values)
        prompt = self.own.value or recorded.prompt
        if recorded.prompt.endswith("\n") and not prompt.endswith("\n"):  # a field has one line
            prompt += "\n"
        if self._responder is None:
            self._responder = self._make_responder()
        answer, adapter, strength = self._responder.answer, recorded.adapter, recorded.strength
        base, now = answer(adapter, prompt, 0.0), answer(adapter, prompt, strength)
        unread = self._responder.unread_tokens(prompt)
        return StrengthState(adapter, prompt, strength, now, base, live=True, unread=unread)

    def __repr__(self) -> str:
        """Returns the first prompt at five strengths, for readers without a kernel."""
        adapter, prompt = self.values["adapter"], self.values["prompt"]
        lines = (explain(self.state(adapter, prompt, s)) for s in (-1.0, 0.0, 0.5, 1.0, 2.0))
        return "\n".join([ADAPTERS[adapter], *lines])


def _as_html(state: StrengthState) -> str:
    """Prompt in plain letters, the answer in bold ones."""
    if state.classifies:
        said = f" → <b>{escape(explain(state).rpartition('→ ')[2])}</b>"
    else:
        said = f"<b>{escape(state.answer.text)}</b>"
    note = " (live, on this machine)" if state.live else ""
    if state.unread:
        note += (
            f"<br>The prompt is {state.unread} tokens too long for this model, which read only its "
            "end."
        )
    text = (escape(state.prompt) + said).replace("\n", "<br>")
    return live_paragraph(text + note)


def strength_explorer() -> StrengthExplorer:
    """Makes the strength explorer over the shipped adapters."""
    return StrengthExplorer()
