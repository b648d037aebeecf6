"""Quick pictures are right ones: no pixel is lost, every cell has its colour and its place."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from lora_edu.plots.charts import figure
from lora_edu.widgets.canvas import Canvas, Pixels, encode_png


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (40, 7, 3)])
def test_a_png_holds_every_pixel(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(decoded(encode_png(pixels)), pixels)


def drawn_cells(matrix: np.ndarray, colours: str, low: float, high: float) -> np.ndarray:
    """What a matrix looks like in axes of 400 by 200 pixels, one sample a cell."""
    made = figure(size_inches=(4.0, 2.0))
    made.set_dpi(100)
    made.set_layout_engine("none")
    axis = made.axes[0]
    axis.set_position((0, 0, 1, 1))
    axis.axis("off")
    image = Pixels(axis)
    image.set_matrix(matrix, colours, low, high)
    shown = decoded(Canvas(made, [image]).png())
    assert shown.shape == (200, 400, 3)
    rows, columns = matrix.shape
    middle_rows = ((np.arange(rows) + 0.5) * 200 / rows).astype(int)
    middle_columns = ((np.arange(columns) + 0.5) * 400 / columns).astype(int)
    return shown[middle_rows[:, None], middle_columns]


@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (1, 7), (80, 50), (199, 399)])
def test_each_cell_of_a_matrix_has_its_colour_and_its_place(rows: int, columns: int) -> None:
    matrix = np.random.default_rng(1).uniform(-1.5, 1.5, (rows, columns))
    shares = (matrix.clip(-1, 1) + 1) / 2
    expected = colormaps["PuOr"](np.rint(255 * shares).astype(int), bytes=True)[..., :3]
    np.testing.assert_array_equal(drawn_cells(matrix, "PuOr", -1, 1), expected)


def test_a_matrix_of_more_rows_than_pixels_shows_some_of_each_part() -> None:
    tall = np.arange(768.0)[:, None].repeat(2, axis=1)
    made = figure(size_inches=(1.0, 2.0))
    image = Pixels(made.axes[0])
    image.set_matrix(tall, "cividis", 0, 767)
    shown = decoded(Canvas(made, [image]).png())
    box = made.axes[0].get_window_extent()
    column = shown[:, round((box.x0 + box.x1) / 2)]
    inside = column[-round(box.y1) + len(column) : len(column) - round(box.y0)].astype(int)
    brightness = inside.sum(axis=1)
    assert (np.diff(brightness) >= -6).all()  # from dark at the top to bright at the bottom
    assert brightness[-2] > brightness[1] + 300


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
