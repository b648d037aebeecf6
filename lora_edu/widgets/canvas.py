"""Pictures that are drawn again and again, and must not keep a slider waiting."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from lora_edu.plots import house_style

_RGB = 2  # PNG's number for three colours a pixel


def encode_png(pixels: np.ndarray) -> bytes:
    """Writes a picture as PNG, each row as it is.

    General encoders try five filters on every row, which for charts and for noise costs twice the
    time and gives larger files.

    Args:
        pixels: (rows, columns, 3), each number from 0 to 255.

    Source:
        Portable Network Graphics, W3C Recommendation 2003, sections 5.3, 7.2, 9 and 11.2.

    Example:
        >>> encode_png(np.zeros((1, 1, 3), dtype=np.uint8))[1:4]
        b'PNG'
    """
    rows, columns, _ = pixels.shape
    lines = np.zeros((rows, 1 + 3 * columns), dtype=np.uint8)  # a row starts with its filter, 0
    lines[:, 1:] = pixels.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, _RGB, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), level=1)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", body), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


class Canvas:
    """A figure that is drawn again and again, quickly: only what moves is drawn anew.

    Axes, ticks and labels are drawn once and kept as a picture; a new state copies that picture
    and draws the moving parts over it. That takes a fifth of the time of a whole drawing.

    Args:
        drawn: A finished figure.
        moving: Its parts that change with the state, in the order they are drawn; without any,
            the whole figure is drawn each time. Others may take their place.
    """

    def __init__(self, drawn: Figure, moving: Sequence[Artist] = ()) -> None:
        with house_style():
            drawn.canvas.draw()  # the first drawing computes the layout …
        drawn.set_layout_engine("none")  # … which then stays, and nothing jumps
        self.figure = drawn
        self.moving = list(moving)
        self._background: Any = None
        self._scale: Any = None

    def png(self, scale: object = 0) -> bytes:
        """Returns the figure's present state as PNG.

        Args:
            scale: What axes and ticks depend on; where it differs from the last one, they are
                drawn anew too.
        """
        canvas = self.figure.canvas
        with house_style():
            if self._background is None or scale != self._scale or not self.moving:
                for artist in self.moving:
                    artist.set_animated(True)  # left out of the whole drawing
                canvas.draw()
                self._background = canvas.copy_from_bbox(self.figure.bbox)
                self._scale = scale
            canvas.restore_region(self._background)
            for artist in self.moving:
                artist.set_animated(True)
                artist.draw(canvas.get_renderer())
        return encode_png(np.asarray(canvas.buffer_rgba())[:, :, :3])
