"""A live view of a training run: loss and accuracy as they come, with buttons to stop and go on.

    history = await watch(lambda follow: fit(model, …, steps=40, callbacks=[follow]), steps=40, …)

The run has a thread of its own, and stopping *holds* it between two steps: nothing is lost, and
going on gives the run that was never stopped. The cell waits for the run to end or to be held. It
waits by `await`, which lets a recent kernel hear clicks meanwhile. An older one, Colab's for
instance, hears them when the cell has ended; there the cell's own stop button does the same.
"""

from __future__ import annotations

import asyncio
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from html import escape
from importlib.metadata import PackageNotFoundError, version

import ipywidgets
from IPython.display import display
from torch import nn

from lora_edu.plots import (
    LINE_CHARACTERS,
    image_tag,
    live_paragraph,
    show_widget,
    smoothed,
)
from lora_edu.training import History, evaluation_mode
from lora_edu.widgets.error_line import ErrorLine, type_and_message
from lora_edu.widgets.into_view import into_view
from lora_edu.widgets.samples import Samples
from lora_edu.widgets.training_picture import TrainingPicture

Follow = Callable[[nn.Module, History], None]

HELD = "held"
_FIRST_THAT_HEARS = 7  # version of ipykernel: an older one hears clicks when the cell has ended
_REDRAW_SECONDS = 0.5  # between two pictures: drawing takes time from training
_PICTURE_PX = 210  # its own 192 and its sheet's edges
_SAMPLE_PX = 46  # two lines: kept free from the start, so that no sample pushes the view away
# For screen readers alone: the picture in words.
_UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
# Of the widget and the still picture beneath it one is seen: the widget as long as it lives.
_CHILD = ".jp-OutputArea-child"
_STILL_STYLE = (
    f"<style>{_CHILD}:has(.lora-live) + {_CHILD}:has(.lora-still),"
    f"{_CHILD}:not(:has(.lora-live)):has(+ {_CHILD} .lora-still){{display:none}}</style>"
)
_LOOK_SECONDS = 0.05  # how often the waiting cell looks whether the run has ended or is held


