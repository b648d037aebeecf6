"""Quick pictures are right ones: no pixel is lost, and what moves is drawn where it should be."""

import io

import numpy as np
import pytest
from PIL import Image

from lora_edu.plots.charts import figure
from lora_edu.widgets.canvas import Canvas, encode_png


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (40, 7, 3)])
def test_a_png_holds_every_pixel(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(decoded(encode_png(pixels)), pixels)


def test_a_canvas_draws_what_a_whole_drawing_would() -> None:
    def drawn(height: float):
        made = figure("a title", "x", "y")
        return made, made.axes[0].plot([0, 1, 2], [0, height, 1])[0]

    made, line = drawn(1.0)
    made.axes[0].set_ylim(0, 2)
    canvas = Canvas(made, [line])
    canvas.png()
    line.set_ydata([0, 2.0, 1])
    whole, _ = drawn(2.0)
    whole.axes[0].set_ylim(0, 2)
    difference = np.abs(
        decoded(canvas.png()).astype(int) - decoded(Canvas(whole).png()).astype(int)
    ).max(-1)
    assert (difference > 64).mean() < 0.005  # a line over a spine, not under it


def test_a_canvas_draws_its_axes_anew_when_their_scale_changes() -> None:
    made = figure("a title", "x", "y")
    line = made.axes[0].plot([0, 1], [0, 1])[0]
    canvas = Canvas(made, [line])
    made.axes[0].set_ylim(0, 1)
    first = canvas.png(scale=1)
    made.axes[0].set_ylim(0, 500)
    axis_region = (slice(None), slice(0, 60))
    assert (decoded(canvas.png(scale=500))[axis_region] != decoded(first)[axis_region]).any()
