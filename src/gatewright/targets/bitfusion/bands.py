"""Bands of a tile, as this machine computes them: see `targets.array.bands`."""

from __future__ import annotations

from dataclasses import replace

from gatewright.targets.array.bands import Band, band_bias, cheapest_bands, has_own_bias, whole_band
from gatewright.targets.array.job import Tile
from gatewright.targets.array.tiling import tile_pixels
from gatewright.targets.array.timing import NEXT_CYCLES, START_CYCLES, drain_cycles
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.job import FusionJob

__all__ = ["Band", "band_bias", "band_cycles", "bands", "has_own_bias", "whole_band", "with_last_apart"]


def bands(job: FusionJob, tile: Tile, config: FusionConfig) -> tuple[Band, ...]:
    """The tile cut where that takes the least cycles, from top to bottom; in one where nothing is gained."""
    rows = 1 if job.slots.share else job.slots.rows
    return cheapest_bands(job.shape, tile, rows, lambda band: band_cycles(job, band, config))


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