class TrainingView:
    """A picture of a run under two buttons and a line that says how far it is.

    Args:
        train: Trains with the callback that it is given, and returns the history: a call of
            `fit` with `callbacks=[follow]`.
        steps: Length of the run.
        title: What is trained; where it says "LoRA", the curve has LoRA's colour.
        accuracy: Whether the evaluations bring `validation_accuracy`.
        samples: What the model says after some of the steps; nothing by default.
        before: What was measured before the first step, if anything; drawn at step 0.
    """

    def __init__(
        self,
        train: Callable[[Follow], History],
        steps: int,
        title: str,
        accuracy: bool,
        samples: Samples | None = None,
        before: Mapping[str, float] | None = None,
    ) -> None:
        self.history = History()
        self._train, self._steps, self._name = train, steps, title
        self._picture = partial(TrainingPicture, steps, accuracy, name=title, before=before)
        self._drawing = self._picture(titled=False)
        self.samples = samples
        self._hold, self._held, self._ended = (threading.Event() for _ in range(3))
        self._next_drawing = 0.0
        self._error: BaseException | None = None
        self._cell_waits = True  # as long as it does, it stores the picture, and not the run
        self._display_id = f"training-{id(self)}"
        self.stop = self._button("Stop", "Hold the run after the step that it is in", self.hold)
        self.go_on = self._button("Go on", "Take the run up again where it is held", self.resume)
        self.picture = ipywidgets.HTML(layout=ipywidgets.Layout(height=f"{_PICTURE_PX}px"))
        self.text = ipywidgets.HTML(layout=ipywidgets.Layout(flex="1 1 280px", margin="0 0 0 10px"))
        room = _SAMPLE_PX * (0 if samples is None else samples.most)
        self.said = ipywidgets.HTML(layout=ipywidgets.Layout(min_height=f"{room}px"))
        self.error_line = ErrorLine()
        self.buttons = ipywidgets.HBox([self.stop, self.go_on])
        row = ipywidgets.Layout(flex_flow="row wrap", align_items="center", min_height="32px")
        top = ipywidgets.HBox([self.buttons, self.text], layout=row)
        parts = [top, self.error_line, self.picture, self.said, into_view()]
        self.widget = ipywidgets.VBox(parts)
        self.widget.add_class("lora-live")

    @staticmethod
    def _button(name: str, tooltip: str, act: Callable[[], None]) -> ipywidgets.Button:
        layout = ipywidgets.Layout(width="auto", min_width="148px")  # as wide as its words need
        button = ipywidgets.Button(description=name, tooltip=tooltip, layout=layout)
        button.on_click(lambda _: act())
        return button

    async def run(self) -> History:
        """Shows the view, starts the run and waits until it has ended or is held.

        Returns:
            The history; of a run that is held, as far as it went. It grows when the run goes on.

        Raises:
            Exception: whatever `train` raised.
        """
        self.draw()
        show_widget(self.widget, f"{self._name}: loss against step, drawn while the model trains.")
        threading.Thread(target=self._work, daemon=True).start()
        try:
            await self._wait()
        except asyncio.CancelledError:  # the cell's own stop button
            self.hold()
            await self._wait()
        self._cell_waits = False
        self._show_still(update=False)
        if self._error is not None:
            raise self._error
        return self.history

    def hold(self) -> None:
        """Stops the run after the step that it is in; after its end this does nothing."""
        self._hold.set()

    def resume(self) -> None:
        """Goes on where the run is held."""
        self._held.clear()
        self._hold.clear()

    def follow(self, model: nn.Module, history: History) -> None:
        """Draws the history, now and then, and holds the run where that is asked for.

        Args:
            model: In evaluation mode while it is held.
            history: Of the run so far.
        """
        self.history = history
        self._take_sample(history.last_step)
        if self._hold.is_set() and history.last_step < self._steps:
            self._wait_held(model)
        if time.monotonic() >= self._next_drawing:
            self.draw()
            self._next_drawing = time.monotonic() + _REDRAW_SECONDS

    def _take_sample(self, step: int) -> None:
        if self.samples is not None and self.samples.take(step):
            self._next_drawing = 0.0

    def _wait_held(self, model: nn.Module) -> None:
        self.history.stopped = HELD
        try:
            with evaluation_mode(model):
                self._pause()
                while self._hold.is_set():
                    time.sleep(_LOOK_SECONDS)
        finally:
            self.history.stopped = ""

    def _work(self) -> None:
        """Trains in a thread of its own; the cell is let go whatever goes wrong."""
        with self._keeping_error():
            self._take_sample(0)
            self.history = self._train(self.follow)
        self._ended.set()
        cell_waits = self._cell_waits
        with self._keeping_error():
            self._bring_up_to_date()
        self.error_line.say(self._error)
        self._held.set()
        if self._error is not None and not cell_waits:
            raise self._error  # for the kernel's log; a cell that waits raises it itself

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """Keeps what is raised inside, if it is the first."""
        try:
            yield
        except BaseException as error:
            self._error = self._error or error

    def _pause(self) -> None:
        """Shows where the run has come to, and lets the cell end."""
        self._bring_up_to_date()
        self._held.set()

    def _bring_up_to_date(self) -> None:
        self.draw()
        if not self._cell_waits:
            self._show_still(update=True)

    async def _wait(self) -> None:
        """Waits until the run has ended or is held."""
        while not self._held.is_set():
            await asyncio.sleep(_LOOK_SECONDS)

    def state(self) -> str:
        """How far the run is, in a few words."""
        done, total = self.history.last_step, self._steps
        if self._error is not None:
            return f"ended after {done} of {total} steps by an error"
        return f"{self.history.stopped or 'training'}, {done} of {total} steps"

    def verdict(self) -> str:
        """What the curves say, without digits that differ between machines."""
        outcome = self._outcome()
        if self._error is not None:
            return f"{self._name}: {self.state()}, {outcome}"
        return f"{self._name}: {self.state()}. {outcome}".rstrip()

    def _outcome(self) -> str:
        """What came of the run so far: the error that ended it, or where the loss went."""
        if self._error is not None:
            return f"{type_and_message(self._error)}."
        losses = smoothed(self.history.losses)
        if len(losses) < 2:
            return ""
        return f"The training loss {'fell' if losses[-1] < losses[0] else 'did not fall'}."

    def draw(self) -> None:
        """Brings buttons, picture and text up to date; no buttons are left of a run that ended."""
        held = self.history.stopped == HELD
        deaf = self._cell_waits and not hears_clicks()
        self.stop.description = "Use the cell's own stop button" if deaf else "Stop"
        self.stop.disabled = held or self._ended.is_set() or deaf
        self.go_on.disabled = not held
        self.buttons.layout.display = "none" if self._ended.is_set() else None
        self.png = self._drawing.png("", self.history)
        self.picture.value = image_tag(self.png, self.describe())
        unseen = f'<span style="{_UNSEEN}"> {escape(self._numbers())}</span>'
        self.text.value = live_paragraph(f"<b>{escape(self._line())}</b>{unseen}")
        self.said.value = self._said()

    def _said(self) -> str:
        return "" if self.samples is None else self.samples.html()

    def _line(self) -> str:
        """What is trained, how far it is, and where it rests what came of it."""
        rests = self._ended.is_set() or self.history.stopped == HELD
        if rests and self._error is None:
            return self.verdict()
        again = "" if self._cell_waits else " Run the cells below again when it has ended."
        return f"{self._name}: {self.state()}.{again}"

    def describe(self) -> str:
        """The picture in words, with its latest numbers."""
        return f"{self._name}: {self.state()}. {self._numbers()}"

    def _numbers(self) -> str:
        words = "Training loss against step"
        if self.history.losses:
            now, first = smoothed(self.history.losses)[-1], self.history.losses[0]
            words += f", {first:.2f} nats at first and {now:.2f} over the last steps"
        for measure, value in (self.history.evaluations or [{}])[-1].items():
            if measure.endswith(("loss", "accuracy")):  # as drawn
                share = measure.endswith("accuracy")  # in per cent, as on its axis
                words += f"; {measure.replace('_', ' ')} "
                words += f"{100 * value:.0f} %" if share else f"{value:.2f}"
        return words + "."

    def _show_still(self, update: bool) -> None:
        """Shows picture and verdict in an output of its own, for the time when no kernel is left.

        JupyterLab prefers a widget to all else in an output, and shows an error once it is gone.
        """
        kept, small = self._picture(), self._picture(phone=True)
        for each in (kept, small):
            each.png(f"{self._name}: {self.state()}", self.history)
        picture, width = kept.still()
        words = escape(self._outcome())  # the picture's title says the rest
        image = image_tag(picture, self.verdict(), width_px=width, phone=small.still())
        bundle = {
            "text/html": f'{_STILL_STYLE}<div class="lora-still">{image}'
            f"<p>{words}</p>{self._said()}</div>",
            "text/plain": textwrap.fill(self.verdict(), LINE_CHARACTERS),
        }
        display(bundle, raw=True, display_id=self._display_id, update=update)


