"""What the SVD cut answers from: matrices taken apart, small enough to travel in a cell's output.

Energies and the sizes of the matrices are exact. Pictures show every k-th row and column, which
loses nothing else: a cut is linear in its pieces, so the cut of the whole matrix is known at these
places from the same places of its pieces. Their numbers are rounded to 8 bits; a colour is off by
at most `TOLERANCE` of the scale. Curves of singular values are rounded to a 255th of their height.

The shipped matrices were taken apart once, by `scripts/record_cut.py`: singular vectors may change
sign between machines, and a notebook's stored output must not.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lora_edu.files import data_path
from lora_edu.spectra import energy_kept

RANKS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 192)
#: How the first two objects are named; ΔW goes by block and layer, "0.query".
PICTURE, NOISE = "picture", "noise"
TOLERANCE = 0.015  # of the colour scale, at each place of a cut that is shown
SMALLEST = 1e-3  # of the largest; singular values below are not drawn

_PICTURE_SIDE, _SIDE = 96, 32  # rows and columns that are shown
_PIECES = 64  # sent one by one; for higher ranks what the cut leaves is sent, where it can be seen
_UNSEEN = 1 / 255  # of the colour scale
_MODULES = ("query", "key", "value", "out", "fc_in", "fc_out")  # in the order of a block
_LEVELS = 127  # of a signed byte
_SAME = 0.01  # distance, in proportion, at which a matrix is the recorded one

Data = dict[str, Any]


def take_apart(matrix: Tensor, side: int) -> Data:
    """Takes a matrix apart into what the explorer needs of it.

    Args:
        matrix: (m, n).
        side: Rows and columns to show, at most.
    """
    matrix = matrix.double()
    rows, columns = (_places(length, side) for length in matrix.shape)
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    high = _high(matrix)
    shares = values / values[0]
    kept = [0.0, *energy_kept(values).tolist()]
    seen, writes, reads = (matrix / high)[rows][:, columns], u[rows], vh[:, columns].T
    left = {
        rank: seen - (writes[:, :rank] * (values[:rank] / high)) @ reads[:, :rank].T
        for rank in RANKS
        if _PIECES < rank < len(values)
    }
    return {
        "shape": list(matrix.shape),
        "seen": list(seen.shape),
        "signed": bool((matrix < 0).any()),
        "energy": [float(f"{kept[min(rank, len(values))]:.7g}") for rank in RANKS],
        "spectrum": _curve(shares[shares >= SMALLEST]),
        "matrix": _packed(seen),
        "pieces": _packed_pieces((values / high)[:_PIECES], writes.T[:_PIECES], reads.T[:_PIECES]),
        "left": {
            str(rank): _packed(residual)
            for rank, residual in left.items()
            if residual.abs().max() > _UNSEEN
        },
    }


def record(picture: Tensor, updates: Mapping[str, Tensor]) -> Data:
    """Takes a picture, noise and updates apart.

    Args:
        picture: A picture as a matrix.
        updates: ΔW by parameter name, `blocks.0.attention.query.weight` and so on. The first and
            the last block are kept, those nearest to the words and to the head: with all blocks a
            cell's output would hold half a megabyte.
    """
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(picture.shape, generator=draws, dtype=torch.float64)
    named = {block_and_module(name): matrix for name, matrix in updates.items()}
    blocks = sorted({block for block, _ in named})
    ends = sorted({blocks[0], blocks[-1]})
    return {
        "ranks": list(RANKS),
        "blocks": ends,
        "modules": sorted({module for _, module in named}, key=_MODULES.index),
        "objects": {
            PICTURE: take_apart(picture, _PICTURE_SIDE),
            NOISE: take_apart(noise, _SIDE),
            **{
                f"{block}.{module}": take_apart(matrix, _SIDE)
                for (block, module), matrix in named.items()
                if block in ends
            },
        },
    }


@cache
def recorded() -> Data:
    """Returns the record of the picture of notebook 01 and of the shipped updates."""
    text = data_path("results", "svd_cut.json").read_text(encoding="utf-8")
    return json.loads(text)["data"]


def is_recorded(picture: Tensor, updates: Mapping[str, Tensor]) -> bool:
    """Whether these are the matrices that were recorded, but for a machine's last digits."""
    data = recorded()
    named = {"{}.{}".format(*block_and_module(name)): each for name, each in updates.items()}
    given = {PICTURE: picture, **named}
    wanted = [name for name in data["objects"] if name != NOISE]
    return {name.split(".")[1] for name in named} == set(data["modules"]) and all(
        name in given and _is(given[name], data["objects"][name]) for name in wanted
    )


def block_and_module(name: str) -> tuple[int, str]:
    """Returns block and layer of a parameter.

    Example:
        >>> block_and_module("blocks.0.attention.query.weight")
        (0, 'query')
    """
    parts = name.split(".")
    return int(parts[1]), parts[-2]


def unpacked(packed: Data) -> Tensor:
    """The numbers of a piece of data, row after row.

    Shape:
        (rows × columns,), one dimension.
    """
    levels = torch.frombuffer(bytearray(b64decode(packed["bytes"])), dtype=torch.int8)
    return levels.double() * packed["unit"]


def _is(matrix: Tensor, kept: Data) -> bool:
    if list(matrix.shape) != kept["shape"]:
        return False
    rows, columns = (_places(*each) for each in zip(kept["shape"], kept["seen"], strict=True))
    seen = (matrix.double() / _high(matrix.double()))[rows][:, columns].flatten()
    return bool((seen - unpacked(kept["matrix"])).norm() < _SAME * seen.norm())


def _high(matrix: Tensor) -> float:
    """The upper end of the colour scale: the largest entry, or with signs 99 % of the sizes."""
    signed = bool((matrix < 0).any())
    return (matrix.abs().quantile(0.99) if signed else matrix.max()).item()


def _places(length: int, side: int) -> Tensor:
    """Which of `length` rows are shown: at most `side`, at equal distances."""
    side = min(side, length)
    return torch.arange(side) * length // side


def _packed(numbers: Tensor) -> Data:
    """Numbers as signed bytes, and the unit that they are counted in."""
    unit = float(f"{numbers.abs().max().item() / _LEVELS or 1.0:.6g}")
    levels = (numbers / unit).round().clamp(-_LEVELS, _LEVELS).to(torch.int8)
    return {"unit": unit, "bytes": b64encode(levels.numpy().tobytes()).decode()}


def _packed_pieces(strengths: Tensor, writes: Tensor, reads: Tensor) -> Data:
    """Pieces, one a row: each direction fills its bytes, and a weight undoes that."""
    sizes = [each.abs().amax(dim=1, keepdim=True) for each in (writes, reads)]
    weights = strengths * sizes[0][:, 0] * sizes[1][:, 0] / _LEVELS**2
    packed = [
        _packed(each / size * _LEVELS)["bytes"]
        for each, size in zip((writes, reads), sizes, strict=True)
    ]
    return {
        "weights": [float(f"{weight:.6g}") for weight in weights.tolist()],
        "writes": packed[0],
        "reads": packed[1],
    }


def _curve(shares: Tensor) -> str:
    """Singular values as heights from 0 (`SMALLEST` of the largest) to 255, logarithmically."""
    heights = (255 * (1 - shares.log() / torch.tensor(SMALLEST).log())).round()
    return b64encode(heights.to(torch.uint8).numpy().tobytes()).decode()
