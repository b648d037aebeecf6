"""Moves every control of a notebook through its range; the text of this file becomes a cell.

Setting a value from the kernel runs the same callbacks as a learner's hand. Errors that a widget
would show in an Output area, or only log, are collected: nbval and nbclient do not see them.
Works with ipywidgets 7.7 and 8.
"""

# ruff: noqa: F821 (get_ipython exists in a kernel)

import sys
import threading

import ipywidgets

STEPS = 12  # settings of a slider that are tried, its ends included
WAIT_SECONDS = 120  # for what a button started in a thread
PASSIVE = (
    ipywidgets.HTML,
    ipywidgets.HTMLMath,
    ipywidgets.Label,
    ipywidgets.Image,
    ipywidgets.Output,
    ipywidgets.Valid,
    ipywidgets.IntProgress,
    ipywidgets.FloatProgress,
    ipywidgets.Box,
)


def live_widgets():
    """Returns all widgets of the kernel, whichever version holds them where."""
    try:
        from ipywidgets.widgets.widget import _instances as widgets
    except ImportError:
        widgets = ipywidgets.Widget.widgets
    return list(widgets.values())


def settings(control):
    """Returns the name of the trait to move and the values to give it, or None if there is none."""
    if hasattr(control, "options") and hasattr(control, "index"):
        count = len(control.options)
        if isinstance(control.index, tuple):
            return "index", [(), tuple(range(count)), *((i,) for i in range(count))]
        return "index", list(range(count))
    if isinstance(control, (ipywidgets.Checkbox, ipywidgets.ToggleButton)):
        return "value", [True, False]
    if isinstance(getattr(control, "min", None), (int, float)):
        return "value", between(control)
    if isinstance(control, (ipywidgets.Text, ipywidgets.Textarea)):
        return "value", ["7", "2.5e6", "-1", "no number", ""]
    if isinstance(control, (ipywidgets.IntText, ipywidgets.FloatText)):
        return "value", [0, 1, -1, 1000]
    return None


def between(control):
    """Returns both ends of a slider's range and some settings between them."""
    low, high = control.min, control.max
    whole = isinstance(low, int) and isinstance(high, int)
    points = [low + (high - low) * i / (STEPS - 1) for i in range(STEPS)]
    points = sorted({round(point) if whole else point for point in points})
    if hasattr(control, "base"):
        points = [min(max(control.base**p, control.base**low), control.base**high) for p in points]
    return [(low, p) for p in points] if isinstance(control.value, tuple) else points


def poke():
    """Moves everything and raises one error that names all that went wrong."""
    shell, errors, moved, unknown = get_ipython(), [], 0, []
    shown, hook, before = shell.showtraceback, threading.excepthook, set(threading.enumerate())

    def record(exc_tuple=None, *arguments, **keywords):
        errors.append(repr((exc_tuple or sys.exc_info())[1]))

    def record_thread(arguments):
        errors.append(repr(arguments.exc_value))

    def attempt(action, label):
        nonlocal moved
        moved += 1
        try:
            action()
        except Exception as error:
            errors.append(f"{label}: {error!r}")

    shell.showtraceback, threading.excepthook = record, record_thread
    try:
        move_all(attempt, unknown)
        for thread in set(threading.enumerate()) - before:
            if type(thread) is threading.Thread:  # pyzmq has a kind of its own, which never ends
                thread.join(WAIT_SECONDS)
                if thread.is_alive():
                    errors.append(f"{thread.name} still runs after {WAIT_SECONDS} s")
    finally:
        shell.showtraceback, threading.excepthook = shown, hook
    print("POKED", moved)
    if unknown or errors:
        raise AssertionError(f"errors: {sorted(set(errors))}; unknown controls: {unknown}")


def move_all(attempt, unknown):
    """Moves each control and puts it back, then presses each button."""
    buttons = []
    for control in live_widgets():
        label = f"{type(control).__name__} {getattr(control, 'description', '')!r}"
        if isinstance(control, ipywidgets.Button):
            buttons.append((control, label))
        elif type(control).__name__ == "AnyWidget":  # an explorer's way to Python: never shown
            continue
        elif isinstance(control, ipywidgets.DOMWidget) and not isinstance(control, PASSIVE):
            found = settings(control)
            if found is None:
                unknown.append(label)
                continue
            trait, values = found
            old = getattr(control, trait)
            for value in [*values, old]:
                attempt(lambda c=control, t=trait, v=value: setattr(c, t, v), label)
    for button, label in buttons:
        attempt(button.click, label)


poke()
