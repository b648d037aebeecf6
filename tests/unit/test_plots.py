"""Figures show the data they are given, in one style, and read without colour."""

import base64
import io
import textwrap
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image
from support.contrast import contrast
from support.project import ROOT

from lora_edu.plots.axes import add_level, align
from lora_edu.plots.charts import (
    Line,
    bar_chart,
    figure,
    line_chart,
    line_style,
    png,
    point_chart,
    show,
    stacked_bars,
)
from lora_edu.plots.curve_names import spread
from lora_edu.plots.display import image_tag
from lora_edu.plots.maps import heat_map
from lora_edu.plots.phone import PHONE_COLOURS, PHONE_PX, for_phone
from lora_edu.plots.sheet import widths_px
from lora_edu.plots.style import (
    COLOURS,
    CONCEPTS,
    DASHES,
    DOTS_PER_INCH,
    FONTS,
    HATCHES,
    INK,
    MAP,
    MARKERS,
    QUIET,
    RULE,
    SHARPNESS,
    SIZE_INCHES,
    STYLE,
    concept_of,
    house_style,
    shown_width,
    wrapped,
)
from lora_edu.widgets import component

LABELS = {"title": "It falls", "x_label": "step", "y_label": "loss (nats per token)"}


def size_of(picture: bytes) -> tuple[int, int]:
    """Reads width and height from a PNG's header."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")


def lightness(colour: str) -> float:
    """Returns the brightness of a colour printed in grey, 0 to 1 (ITU-R BT.601)."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_every_figure_has_the_same_size_in_pixels() -> None:
    stored = tuple(round(side * DOTS_PER_INCH * SHARPNESS) for side in SIZE_INCHES)
    assert size_of(png(figure("a"))) == size_of(png(line_chart([], **LABELS))) == stored
    assert SHARPNESS * shown_width(figure("a")) == stored[0]


def assert_inside(made: Figure) -> None:
    """Says that no word leaves the picture."""
    made.draw_without_rendering()
    drawn, (width, height) = made.get_tightbbox(), made.get_size_inches()
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height


@pytest.mark.parametrize("chart", [bar_chart, point_chart])
def test_a_chart_of_few_names_is_narrow_and_one_of_many_wide_as_all(chart) -> None:
    title = "With the adapter off nothing is forgotten; with it on, much is"
    few, many = (
        chart({f"name\n{i}": 1.0 + i for i in range(n)}, title=title, y_label="loss")
        for n in (5, 6)
    )
    assert shown_width(few) + 2 * 9 == widths_px()["narrow"]
    assert shown_width(many) + 2 * 9 == shown_width(figure("a")) + 2 * 9 == widths_px()["wide"]
    for made in (few, for_phone(few), for_phone(many)):
        assert_inside(made)


def test_a_picture_has_a_palette_and_still_its_colours() -> None:
    shades = np.outer(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60))
    drawn = figure(**LABELS)
    drawn.axes[0].imshow(shades, cmap=MAP, aspect="auto")
    png(drawn)  # the first drawing computes the layout
    whole = io.BytesIO()
    with house_style():
        drawn.savefig(whole, format="png", dpi=DOTS_PER_INCH * SHARPNESS)
    stored = Image.open(io.BytesIO(png(drawn)))
    assert stored.mode == "P"
    assert len(png(drawn)) < len(whole.getvalue()) / 2
    before = np.asarray(Image.open(whole).convert("RGB"), dtype=int)
    apart = np.abs(np.asarray(stored.convert("RGB")) - before).max(axis=-1)
    # Of 255; with a coarser palette one sees steps where there are none.
    assert np.quantile(apart, 0.999) <= 5
    assert np.asarray(stored.convert("RGB"))[0, 0].tolist() == [255, 255, 255]


def test_title_and_labels_are_where_they_belong() -> None:
    axis = figure("It falls", "step", "loss (nats)").axes[0]
    assert axis.get_title(loc="left") == "It falls"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("step", "loss (nats)")


def test_letters_are_of_fonts_that_are_there(caplog: pytest.LogCaptureFixture) -> None:
    made = line_chart([Line("√r, ΔW − 1 ✓", [1, 2], [3, 4])], **LABELS)
    add_level(made.axes[0], 3.5, "before training")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a sign that no font has
        png(made)
    assert not caplog.records  # of a font that is missing
    families = [tuple(text.get_fontfamily()) for text in made.findobj(Text)]
    assert set(families) == {tuple(STYLE["font.family"])}
    assert families[0][-1] == FONTS[-1] == "DejaVu Sans"


