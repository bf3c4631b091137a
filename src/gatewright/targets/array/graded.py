"""Tiles of a layer whose operands are on chip: small ones first, so that computing starts before all has been loaded,
and small ones last, so that most results are stored when computing ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Job
from gatewright.targets.array.tiling import Tile, extent, tile_output, tile_pixels, whole
from gatewright.targets.array.timing import drain_cycles

__all__ = ["first_pixels", "graded_blocks", "graded_tiles"]

_BUS_SHARE = 0.75  # of the bus's cycles that carry data
_TILE_CYCLES = 8  # that a tile costs beside computing, about
_TRANSFER_CYCLES = 24  # from asking for a transfer to its first byte, about
_BURST_CYCLES = 16  # that a burst takes of the bus beside its data, about
_FIRST_ROWS = (1, 2, 3, 4, 6, 8)


def graded_tiles(job: Job, config: ArrayConfig, *, loads: bool, stores: bool) -> list[Tile]:
    """Tiles of whole rows, cut where that makes a layer end sooner that loads its image or stores its result."""
    tiles = whole(job)
    if not job.tileable or not (loads or stores):
        return tiles
    first = _best(job, config, loads, stores and len(tiles) == 1) if loads or len(tiles) == 1 else [job.rows.count]
    last = _best(job, config, False, stores) if len(tiles) > 1 else first
    found = []
    for place, tile in enumerate(tiles):
        sizes = first if place == 0 else last if place == len(tiles) - 1 else [job.rows.count]
        row = 0
        for size in sizes:
            found.append(Tile(tile.image, row, row + size, tile.column, tile.column_stop))
            row += size
    return found


def graded_blocks(count: int) -> Iterator[tuple[int, int]]:
    """Ranges that make up `count`: of one, one, two, four and so on."""
    start = 0
    for size in _hill(count, 1, 0):
        yield start, start + size
        start += size


def first_pixels(job: Job, tile: Tile, config: ArrayConfig) -> list[Tile]:
    """A tile of whole rows as its first rows, if they fit the array, and the others."""
    rows = config.rows // max(tile_pixels(job, replace(tile, row_stop=tile.row + 1)), 1)
    if not 0 < rows < tile.rows:
        return [tile]
    return [replace(tile, row_stop=tile.row + rows), replace(tile, row=tile.row + rows)]


def _best(job: Job, config: ArrayConfig, loads: bool, stores: bool) -> list[int]:
    return min(_partitions(job.rows.count, loads, stores), key=lambda sizes: _end(job, config, sizes, loads, stores))


def _partitions(rows: int, loads: bool, stores: bool) -> Iterator[list[int]]:
    """Heights of tiles: growing from the first, shrinking towards the last, equal ones, and one tile."""
    yield [rows]
    for parts in (2, 4, 8):
        if parts <= rows:
            step = -(-rows // parts)
            yield [min(step, rows - row) for row in range(0, rows, step)]
    for rise in (0, *_FIRST_ROWS) if loads else (0,):
        for fall in (0, *_FIRST_ROWS) if stores else (0,):
            if rise or fall:
                yield _hill(rows, rise, fall)
            if rise and fall and rise + fall < rows:
                yield [rise, rows - rise - fall, fall]


def _hill(rows: int, rise: int, fall: int) -> list[int]:
    """Heights that double from `rise` on and halve down to `fall`; without one of them, that side is one tile."""
    up: list[int] = []
    down: list[int] = []
    left = rows
    while left:
        side, least = (up, rise) if rise and (not fall or sum(up) <= sum(down)) else (down, fall)
        size = min(left, max(sum(side), least))
        side.append(size)
        left -= size
    return up + down[::-1]


def _end(job: Job, config: ArrayConfig, sizes: Sequence[int], loads: bool, stores: bool) -> float:
    """Cycles until the last result of an image is stored, about."""
    rate = config.bus_bytes * _BUS_SHARE
    depth = job.taps.depth(config.word_length)
    each = len(job.weights) * max(depth, drain_cycles(config))
    loaded, computed, stored, read = 0.0, 0.0, 0.0, 0
    row = 0
    for size in sizes:
        tile = Tile(0, row, row + size, 0, job.columns[-1].count)
        row += size
        work = -(-tile_pixels(job, tile) // config.rows) * each + _TILE_CYCLES
        stop = extent(job, tile).y_stop * job.image.row_bytes if loads else 0
        if tile.row == 0:  # it begins with few pixels and the weights of one tile of filters
            head = extent(job, first_pixels(job, tile, config)[0]).y_stop * job.image.row_bytes if loads else 0
            part = job.weights.nbytes / len(job.weights)
            first = (head + part) / rate + 3 * _BURST_CYCLES
            loaded = first + (stop - head + job.weights.nbytes - part) / rate + 2 * _BURST_CYCLES
            computed = max(first + work, loaded + work * (1 - 1 / len(job.weights)))
        else:
            loaded += max(0, stop - read) / rate + _BURST_CYCLES * loads
            computed = max(computed, loaded) + work
        read = max(read, stop)
        if stores:
            stored = max(stored, computed + _TRANSFER_CYCLES) + tile_output(job, tile) / rate
    return max(computed, stored)
