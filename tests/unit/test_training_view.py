"""The live view of training: held and taken up again, a run ends as if it had never stopped."""

import _thread
import asyncio
import html
import io
import re
import signal
import threading
import time

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image
from torch import nn

from lora_edu.plots import CONCEPTS
from lora_edu.tasks.classifier import FeatureBatches, feature_loss
from lora_edu.training.history import History
from lora_edu.training.loop import fit
from lora_edu.widgets import training_view
from lora_edu.widgets.samples import Samples
from lora_edu.widgets.training_picture import TrainingPicture
from lora_edu.widgets.training_view import HELD, Follow, TrainingView, watch

STEPS = 12
PATIENCE_SECONDS = 60


def head() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))


def train(model: nn.Module, *callbacks) -> History:
    features = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    batches = FeatureBatches(features, (features[:, 0] > 0).long(), 8)
    return fit(
        model,
        batches,
        feature_loss,
        lr=0.05,
        steps=STEPS,
        device="cpu",
        evaluate=lambda model: {"validation_loss": 0.5, "validation_accuracy": 0.75},
        eval_every=4,
        callbacks=callbacks,
    )


def view_of(model: nn.Module, at_step: int, act) -> TrainingView:
    """A view whose run calls `act(view)` once, after a step."""

    def once(_: nn.Module, history: History) -> None:
        if history.last_step == at_step:
            act(view)

    view = TrainingView(lambda follow: train(model, once, follow), STEPS, "a head", True)
    return view


def wait_for_end(view: TrainingView) -> None:
    assert view._ended.wait(PATIENCE_SECONDS)
    assert view._held.wait(PATIENCE_SECONDS)  # the last picture is there


def without_time(history: History) -> dict:
    return {key: value for key, value in history.to_dict().items() if key != "seconds"}