def test_greys_are_those_of_the_explorers() -> None:
    kit = (Path(component.__file__).parent / "components/kit.css").read_text(encoding="utf-8")
    for name, grey in (("ink", INK), ("quiet", QUIET), ("line", RULE)):
        assert f"--{name}: {grey.lower()};" in kit.partition("data-theme")[0]


def test_names_are_beside_the_points_that_are_asked_for() -> None:
    lines = [Line("LoRA", [3, 1], [4, 9]), Line("full", [2, 1], [3, 8], quiet=True)]
    places = {"LoRA": (-1, 8, 2), "full": (0, -8, 0)}
    axis = line_chart(lines, **LABELS, beside=places).axes[0]
    names = {text.get_text(): text for text in axis.texts}
    assert {name: (list(text.xy), text.get_ha()) for name, text in names.items()} == {
        "LoRA": ([1, 9], "left"),
        "full": ([2, 3], "right"),
    }
    assert not axis.figure.legends
    assert [to_hex(curve.get_color()).upper() for curve in axis.lines] == [
        CONCEPTS["lora"],
        CONCEPTS["frozen"],
    ]
    with pytest.raises(KeyError, match="full"):
        line_chart(lines, **LABELS, beside={"LoRA": (0, 8, 0)})


def test_panels_share_one_title() -> None:
    made = figure("Both fall", "step", "loss", panels=2)
    assert [axis.get_xlabel() for axis in made.axes] == ["step", "step"]
    assert made.get_suptitle() == "Both fall"
    with pytest.raises(ValueError, match="panels must be at least 1, got 0"):
        figure(panels=0)


def test_panels_stand_in_rows() -> None:
    made = figure("Six", "x", "y", panels=6, rows=2)
    places = [(axis.get_position().x0, axis.get_position().y0) for axis in made.axes]
    across = sorted({x for x, _ in places})
    down = sorted({y for _, y in places}, reverse=True)
    assert (len(across), len(down)) == (3, 2)
    assert places == [(x, y) for y in down for x in across]
    assert [axis.get_ylabel() for axis in made.axes] == ["y", "", "", "y", "", ""]
    for rows in (0, 4):
        with pytest.raises(ValueError, match=f"rows must .* divide panels = 6, got {rows}"):
            figure(panels=6, rows=rows)


def test_stacked_bars_stand_one_behind_the_other() -> None:
    values = {"full": [1.0, 2.0, 4.0], "LoRA": [3.0, 0.5, 0.25]}
    made = stacked_bars(values, parts=["a", "b", "c"], title="It adds up", x_label="ms")
    axis = made.axes[0]
    bars = [[(bar.get_x(), bar.get_width()) for bar in part] for part in axis.containers]
    assert bars == [[(0, 1), (0, 3)], [(1, 2), (3, 0.5)], [(3, 4), (3.5, 0.25)]]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["full", "LoRA"]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b", "c"]
    assert axis.yaxis_inverted() and (axis.get_title(loc="left"), axis.get_xlabel()) == (
        "It adds up",
        "ms",
    )
    with pytest.raises(ValueError, match="'LoRA'.* has 1 lengths for 2 parts"):
        stacked_bars({"full": [1, 2], "LoRA": [1]}, parts=["a", "b"], title="", x_label="")


def test_making_figures_leaves_matplotlib_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    png(line_chart([Line("a", [1, 2], [3, 4])], **LABELS))
    assert dict(matplotlib.rcParams) == before


def test_the_same_data_give_the_same_bytes() -> None:
    pictures = [png(line_chart([Line("a", [1, 2], [3, 4])], **LABELS)) for _ in range(2)]
    assert pictures[0] == pictures[1]


def test_series_differ_without_colour() -> None:
    styles = [line_style(index) for index in range(len(COLOURS))]
    assert len({style["marker"] for style in styles}) == len(COLOURS)
    assert len(COLOURS) == len(MARKERS) == len(DASHES) == len(HATCHES) == len(set(HATCHES))


def test_neighbouring_colours_differ_in_grey() -> None:
    greys = [lightness(colour) for colour in COLOURS]
    assert min(abs(a - b) for a, b in zip(greys, greys[1:], strict=False)) > 0.1