def hears_clicks() -> bool:
    """Says whether this kernel hears a click while a cell runs."""
    try:
        return int(version("ipykernel").partition(".")[0]) >= _FIRST_THAT_HEARS
    except PackageNotFoundError:  # another kernel than IPython's
        return True


async def watch(
    train: Callable[[Follow], History],
    *,
    steps: int,
    title: str,
    accuracy: bool = False,
    say: Callable[[], str] | None = None,
    say_after: Sequence[int] | None = None,
    before: Mapping[str, float] | None = None,
) -> History:
    """Trains under a live view; see `TrainingView`. Call it with `await`.

    Args:
        train: Trains with the callback it is given: `lambda follow: fit(…, callbacks=[follow])`.
        steps: Length of the run.
        title: What is trained.
        accuracy: Whether the evaluations bring `validation_accuracy`, which is then drawn too.
        say: Returns what the model says now, for example `lambda: generate_text(model, …)`. Its
            texts are shown beneath the curves.
        say_after: The steps after which it is asked: by default 0, a quarter, a half and all.
        before: What was measured before training, with the names that evaluations have:
            `{"validation_loss": 0.9, "validation_accuracy": 0.5}`. It is drawn at step 0.

    Raises:
        ValueError: a step of `say_after` that the run does not have.
        Exception: whatever `train` or `say` raises.
    """
    after = (0, steps // 4, steps // 2, steps) if say_after is None else say_after
    if missing := [step for step in after if not 0 <= step <= steps]:
        raise ValueError(f"say_after has {missing}, but the run has steps 0 to {steps}")
    samples = None if say is None else Samples(say, after)
    return await TrainingView(train, steps, title, accuracy, samples, before).run()
