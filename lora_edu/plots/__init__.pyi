from .axes import add_level, align
from .beside import Cards, cards, to_last_word
from .charts import (
    SMOOTHED_STEPS,
    Line,
    bar_chart,
    line_chart,
    picture,
    point_chart,
    show,
    smoothed,
    stacked_bars,
)
from .curve_names import spread
from .display import (
    LINE_CHARACTERS,
    Picture,
    alert_paragraph,
    image_tag,
    live_paragraph,
    show_widget,
)
from .drawings import drawing
from .faces import EDGES, Mood, faced
from .maps import heat_map
from .phone import PHONE_COLOURS, PHONE_PX, for_phone
from .sentences import inline_html, sentence_table
from .sheet import widths_px
from .style import (
    CONCEPTS,
    DOTS_PER_INCH,
    INK,
    SIZE_INCHES,
    figure,
    house_style,
    line_style,
    png,
    shown_width,
    wrapped,
)
from .tables import Table, note_beneath, signed, table

__all__ = [
    "CONCEPTS",
    "Cards",
    "DOTS_PER_INCH",
    "EDGES",
    "INK",
    "LINE_CHARACTERS",
    "Line",
    "Mood",
    "PHONE_COLOURS",
    "PHONE_PX",
    "Picture",
    "SIZE_INCHES",
    "SMOOTHED_STEPS",
    "Table",
    "add_level",
    "align",
    "alert_paragraph",
    "bar_chart",
    "cards",
    "drawing",
    "faced",
    "figure",
    "for_phone",
    "heat_map",
    "house_style",
    "image_tag",
    "inline_html",
    "line_chart",
    "line_style",
    "live_paragraph",
    "note_beneath",
    "picture",
    "png",
    "point_chart",
    "sentence_table",
    "show",
    "show_widget",
    "shown_width",
    "smoothed",
    "spread",
    "stacked_bars",
    "signed",
    "table",
    "to_last_word",
    "widths_px",
    "wrapped",
]