def test_a_run_that_was_held_ends_bit_for_bit_like_one_that_was_not():
    plain, held = head(), head()
    expected = train(plain)
    view = view_of(held, 5, TrainingView.hold)
    history = asyncio.run(view.run())
    assert (history.stopped, history.last_step) == (HELD, 5)
    assert not held.training
    view.history.stopped = ""  # as while it goes on
    assert view._line().endswith("steps. Run the cells below again when it has ended.")
    view.history.stopped = HELD
    view.resume()
    wait_for_end(view)
    assert without_time(view.history) == without_time(expected)
    torch.testing.assert_close(held.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_where_a_running_cell_hears_no_click_the_stop_button_says_what_to_use(monkeypatch):
    monkeypatch.setattr(training_view, "version", lambda name: "6.17.1")
    view = TrainingView(lambda follow: History(), STEPS, "a head", accuracy=False)
    view.draw()
    assert (view.stop.disabled, view.stop.description) == (True, "Use the cell's own stop button")
    view._cell_waits = False  # the cell has ended, and clicks are heard again
    view.draw()
    assert (view.stop.disabled, view.stop.description) == (False, "Stop")
    monkeypatch.setattr(training_view, "version", lambda name: "7.4.0")
    view._cell_waits = True
    view.draw()
    assert (view.stop.disabled, view.stop.description) == (False, "Stop")


def test_the_buttons_hold_the_run_and_take_it_up_again():
    view = view_of(head(), 5, lambda view: view.stop.click())
    assert asyncio.run(view.run()).last_step == 5
    assert (view.stop.disabled, view.go_on.disabled) == (True, False)
    assert view.buttons.layout.display is None
    held = view.png
    view.go_on.click()
    wait_for_end(view)
    assert view.history.stopped == "finished"
    assert (view.stop.disabled, view.go_on.disabled) == (True, True)
    assert view.buttons.layout.display == "none"
    assert view.png != held


@pytest.fixture
def interrupts():
    """A Ctrl-C arrives as in a kernel; the workers of a parallel test run ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupting_the_cell_holds_the_run(interrupts):
    def interrupt(view: TrainingView) -> None:
        _thread.interrupt_main()
        end = time.monotonic() + PATIENCE_SECONDS
        while not view._hold.is_set() and time.monotonic() < end:
            time.sleep(0.01)

    view = view_of(head(), 7, interrupt)
    assert asyncio.run(view.run()).last_step == 7
    view.resume()
    wait_for_end(view)
    assert view.history.last_step == STEPS


def test_buttons_do_nothing_once_the_run_has_ended():
    view = view_of(head(), 0, None)
    asyncio.run(view.run())
    shown = view.picture.value
    view.stop.click()
    view.go_on.click()
    assert view.picture.value == shown
    assert view.history.stopped == "finished"


def fail(_: TrainingView) -> None:
    raise ValueError("no <data> left")


def test_an_error_reaches_the_cell_and_the_view_names_it():
    view = view_of(head(), 3, fail)
    with pytest.raises(ValueError, match="no <data> left"):
        asyncio.run(view.run())
    assert "ended after 3 of 12 steps by an error." in view.text.value
    assert "ValueError: no &lt;data&gt; left" in view.error_line.value
    assert view.error_line in view.widget.children
    assert view.verdict().endswith("by an error, ValueError: no <data> left.")
    assert (view.stop.disabled, view.go_on.disabled) == (True, True)
    assert view.buttons.layout.display == "none"


def test_an_error_after_the_cell_has_ended_is_named_and_logged(monkeypatch):
    logged = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: logged.append(arguments))
    view = view_of(head(), 5, TrainingView.hold)
    train_and_hold = view._train

    def then_fail(follow: Follow) -> History:
        train_and_hold(follow)
        fail(view)

    view._train = then_fail
    assert asyncio.run(view.run()).last_step == 5
    assert not view.error_line.value
    view.resume()
    wait_for_end(view)
    assert "ValueError: no &lt;data&gt; left" in view.error_line.value
    assert "ended after 12 of 12 steps by an error" in view.text.value
    end = time.monotonic() + PATIENCE_SECONDS
    while not logged and time.monotonic() < end:
        time.sleep(0.01)
    assert [each.exc_type for each in logged] == [ValueError]


def run_as_cell(view: TrainingView) -> None:
    """Raises what the cell ends with; that it never ends is a failure, too."""
    ended = []

    def cell() -> None:
        try:
            asyncio.run(view.run())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=cell, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "the cell waits for ever"
    raise ended[0]


@pytest.mark.parametrize("held", [False, True], ids=["at its end", "while it is held"])
def test_a_picture_that_cannot_be_drawn_ends_the_cell_and_not_its_patience(monkeypatch, held):
    def break_pictures(view: TrainingView) -> None:
        def no_ink(*_: object) -> bytes:
            raise ZeroDivisionError("no ink")

        monkeypatch.setattr(TrainingPicture, "png", no_ink)
        if held:
            view.hold()

    model = head()
    view = view_of(model, 6, break_pictures)
    with pytest.raises(ZeroDivisionError, match="no ink"):
        run_as_cell(view)
    assert "ZeroDivisionError: no ink" in view.error_line.value
    assert "<img" in view.picture.value
    assert (view.stop.disabled, view.go_on.disabled) == (True, True)
    assert view.history.stopped != HELD and model.training


def test_a_run_that_wants_to_leave_python_lets_the_cell_go():
    def leave(_: TrainingView) -> None:
        raise SystemExit("enough")

    with pytest.raises(SystemExit, match="enough"):
        run_as_cell(view_of(head(), 2, leave))


def test_words_give_the_latest_numbers_and_what_is_stored_gives_none():
    view = view_of(head(), 0, None)
    history = asyncio.run(view.run())
    last = sum(history.losses[-6:]) / 6
    assert f"{history.losses[0]:.2f} nats at first and {last:.2f}" in view.describe()
    assert "validation loss 0.50; validation accuracy 75 %." in view.describe()
    assert view.verdict() == "a head: finished, 12 of 12 steps. The training loss fell."
    seen, unseen = view.text.value.split("</b>")
    assert seen.endswith(f"<b>{view.verdict()}")
    assert "clip-path" in unseen and "nats at first" in unseen and "nats" not in seen
    assert html.escape(view.describe()) in view.picture.value


def test_beneath_the_picture_that_is_kept_is_only_what_its_title_does_not_say(monkeypatch):
    stored = []
    monkeypatch.setattr(training_view, "display", lambda bundle, **_: stored.append(bundle))
    asyncio.run(view_of(head(), 0, None).run())
    beneath = re.findall("<p>(.*?)</p>", stored[-1]["text/html"])
    assert beneath == ["The training loss fell."]
    with pytest.raises(ValueError):
        asyncio.run(view_of(head(), 2, fail).run())
    beneath = re.findall("<p>(.*?)</p>", stored[-1]["text/html"])
    assert beneath == ["ValueError: no &lt;data&gt; left."]


def test_the_live_picture_is_low_and_fits_its_place_and_the_kept_one_says_its_title():
    view = view_of(head(), 0, None)
    history = asyncio.run(view.run())
    live = Image.open(io.BytesIO(view.png))
    assert live.height <= 200 and view.picture.layout.height == f"{live.height + 18}px"
    kept = TrainingPicture(STEPS, accuracy=True)
    assert kept.png("one", history) != kept.png("another", history)


def test_what_the_model_says_is_shown_beneath_the_curves_and_kept(monkeypatch):
    stored = []
    monkeypatch.setattr(training_view, "display", lambda bundle, **_: stored.append(bundle))
    model = head()

    def say() -> str:
        return f"<{model[1].bias[0].item():.3f}>"

    at_first = say()
    samples = Samples(say, (0, 3, 6, 12))
    view = TrainingView(lambda follow: train(model, follow), STEPS, "a head", True, samples)
    asyncio.run(view.run())
    assert list(view.samples.texts) == [0, 3, 6, 12]
    assert view.samples.texts[0] == at_first
    assert view.samples.texts[12] == say() != at_first
    rows = view.said.value.split("<tr>")[1:]
    assert [f"step {step}<" in row for step, row in zip((0, 3, 6, 12), rows)] == [True] * 4
    assert f"&lt;{at_first[1:-1]}&gt;" in rows[0]
    assert view.said.value in stored[-1]["text/html"]


def test_a_run_without_samples_shows_none():
    view = view_of(head(), 0, None)
    asyncio.run(view.run())
    assert view.said.value == ""


@pytest.mark.parametrize(("say_after", "steps"), [(None, [0, 3, 6, 12]), ((0, 1, 12), [0, 1, 12])])
def test_the_model_speaks_after_the_steps_that_were_asked_for(say_after, steps, monkeypatch):
    stored = []
    monkeypatch.setattr(training_view, "display", lambda bundle, **_: stored.append(bundle))

    def run(**how):
        return watch(
            lambda follow: train(head(), follow), steps=STEPS, title="a head", say=str, **how
        )

    asyncio.run(run(say_after=say_after))
    assert re.findall(r"step (\d+)</th>", stored[-1]["text/html"]) == [str(step) for step in steps]
    with pytest.raises(ValueError, match=r"\[13\].*0 to 12"):
        asyncio.run(run(say_after=(0, 13)))


def test_what_cannot_be_said_ends_the_run_and_is_named():
    def say() -> str:
        raise ValueError("no words")

    samples = Samples(say, [0])
    view = TrainingView(lambda follow: train(head(), follow), STEPS, "a head", True, samples)
    with pytest.raises(ValueError, match="no words"):
        asyncio.run(view.run())
    assert "ValueError: no words" in view.verdict()


def test_the_curves_are_the_history():
    history = History()
    for loss in (2.0, 1.0, 3.0):
        history.record_step(loss, 0.1, 1)
    history.evaluations = [{"step": 2, "validation_loss": 1.5, "validation_accuracy": 0.25}]
    picture = TrainingPicture(10, accuracy=True)
    picture.png("three steps", history)
    curves = {name: curve.get_xydata().tolist() for name, curve in picture._curves.items()}
    assert curves == {
        "batches": [[1, 2], [2, 1], [3, 3]],
        "training": [[1, 2], [2, 1.5], [3, 2]],
        "validation": [[2, 1.5]],
        "accuracy": [[2, 25]],
    }
    loss_axis = picture.canvas.figure.axes[0]
    assert loss_axis.get_ylim() == (0, 3.5)


def test_what_was_measured_before_the_first_step_is_drawn_at_step_0():
    history = History()
    history.record_step(2.0, 0.1, 1)
    history.evaluations = [{"step": 1, "validation_loss": 1.5, "validation_accuracy": 0.75}]
    before = {"validation_loss": 2.5, "validation_accuracy": 0.5}
    picture = TrainingPicture(10, accuracy=True, before=before)
    picture.png("one step", history)
    assert picture._curves["validation"].get_xydata().tolist() == [[0, 2.5], [1, 1.5]]
    assert picture._curves["accuracy"].get_xydata().tolist() == [[0, 50], [1, 75]]
    assert len(history.evaluations) == 1  # the run's own record stays as it is


def test_the_training_loss_has_the_colour_of_what_is_trained():
    for name, colour in (("LoRA on spam", CONCEPTS["lora"]), ("full", CONCEPTS["full"])):
        picture = TrainingPicture(10, False, name=name)
        assert {picture._curves[of].get_color() for of in ("batches", "training")} == {colour}


@pytest.mark.parametrize("name", ["a run", "LoRA on spam"])
def test_the_curve_of_batches_can_be_seen_on_white_and_turned_for_a_dark_page(name):
    batches = TrainingPicture(20, False, name=name)._curves["batches"]
    ink = [1 - batches.get_alpha() * (1 - part) for part in to_rgb(batches.get_color())]

    def light(colour):  # relative luminance
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts))

    assert 1.05 / (light(ink) + 0.05) >= 3
    turned, paper = [0.93 - 0.86 * part for part in ink], [0.07] * 3  # `plots.display` turns them
    assert (light(turned) + 0.05) / (light(paper) + 0.05) >= 3


def named(picture: TrainingPicture) -> list[list[str]]:
    """The names of each panel's curves, in its key."""
    keys = [axis.get_legend() for axis in picture.canvas.figure.axes]
    return [[text.get_text() for text in key.get_texts()] for key in keys]


def test_each_curve_that_has_begun_is_named_and_no_other():
    history, picture = History(), TrainingPicture(10, accuracy=True)

    def shown() -> list[list[str]]:
        picture.png("so far", history)
        return named(picture)

    training = ["each batch", "mean of 6 steps"]
    assert shown() == [[], []]
    history.record_step(2.0, 0.1, 1)
    assert shown() == [training, []]
    history.evaluations = [{"step": 1, "validation_loss": 1.5, "validation_accuracy": 0.5}]
    assert shown() == [[*training, "validation"], ["validation"]]
    of_validation = (picture._curves[name] for name in ("validation", "accuracy"))
    looks = {(of.get_color(), of.get_marker(), of.get_markerfacecolor()) for of in of_validation}
    assert len(looks) == 1  # one name, one look


def noisy(steps: int) -> History:
    """A run whose batches jump and whose three losses end together, as in notebook 05."""
    draw, history = np.random.default_rng(0), History()
    for step in range(1, steps + 1):
        jump = draw.choice([-0.3, 0.1, 0.8], p=[0.4, 0.4, 0.2]) * draw.random()
        ends = step > steps - 6
        history.record_step(0.35 if ends else 0.35 + 0.4 * np.exp(-step / 12) + jump, 0.1, step)
    for step in range(16, steps + 1, 16):
        measured = {"validation_loss": 0.35 + 0.2 * np.exp(-(step - 16) / 4)}
        history.evaluations.append({"step": step, **measured, "validation_accuracy": 0.8})
    return history


def drawn(curve) -> np.ndarray:
    """Points on the page along a curve."""
    return curve.get_transform().transform(curve.get_path().interpolated(100).vertices)


KINDS = {"live": {"titled": False}, "kept": {}, "phone": {"phone": True}}


@pytest.mark.parametrize("accuracy", [False, True])
@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
def test_the_key_is_above_the_curves_and_covers_nothing(how, accuracy):
    picture = TrainingPicture(64, accuracy=accuracy, **how)
    picture.png("LoRA on spam: finished, 64 of 64 steps", noisy(64))
    whole = picture.canvas.figure
    keys = [axis.get_legend().get_window_extent() for axis in whole.axes]
    for axis, key in zip(whole.axes, keys):
        assert axis.bbox.y1 <= key.y0 and key.x0 >= axis.bbox.x0
        assert key.x1 <= whole.bbox.x1 and key.y1 <= whole.bbox.y1
        others = [other for other in keys if other is not key]
        others += [title.get_window_extent() for title in picture.titles]
        assert not any(key.overlaps(other) for other in others)
        for curve in axis.lines:
            assert not curve.get_path_effects()  # which would bite gaps into those beneath
            assert not key.count_contains(drawn(curve))


def test_the_two_panels_have_one_height_and_a_step_is_as_wide_in_both():
    losses, accuracy = TrainingPicture(64, accuracy=True).canvas.figure.axes
    assert (losses.bbox.y0, losses.bbox.y1) == pytest.approx((accuracy.bbox.y0, accuracy.bbox.y1))
    assert losses.bbox.width + accuracy.bbox.width > 0.65 * losses.figure.bbox.width
    wide = [axis.bbox.width / axis.get_xlim()[1] for axis in (losses, accuracy)]
    assert wide[0] == pytest.approx(wide[1], rel=0.02)
    for axis in (losses, accuracy):
        assert axis.get_xlim() == (0, 64)
        assert axis.get_ylim()[1] in axis.get_yticks() and max(axis.get_xticks()) <= 64


@pytest.mark.parametrize(("lowest", "begins"), [(0.13, 0), (0.5, 50), (0.79, 50), (0.86, 80)])
def test_the_axis_of_accuracy_begins_below_all_of_it_and_has_a_tick_there(lowest, begins):
    history = History()
    for step, share in ((1, lowest), (2, 0.97)):
        history.record_step(0.3, 0.1, step)
        measured = {"validation_loss": 0.3, "validation_accuracy": share}
        history.evaluations.append({"step": step, **measured})
    picture = TrainingPicture(10, accuracy=True)
    before = picture.png("so far", History())
    assert picture.png("so far", history) != before
    axis = picture.canvas.figure.axes[1]
    assert axis.get_ylim() == (begins, 100)
    assert begins in axis.get_yticks()


@pytest.mark.parametrize("titled", [False, True], ids=["live", "kept"])
@pytest.mark.parametrize("accuracy", [False, True])
@pytest.mark.parametrize("loss", [0.01, 0.6, 1.2, 1.4, 2.3, 4.7, 11.0, 88.0])
def test_every_word_of_the_picture_is_inside_it_whatever_the_loss(loss, accuracy, titled):
    history = History()
    history.record_step(loss, 0.1, 1)
    history.evaluations = [{"step": 1, "validation_loss": loss, "validation_accuracy": 0.5}]
    picture = TrainingPicture(40, accuracy, titled)
    picture.png("so far", history)
    whole = picture.canvas.figure.bbox
    for axis in picture.canvas.figure.axes:
        box = axis.get_tightbbox()  # with its labels, ticks and legend
        assert min(box.x0, box.y0) >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1
    low, high = picture._loss_axis.get_ylim()
    ticks = [tick for tick in picture._loss_axis.get_yticks() if low <= tick <= high]
    labels = [f"{tick:g}" for tick in ticks]
    assert len(labels) in range(3, 7) and all(len(label) <= 3 for label in labels), labels


def test_the_picture_that_is_kept_is_sharper_and_shows_all_that_the_last_one_did():
    history = History()
    for step in range(1, 8):
        history.record_step(2.0 / step, 0.1, step)
    picture = TrainingPicture(10, accuracy=False)

    def small(data: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(data)).convert("L")
        return np.asarray(image.resize((19, 8), Image.Resampling.BOX), dtype=float)

    last = picture.png("seven steps", history)
    still, width = picture.still()
    assert Image.open(io.BytesIO(still)).width >= 1.4 * width
    # A title, a curve or an axis that is left out makes one of these fields paler by more.
    assert np.abs(small(still) - small(last)).max() < 8
    assert picture.png("seven steps", history) == last


def test_a_run_of_one_step_is_a_dot_and_of_more_a_line():
    history, picture = History(), TrainingPicture(40, False)
    mean = picture._curves["training"]
    for step, marker in ((1, "o"), (2, "")):
        history.record_step(2.0, 0.1, step)
        picture.png("so far", history)
        assert mean.get_marker() == marker


def test_watch_returns_what_fit_returns():
    expected = train(head())
    run = watch(lambda follow: train(head(), follow), steps=STEPS, title="a head")
    history = asyncio.run(run)
    assert without_time(history) == without_time(expected)