def test_line_chart_draws_its_data_and_whiskers() -> None:
    low, high = Line("LoRA", [1, 2], [3.0, 4.0], [2.0, 3.0], [4.0, 5.0]), Line("", [1, 2], [1, 1])
    axis = line_chart([low, high], **LABELS).axes[0]
    assert np.array_equal(axis.lines[0].get_xydata(), [[1, 3], [2, 4]])
    assert np.array_equal(axis.lines[1].get_xydata(), [[1, 1], [2, 1]])
    assert np.array_equal(axis.collections[0].get_segments(), [[[1, 2], [1, 4]], [[2, 3], [2, 5]]])
    assert [list(ends.get_ydata()) for ends in axis.lines[2:]] == [[2, 3], [4, 5]]
    assert [text.get_text() for text in axis.texts] == ["LoRA"]


def test_curves_with_whiskers_stand_beside_each_other_around_their_place() -> None:
    lines = [Line(name, [1, 2], [3, 4], [2, 3], [4, 5]) for name in ("LoRA", "full")]
    axis = line_chart([*lines, Line("", [1, 2], [1, 1])], **LABELS).axes[0]
    axis.figure.draw_without_rendering()
    place = axis.transData.transform((1, 3))[0]
    left, right, bare = (line.get_transform().transform((1, 3))[0] for line in axis.lines[:3])
    assert bare == place and left < place < right and left + right == pytest.approx(2 * place)
    assert right - left < 0.02 * axis.bbox.width
    stems = [each.get_transform().transform((1, 3))[0] for each in axis.collections]
    assert stems == [left, right]
    assert axis.dataLim.intervalx.tolist() == [1, 2]


def test_long_curves_have_no_markers_and_unnamed_ones_no_legend() -> None:
    made = line_chart([Line("", [1, 2], [3, 4], points=False)], **LABELS)
    assert made.axes[0].lines[0].get_marker() == ""
    assert made.legends == [] == list(made.axes[0].texts)


def test_powers_of_two_are_written_as_numbers() -> None:
    axis = line_chart([Line("a", [1, 64], [1, 2])], **LABELS, x_log2=True, y_log10=True).axes[0]
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert axis.xaxis.get_major_formatter()(64, None) == "64"


def test_a_vertical_axis_by_powers_of_two_has_them_as_labels() -> None:
    axis = line_chart([Line("a", [1, 2], [1, 16])], **LABELS, y_log2=True).axes[0]
    axis.figure.canvas.draw()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert (axis.get_xscale(), axis.get_yscale()) == ("linear", "log")
    assert {"1", "2", "4", "8", "16"} <= set(labels)


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((0.3, 3.5), ["0.5", "1", "2"]),
        ((0.012, 0.11), ["0.02", "0.05", "0.1"]),
        ((6, 400), ["10", "20", "50", "100", "200"]),
        ((0.016, 6.9), ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]),
        ((0.5, 5000), ["1", "10", "100", "1,000"]),
    ],
)
def test_a_logarithmic_axis_of_few_decades_has_labels_within_each(ends, labels) -> None:
    axis = line_chart([Line("a", [1, 2], ends)], **LABELS, y_log10=True).axes[0]
    axis.figure.canvas.draw()
    shown = [
        tick for tick in axis.get_yticklabels() if ends[0] <= tick.get_position()[1] <= ends[1]
    ]
    assert [tick.get_text() for tick in shown] == labels
    assert not any(tick.get_text() for tick in axis.get_yticklabels(minor=True))


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((-1000, 2000), ["−1,000", "0", "1,000", "2,000"]),
        ((0, 3e6), ["0", "1,000,000", "2,000,000", "3,000,000"]),
        ((0, 1.5), ["0.0", "0.5", "1.0", "1.5"]),
        ((12345, 12345.75), ["12,345.00", "12,345.25", "12,345.50", "12,345.75"]),
        ((0, 3e-6), ["0.000000", "0.000001", "0.000002", "0.000003"]),
    ],
)
def test_a_linear_axis_has_its_numbers_in_full_and_with_commas(
    ends: tuple[float, float], labels: list[str]
) -> None:
    axis = line_chart([Line("", ends, ends)], **LABELS).axes[0]
    for each, read in ((axis.xaxis, axis.get_xticklabels), (axis.yaxis, axis.get_yticklabels)):
        each.set_ticks(np.linspace(*ends, 4))
        assert [label.get_text() for label in read()] == labels


