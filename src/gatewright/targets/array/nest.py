"""Nests of points (y, x) as instructions say them: written by the emitters, walked by the model, bounded by the proof.

`hdl.nest` walks them in hardware.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import PIXEL_LEVELS
from gatewright.targets.array.job import Level

__all__ = ["Nest", "Range", "array_taps", "image_range", "nest_of", "pixel_fields", "pixels_of", "reach", "vector_taps"]

Range = tuple[int, int]
"""Least and greatest coordinate."""

_SPACE = 1 << 20  # scratchpad addresses wrap at this many bytes


@dataclass(frozen=True)
class Nest:
    """Points from (0, 0) on: `counts` and `deltas` (dy, dx) of the levels, innermost first; see `isa`."""

    counts: tuple[int, ...]
    deltas: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return prod(self.counts)

    def points(self, y: int = 0, x: int = 0) -> np.ndarray:
        """The points in order, moved by (y, x): [points, 2]."""
        points = np.array([[y, x]], np.int64)
        back = np.zeros(2, np.int64)
        for count, delta in zip(self.counts, self.deltas, strict=True):
            step = np.array(delta) + back
            points = (points[None] + np.arange(count)[:, None, None] * step).reshape(-1, 2)
            back = back + step * (count - 1)
        return points

    def bounds(self) -> tuple[Range, Range]:
        """Least and greatest y, and x."""
        bounds, back = [[0, 0], [0, 0]], [0, 0]
        for count, delta in zip(self.counts, self.deltas, strict=True):
            for axis in range(2):
                way = (delta[axis] + back[axis]) * (count - 1)
                bounds[axis][way > 0] += way
                back[axis] += way
        return (bounds[0][0], bounds[0][1]), (bounds[1][0], bounds[1][1])


def reach(*nests: Nest) -> tuple[Range, Range]:
    """Least and greatest y, and x, of sums of a point of each nest."""
    bounds = [nest.bounds() for nest in nests]
    y, x = ([sum(each[axis][end] for each in bounds) for end in range(2)] for axis in range(2))
    return (y[0], y[1]), (x[0], x[1])


def nest_of(levels: Sequence[Level]) -> Nest:
    """The nest of these levels, whose deltas are their steps less the way that the levels inside them have gone."""
    deltas, back_y, back_x = [], 0, 0
    for level in levels:
        deltas.append((level.dy - back_y, level.dx - back_x) if level.count > 1 else (0, 0))
        back_y, back_x = back_y + level.dy * (level.count - 1), back_x + level.dx * (level.count - 1)
    return Nest(tuple(level.count for level in levels), tuple(deltas))


def pixel_fields(levels: Sequence[Level], rows: Level) -> dict[str, int]:
    """CONFIG_PIXELS of these levels with `rows` around them, whose count is in COMPUTE."""
    once = [Level(1)] * (PIXEL_LEVELS - 1 - len(levels))
    nest = nest_of([*levels, *once, rows])
    fields: dict[str, int] = {}
    for number, (count, (dy, dx)) in enumerate(zip((*nest.counts[:-1], 1), nest.deltas, strict=True)):
        fields |= {f"count{number}": count, f"dy{number}": dy, f"dx{number}": dx}
    return fields


def pixels_of(pixels: Mapping[str, int], compute: Mapping[str, int]) -> Nest:
    """The pixels of a COMPUTE behind a CONFIG_PIXELS."""
    return Nest(
        (*(pixels[f"count{level}"] for level in range(PIXEL_LEVELS - 1)), compute["outer_count"]),
        tuple((pixels[f"dy{level}"], pixels[f"dx{level}"]) for level in range(PIXEL_LEVELS)),
    )


def array_taps(taps: Mapping[str, int], config: ArrayConfig) -> Nest:
    """The tap words of a CONFIG_TAPS of the array."""
    deltas = (0, config.word_length << taps["wide"]), (0, taps["dx_s"]), (taps["dy_r"], taps["dx_r"])
    return Nest((taps["words"], taps["count_s"], taps["count_r"]), deltas)


def vector_taps(taps: Mapping[str, int]) -> Nest:
    """The taps of a CONFIG_TAPS of the vector unit."""
    deltas = (0, taps["dx0"]), (taps["dy1"], taps["dx1"]), (taps["dy2"], taps["dx2"])
    return Nest((taps["count0"], taps["count1"], taps["count2"]), deltas)


def image_range(compute: Mapping[str, int], taps: Mapping[str, int], y: Range, x: Range) -> Range:
    """Scratchpad bytes [start, stop) from the first to the last within bounds and image; empty where there are none.

    Bounds count from (y0, x0) of the COMPUTE on.
    """
    top, bottom = max(compute["y0"] + y[0], 0), min(compute["y0"] + y[1], compute["height"] - 1)
    left, right = max(compute["x0"] + x[0], 0), min(compute["x0"] + x[1], taps["row_bytes"] - 1)
    if top > bottom or left > right:
        return 0, 0
    base = compute["base"] if compute["base"] < _SPACE // 2 else compute["base"] - _SPACE
    return base + top * taps["pitch"] + left, base + bottom * taps["pitch"] + right + 1
