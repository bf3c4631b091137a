"""Output rows that need not all rows of the kernel: at the upper and lower border, where some lie outside the image.

Rows of the kernel that lie outside for every pixel of a band are left out: what they contribute is known, 0 or `pad`
times the sum of their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from gatewright.targets.array.job import Job, Level, Tile
from gatewright.targets.array.tiling import TapBlock, tile_pixels

__all__ = ["Band", "band_bias", "cheapest_bands", "has_own_bias", "taps_of", "whole_band"]


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


def whole_band(job: Job, tile: Tile) -> Band:
    """A tile with all rows of the kernel."""
    return Band(tile, 0, job.taps.rows)


def cheapest_bands(job: Job, tile: Tile, rows: int, cycles: Callable[[Band], float]) -> tuple[Band, ...]:
    """The tile cut where that takes the least cycles, from top to bottom; in one where nothing is gained.

    The array works on `rows` pixels at once.
    """
    needed = _needed(job, tile)
    cuts = _cuts(job, tile, needed, rows)
    best: dict[int, tuple[float, tuple[Band, ...]]] = {cuts[0]: (0, ())}
    for place, stop in enumerate(cuts[1:], 1):
        options = []
        for start in cuts[:place]:
            taken, before = best[start]
            inside = needed[start - tile.row : stop - tile.row]
            band = Band(replace(tile, row=start, row_stop=stop), int(inside[:, 0].min()), int(inside[:, 1].max()))
            options.append((taken + cycles(band), (*before, band)))
        best[stop] = min(options, key=lambda option: (option[0], len(option[1])))
    return best[tile.row_stop][1]


def taps_of(taps: TapBlock, band: Band, job: Job) -> TapBlock:
    """Those of all taps that a band is computed with."""
    depth = taps.depth // taps.rows
    dy, start = taps.dy + band.first * job.taps.row_step, taps.start + band.first * depth
    return replace(taps, rows=band.taps, dy=dy, start=start, depth=band.taps * depth)


def has_own_bias(job: Job, band: Band) -> bool:
    """Whether a band's bias is not the layer's."""
    return job.pad != 0 and band.taps < job.taps.rows


def band_bias(job: Job, band: Band, columns: int) -> np.ndarray:
    """Bias of each filter, int64 [filters], with what the rows of the kernel outside of a band contribute.

    `columns` filters are a tile of them.
    """
    bias = job.bias.astype(np.int64)
    if not has_own_bias(job, band):
        return bias
    tiles, _, width = job.weights.shape
    rows = job.weights.astype(np.int64).reshape(tiles, job.taps.rows, -1, width).sum(axis=2)
    outside = rows.sum(axis=1) - rows[:, band.first : band.stop].sum(axis=1)
    return bias + job.pad * outside[:, :columns].reshape(-1)[: job.filters]


def _needed(job: Job, tile: Tile) -> np.ndarray:
    """The rows of the kernel [first, stop), at least one, that some pixel of each output row needs: [rows, 2]."""
    taps = job.taps
    if taps.rows == 1 or taps.row_step <= 0:
        return np.tile([0, taps.rows], (tile.rows, 1))
    *inner, outer = job.columns
    low = high = job.y0 + tile.column * outer.dy + np.arange(tile.row, tile.row_stop) * job.rows.dy
    for level in (*job.window, *inner, Level(tile.columns, outer.dy)):
        reach = (level.count - 1) * level.dy
        low, high = low + min(reach, 0), high + max(reach, 0)
    first = np.clip(-(high // taps.row_step), 0, taps.rows - 1)  # high + first * row_step is 0 or more
    stop = np.minimum((job.image.height - 1 - low) // taps.row_step + 1, taps.rows)
    return np.stack([first, np.maximum(stop, first + 1)], axis=1)


def _cuts(job: Job, tile: Tile, needed: np.ndarray, rows: int) -> list[int]:
    """Where to look for a cut: where the rows of the kernel in use change, and the nearest ends of pixel tiles."""
    changes = tile.row + 1 + np.flatnonzero((needed[1:] != needed[:-1]).any(axis=1))
    period = rows // gcd(rows, tile_pixels(job, replace(tile, row=0, row_stop=1)))
    found = {tile.row, tile.row_stop, *map(int, changes)}
    for row in changes:
        down = tile.row + int(row - tile.row) // period * period
        found |= {cut for cut in (down, down + period) if tile.row < cut < tile.row_stop}
    return sorted(found)