def test_bars_have_their_heights_whiskers_values_and_baseline() -> None:
    values = {"head only": 0.9, "LoRA": 0.95}
    made = bar_chart(
        values,
        title="LoRA wins",
        y_label="accuracy",
        intervals={"LoRA": (0.93, 0.96)},
        reference=("majority", 0.5),
        label_format="{:.2f}",
    )
    axis = made.axes[0]
    assert [bar.get_height() for bar in axis.patches] == [0.9, 0.95]
    colours = [to_hex(bar.get_facecolor()).upper() for bar in axis.patches]
    assert colours == [CONCEPTS["head"], CONCEPTS["lora"]]
    assert {bar.get_hatch() for bar in axis.patches} == {None}
    assert [text.get_text() for text in axis.texts] == ["0.90", "0.95", "majority"]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["head only", "LoRA"]
    ends = axis.containers[-1].lines[2][0].get_segments()[0][:, 1]
    assert np.allclose(ends, [0.93, 0.96])
    assert not made.legends
    assert axis.get_ylim()[1] < 1.1  # shares: no room for a tick at 1.2


def test_points_have_their_heights_whiskers_values_and_no_zero() -> None:
    values = {"head only": 81.0, "LoRA": 90.7}
    intervals = {"head only": (75.0, 87.0), "LoRA": (86.0, 95.0)}
    labels = {"title": "LoRA wins", "y_label": "right (%)", "label_format": "{:.1f} %"}
    axis = point_chart(values, intervals, **labels).axes[0]
    points = [drawn.lines[0] for drawn in axis.containers]
    assert [point.get_ydata().item() for point in points] == [81.0, 90.7]
    assert [point.get_color() for point in points] == [CONCEPTS["head"], CONCEPTS["lora"]]
    whiskers = [drawn.lines[2][0].get_segments()[0][:, 1] for drawn in axis.containers]
    assert np.allclose(whiskers, list(intervals.values()))
    assert [text.get_text() for text in axis.texts] == ["81.0 %", "90.7 %"]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == list(values)
    assert axis.get_ylim()[0] == 70 and 70 in axis.get_yticks()
    assert axis.get_ylabel() == "right (%), from 70"


def test_points_on_a_logarithmic_axis_all_lie_well_inside_it() -> None:
    values = {"base": 18.0, "full": 987.0}
    axis = point_chart(values, title="", y_label="perplexity", y_log10=True).axes[0]
    low, high = axis.get_ylim()
    assert axis.get_yscale() == "log" and low < 16 and high > 1100
    assert all(drawn.lines[2] == () for drawn in axis.containers)  # no whiskers


def test_charts_below_each_other_share_their_edges() -> None:
    names = ("short", "a name that takes much room")
    charts = [
        line_chart([Line(name, [1, 2], [0, top])], **LABELS)
        for name, top in zip(names, (1, 1e6), strict=True)
    ]
    for chart in charts:
        chart.draw_without_rendering()
    first, second = (chart.axes[0].get_position() for chart in charts)
    assert first.x0 < second.x0 and first.x1 > second.x1
    align(charts)
    for chart in charts:
        png(chart)
    (left, *others), (right, *_) = zip(
        *(chart.axes[0].get_position().intervalx for chart in charts), strict=True
    )
    assert [left, right] == list(charts[1].axes[0].get_position().intervalx)
    assert others == [left] and [left, right] == pytest.approx([second.x0, second.x1], abs=0.01)


@pytest.mark.parametrize("height", [0.5, 0.78, 0.82, 0.9])
def test_a_baseline_strikes_out_no_value(height: float) -> None:
    baseline = ("counted words", 0.83)
    bars = {"name": height, "LoRA": 0.9}
    made = bar_chart(bars, title="", y_label="", reference=baseline)
    made.draw_without_rendering()
    axis = made.axes[0]
    line = axis.transData.transform((0, baseline[1]))[1]
    *values, name = (label.get_window_extent() for label in axis.texts)
    assert all(not box.y0 < line < box.y1 for box in values)
    assert name.y0 < line < name.y1 and axis.bbox.x1 < name.x0 and name.x1 <= made.bbox.x1


