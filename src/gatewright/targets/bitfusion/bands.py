"""Output rows that need not all rows of the kernel: at the upper and lower border, where some lie outside the image.

Rows of the kernel that lie outside for every pixel of a band are left out: what they contribute is known, 0 or `pad`
times the sum of their weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from gatewright.targets.array.job import Job, Level
from gatewright.targets.array.tiling import Tile, tile_pixels
from gatewright.targets.array.timing import NEXT_CYCLES, START_CYCLES, drain_cycles
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.job import FusionJob

__all__ = ["Band", "band_bias", "band_cycles", "bands", "has_own_bias", "whole_band", "with_last_apart"]


@dataclass(frozen=True)
class Band:
    """A tile of output rows, and the rows of the kernel [first, stop) that it is computed with."""

    tile: Tile
    first: int
    stop: int

    @property
    def taps(self) -> int:
        """Rows of the kernel."""
        return self.stop - self.first


def whole_band(shape: Job, tile: Tile) -> Band:
    """A tile with all rows of the kernel."""
    return Band(tile, 0, shape.taps.rows)


def bands(job: FusionJob, tile: Tile, config: FusionConfig) -> tuple[Band, ...]:
    """The tile cut where that takes the least cycles, from top to bottom; in one where nothing is gained."""
    needed = _needed(job.shape, tile)
    cuts = _cuts(job.shape, tile, needed, 1 if job.slots.share else job.slots.rows)
    best: dict[int, tuple[int, tuple[Band, ...]]] = {cuts[0]: (0, ())}
    for place, stop in enumerate(cuts[1:], 1):
        options = []
        for start in cuts[:place]:
            cycles, before = best[start]
            inside = needed[start - tile.row : stop - tile.row]
            band = Band(replace(tile, row=start, row_stop=stop), int(inside[:, 0].min()), int(inside[:, 1].max()))
            options.append((cycles + band_cycles(job, band, config), (*before, band)))
        best[stop] = min(options, key=lambda option: (option[0], len(option[1])))
    return best[tile.row_stop][1]


def with_last_apart(job: FusionJob, pieces: tuple[Band, ...], rows: int) -> tuple[Band, ...] | None:
    """The bands, the last one being a tile of pixels in `rows` rows of the array, at no more steps; None if it cannot.

    It has all rows of the kernel, and there are others before it; pixels do not share words, since its sums wait.
    """
    *before, last = pieces
    row = tile_pixels(job.shape, replace(last.tile, row_stop=last.tile.row + 1))
    cut = last.tile.row_stop - rows // row
    if (
        job.slots.share
        or last.taps < job.shape.taps.rows
        or row > rows
        or cut < last.tile.row
        or (cut == last.tile.row and not before)
    ):
        return None
    head, tail = (
        replace(last.tile, row=start, row_stop=stop)
        for start, stop in ((last.tile.row, cut), (cut, last.tile.row_stop))
    )
    tiles = [-(-tile_pixels(job.shape, tile) // rows) for tile in (last.tile, head, tail)]
    if tiles[1] + tiles[2] > tiles[0]:
        return None
    return (*before, *([replace(last, tile=head)] if tiles[1] else []), replace(last, tile=tail))


def band_cycles(job: FusionJob, band: Band, config: FusionConfig) -> int:
    """Cycles from the start of a `compute` over a band and one tile of filters to that of the next one."""
    tiles = job.pixel_tiles(band.tile)
    steps = job.steps * band.taps // job.shape.taps.rows
    return START_CYCLES - 1 + NEXT_CYCLES + tiles * max(steps, drain_cycles(config.array()))


def has_own_bias(shape: Job, band: Band) -> bool:
    """Whether a band's bias is not the layer's."""
    return shape.pad != 0 and band.taps < shape.taps.rows


def band_bias(shape: Job, band: Band, columns: int) -> np.ndarray:
    """Bias of each filter, int64 [filters], with what the rows of the kernel outside of a band contribute.

    `columns` filters are a tile of them.
    """
    bias = shape.bias.astype(np.int64)
    if not has_own_bias(shape, band):
        return bias
    tiles, _, width = shape.weights.shape
    rows = shape.weights.astype(np.int64).reshape(tiles, shape.taps.rows, -1, width).sum(axis=2)
    outside = rows.sum(axis=1) - rows[:, band.first : band.stop].sum(axis=1)
    return bias + shape.pad * outside[:, :columns].reshape(-1)[: shape.filters]


def _needed(shape: Job, tile: Tile) -> np.ndarray:
    """The rows of the kernel [first, stop), at least one, that some pixel of each output row needs: [rows, 2]."""
    taps = shape.taps
    if taps.rows == 1 or taps.row_step <= 0:
        return np.tile([0, taps.rows], (tile.rows, 1))
    *inner, outer = shape.columns
    low = high = shape.y0 + tile.column * outer.dy + np.arange(tile.row, tile.row_stop) * shape.rows.dy
    for level in (*shape.window, *inner, Level(tile.columns, outer.dy)):
        reach = (level.count - 1) * level.dy
        low, high = low + min(reach, 0), high + max(reach, 0)
    first = np.clip(-(high // taps.row_step), 0, taps.rows - 1)  # high + first * row_step is 0 or more
    stop = np.minimum((shape.image.height - 1 - low) // taps.row_step + 1, taps.rows)
    return np.stack([first, np.maximum(stop, first + 1)], axis=1)


def _cuts(shape: Job, tile: Tile, needed: np.ndarray, rows: int) -> list[int]:
    """Where to look for a cut: where the rows of the kernel in use change, and the nearest ends of pixel tiles."""
    changes = tile.row + 1 + np.flatnonzero((needed[1:] != needed[:-1]).any(axis=1))
    period = rows // gcd(rows, tile_pixels(shape, replace(tile, row=0, row_stop=1)))
    found = {tile.row, tile.row_stop, *map(int, changes)}
    for row in changes:
        down = tile.row + int(row - tile.row) // period * period
        found |= {cut for cut in (down, down + period) if tile.row < cut < tile.row_stop}
    return sorted(found)