def test_heat_map_shows_the_matrix_and_its_names() -> None:
    matrix = np.array([[0.0, 1.0], [2.0, 3.0]])
    made = heat_map(
        matrix,
        title="It grows",
        x_label="column",
        y_label="row",
        value_label="weight",
        x_names=["a", "b"],
        y_names=["c", "d"],
        number_format="{:.0f}",
    )
    (axis,) = made.axes  # a bar would say in colours what the cells say in numbers
    assert np.array_equal(axis.images[0].get_array(), matrix)
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["c", "d"]
    assert [text.get_text() for text in axis.texts] == ["0", "1", "2", "3"]
    assert axis.get_xlabel() == "column\nin each cell: weight"


def test_the_number_in_a_cell_can_be_read_on_its_colour() -> None:
    labels = {"title": "", "x_label": "", "y_label": "", "value_label": ""}
    (axis,) = heat_map([list(range(-40, 41))], **labels).axes
    (image,) = axis.images
    for text, value in zip(axis.texts, range(-40, 41), strict=True):
        assert contrast(to_hex(text.get_color()), to_hex(image.to_rgba(value))) >= 4, value


def test_a_map_has_the_same_colour_for_the_same_distance_from_zero() -> None:
    labels = {"title": "", "x_label": "", "y_label": "", "value_label": ""}
    for values in ([[-1.0, 3.0]], [[1.0, 3.0]], [[-3.0, -1.0]]):
        assert heat_map(values, **labels).axes[0].images[0].get_clim() == (-3.0, 3.0)


def test_a_map_goes_from_the_papers_lightness_away_and_never_back() -> None:
    both = [
        lightness(colour) for colour in matplotlib.colormaps[MAP](np.linspace(0, 1, 101))[:, :3]
    ]
    for way in (both[50:], both[50::-1]):
        assert way[0] > 0.95 and way[-1] < 0.4
        assert min(a - b for a, b in zip(way, way[1:])) >= 0


def test_a_map_has_the_colours_of_the_explorers_maps() -> None:
    below, above = (matplotlib.colormaps[MAP](end)[:3] for end in (0.1, 0.9))
    assert below[0] > below[1] > below[2] and above[2] > above[0] > above[1]  # orange, violet
    cut = (ROOT / "lora_edu/widgets/components/cut.js").read_text(encoding="utf-8")
    assert '"orange to violet"' in cut


def test_points_near_zero_have_it_on_their_axis() -> None:
    axis = point_chart({"LoRA": 90.0, "head": 1.0}, title="", y_label="right (%)").axes[0]
    assert axis.get_ylim()[0] <= 0 and axis.get_ylabel() == "right (%)"


@pytest.mark.parametrize("characters", [58, 42, 30])
def test_no_title_ends_in_a_word_alone(characters: int) -> None:
    for title in (
        "LoRA: 10 points above a head alone, and 5 % of full's bytes",
        "With the adapter off nothing is forgotten; with it on, much is",
        "An adapter takes 5.5 % of the base's space",
        "Rank 4 brings 8 to 98 % of the possible gain",
    ):
        lines = wrapped(title, characters).splitlines()
        assert " ".join(lines) == title and len(lines) == len(textwrap.wrap(title, characters))
        assert len(lines) == 1 or " " in lines[-1]


def test_an_image_carries_picture_and_text() -> None:
    picture = png(figure("a"))
    tag = image_tag(picture, 'loss < 2 & "falls"')
    assert 'alt="loss &lt; 2 &amp; &quot;falls&quot;"' in tag
    assert f"base64,{base64.b64encode(picture).decode()}" in tag


def test_an_image_is_a_sheet_of_its_own_and_keeps_three_quarters_of_its_width() -> None:
    drawn = figure("a")
    tag = image_tag(png(drawn), "nothing", width_px=300)
    for rule in ("background:#fff", "padding:8px", "border-radius:8px", "width:300px"):
        assert rule in tag
    assert "max-width:100%;box-sizing:border-box" in tag and "min-width:225px" in tag
    dots = Image.open(io.BytesIO(png(drawn))).width  # without a width, a pixel is a pixel
    assert f"width:{dots}px" in image_tag(png(drawn), "nothing")


def test_a_picture_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="alt must say in words"):
        show(figure("a"), alt=" ")


def test_a_name_that_speaks_of_a_concept_has_its_colour_everywhere() -> None:
    names = {"lora, training": "lora", "full\nrandom\nbase": "full", "one base": "frozen"}
    assert {name: concept_of(name) for name in names} == names
    assert concept_of("loratadine") == concept_of("") == ""
    lines = [Line(name, [1, 2], [3, 4]) for name in ("noise", "full", "LoRA, rank 8")]
    colours = [line.get_color() for line in line_chart(lines, **LABELS).axes[0].lines]
    assert colours == [COLOURS[0], CONCEPTS["full"], CONCEPTS["lora"]]
    assert not set(COLOURS) & set(CONCEPTS.values())
    bars = bar_chart({"base": 1, "tales": 2}, title="", y_label="", concept="lora").axes[0].patches
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == [
        CONCEPTS["frozen"],
        CONCEPTS["lora"],
    ]


def test_every_line_stands_out_from_the_paper() -> None:
    for colour in (*COLOURS, *CONCEPTS.values()):
        linear = [
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in to_rgb(colour)
        ]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 3, colour


def test_curves_have_their_names_at_their_ends_and_no_legend() -> None:
    lines = [
        Line("one", [1, 2], [3, 4]),
        Line("two", [1, 2], [3, 4.2]),
        Line("far", [1, 2], [3, 9]),
    ]
    made = line_chart(lines, **LABELS)
    axis = made.axes[0]
    assert made.legends == []
    assert [text.get_text() for text in axis.texts] == ["one", "two", "far"]
    made.draw_without_rendering()
    one, two, far = (text.get_window_extent() for text in axis.texts)
    assert one.y1 <= two.y0 and two.y1 <= far.y0  # in the curves' order, none upon another
    assert min(each.x0 for each in (one, two, far)) > axis.transData.transform((2, 0))[0]
    assert max(each.x1 for each in (one, two, far)) <= made.bbox.x1


CROSSING = [
    [Line("short", [1, 2], [3, 4]), Line("long", [1, 9], [3, 4])],
    [Line(f"number {i}", [1, 2], [i, i]) for i in range(6)],
    [Line("one", [1, 2], [3, 4]), Line("upon it", [1, 2], [9, 4.01])],
    [Line("up", [0, 1, 2], [0, 1, 2]), Line("down", [0, 1, 2], [2, 1, 0], [1, 0, 0], [3, 2, 1])],
]


@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
@pytest.mark.parametrize("lines", CROSSING)
def test_names_without_room_at_the_ends_are_nearest_to_their_curves_and_cover_nothing(
    lines: list[Line], phone: bool
) -> None:
    made = line_chart(lines, **LABELS)
    made = for_phone(made) if phone else made
    axis = made.axes[0]
    made.draw_without_rendering()
    assert not made.legends
    curves = {
        curve.get_label(): on_page(axis, curve) for curve in axis.lines if curve.get_xdata().size
    }
    names = {text.get_text(): Text.get_window_extent(text) for text in axis.texts}  # without ties
    assert {" ".join(name.split()) for name in names} == {line.label for line in lines}
    for name, box in names.items():
        far = {label: distance(box, dots) for label, dots in curves.items()}
        assert min(far, key=far.get) == name and min(far.values()) > 0
        assert not any(box.overlaps(other) for each, other in names.items() if each != name)


def on_page(axis: Axes, curve: Line2D) -> np.ndarray:
    """A curve's line as dots, (dots, 2)."""
    x, y = curve.get_transform().transform(curve.get_xydata()).T
    along = np.linspace(0, len(x) - 1, 2000)
    places = np.arange(len(x))
    return np.column_stack([np.interp(along, places, x), np.interp(along, places, y)])


def distance(box: Bbox, dots: np.ndarray) -> float:
    beyond = np.maximum(np.maximum([box.x0, box.y0] - dots, dots - [box.x1, box.y1]), 0)
    return np.hypot(*beyond.T).min()


@pytest.mark.parametrize(
    "lines",
    [
        [Line("short", [1, 2], [3, 4]), Line("upon it", [1, 2], [3, 4])],
        [Line(f"number {i}", [1, 2], [i, i]) for i in range(30)],
    ],
)
def test_where_names_find_no_room_there_is_a_legend(lines: list[Line]) -> None:
    (legend,) = line_chart(lines, **LABELS).legends
    assert [text.get_text() for text in legend.get_texts()] == [line.label for line in lines]


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["LoRA, rank 8", "LoRA, rank 32", "full", "36 matrices, whole"], 1),
        (["LoRA trained at rank r", "ΔW of full fine-tuning, cut to rank r"], 1),
        (["6 equal: 66 % at rank 4", "6, each half the one before: 98 %", "all 48 equal: 8 %"], 2),
        ([f"number {number}" for number in range(6)], 2),
    ],
)
def test_a_legend_is_one_row_where_its_names_fit_and_is_never_cut(
    names: list[str], rows: int
) -> None:
    made = line_chart([Line(name, [1, 2], [3, 4]) for name in names], **LABELS)
    made.draw_without_rendering()
    boxes = [text.get_window_extent() for text in made.legends[0].get_texts()]
    assert len({round(box.y0) for box in boxes}) == rows
    whole = made.legends[0].get_window_extent()
    assert whole.x0 >= 0 and whole.x1 <= made.bbox.x1


@pytest.mark.parametrize("above", [True, False])
def test_a_level_has_its_name_clear_of_its_line_and_inside(above: bool) -> None:
    axis = line_chart([Line("", [1, 2], [3, 9])], **LABELS).axes[0]
    add_level(axis, 6, "gently", right=0.5, above=above)
    axis.figure.draw_without_rendering()
    box, middle = axis.texts[0].get_window_extent(), axis.transData.transform((1.5, 6))
    assert (box.y0 - middle[1] if above else middle[1] - box.y1) > 2
    assert 0 < middle[0] - box.x1 < 15
    assert axis.lines[-1].get_ydata() == [6, 6]


def test_names_move_apart_no_further_than_they_must() -> None:
    assert spread([40, 10], [10, 10], 0, 50) == [40, 10]
    assert spread([25, 25, 25], [10, 10, 10], 0, 50) == [15, 25, 35]
    assert spread([0, 0], [10, 10], 0, 50) == [5, 15]  # not below the axes
    assert spread([9, 9], [10, 10], 0, 19) is None


def test_a_phones_form_has_the_same_curves_and_its_words_broken() -> None:
    title = "A title of more words than a phone has room for beside each other, at this size"
    lines = [Line("LoRA, by a name of many words", [1, 4096], [3, 1], [2, 1], [4, 2])]
    drawn = line_chart(lines, title=title, x_label="rank", y_label="loss", x_log2=True)
    add_level(drawn.axes[0], 3.5, "before training, and this is said at length here")
    small = for_phone(drawn)
    assert drawn.axes[0].get_title("left") == title  # the one given stays as it is
    assert shown_width(drawn) == shown_width(figure("a"))
    assert shown_width(small) == PHONE_PX <= 390
    (axis,) = small.axes
    assert axis.get_title("left").split() == title.split() and "\n" in axis.get_title("left")
    assert np.array_equal(axis.lines[0].get_xydata(), drawn.axes[0].lines[0].get_xydata())
    assert_inside(small)
    labels = [t.get_window_extent() for t in axis.get_xticklabels() if t.get_text()]
    assert len(labels) > 2 and all(a.x1 < b.x0 for a, b in zip(labels, labels[1:]))


def test_charts_that_were_aligned_have_their_own_edges_on_a_phone() -> None:
    charts = [line_chart([Line("a", [1, 2], [y, 2 * y])], **LABELS) for y in (1, 10_000)]
    align(charts)
    for chart in charts:
        assert_inside(for_phone(chart))


def test_a_chart_of_two_panels_is_no_chart_for_a_phone() -> None:
    with pytest.raises(ValueError, match="got 2; draw each by itself"):
        for_phone(figure("two", panels=2))


@pytest.mark.parametrize("concept", ["head", "LoRA", "full"])
def test_a_phones_fewer_colours_are_still_those_of_the_concepts(concept: str) -> None:
    made = for_phone(bar_chart({concept: 1.0, "base": 2.0}, title="", y_label=""))
    few = Image.open(io.BytesIO(png(made, PHONE_COLOURS))).convert("RGB")
    wished = [round(255 * part) for part in to_rgb(CONCEPTS[concept.lower()])]
    near = [
        c for n, c in few.getcolors(1 << 20) if n > 500 and np.abs(np.subtract(c, wished)).max() < 4
    ]
    assert near
