"""How a job is cut: into tiles of output pixels that fit the scratchpads, and filters and taps that fit the weights."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gatewright.errors import ConfigError
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Job, Tile

__all__ = ["Extent", "TapBlock", "Tile", "choose_tiles", "extent", "filter_blocks", "least_room", "tap_blocks", "whole"]


_TILE_OVERHEAD = 64
"""Cycles that a tile costs beside computing and loading, about: tokens, configuration, drain."""


@dataclass(frozen=True)
class Extent:
    """Bytes of an image: rows [y, y_stop), bytes [x, x_stop) of each; empty when a tile reads padding only."""

    y: int
    y_stop: int
    x: int
    x_stop: int

    @property
    def rows(self) -> int:
        return max(0, self.y_stop - self.y)

    @property
    def row_bytes(self) -> int:
        return max(0, self.x_stop - self.x)

    @property
    def size(self) -> int:
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class TapBlock:
    """Part of the taps: what COMPUTE runs over between two sets of weights, `depth` weight rows from `start` on."""

    words: int
    segments: int
    rows: int
    dy: int
    dx: int
    start: int
    depth: int


def extent(job: Job, tile: Tile) -> Extent:
    """The part of the image that a tile reads."""
    y, y_stop = _rows_read(job, tile.row, tile.rows)
    x, x_stop = _bytes_read(job, tile.column, tile.columns)
    if y_stop <= y or x_stop <= x:
        return Extent(0, 0, 0, 0)
    return Extent(y, y_stop, x, x_stop)


def _rows_read(job: Job, row: int, rows: int) -> tuple[int, int]:
    """Rows of the image that these output rows read."""
    y = job.y0 + row * job.rows.dy
    last = y + (rows - 1) * job.rows.dy + job.taps.height - 1
    last += sum((level.count - 1) * level.dy for level in (*job.window, *job.columns[:-1]))
    return max(0, y), min(job.image.height, last + 1)


def _bytes_read(job: Job, column: int, columns: int) -> tuple[int, int]:
    """Bytes of an image's row that these output columns read."""
    *inner, outer = job.columns
    x = job.x0 + column * outer.dx
    last = x + (columns - 1) * outer.dx + job.taps.width - 1
    last += sum((level.count - 1) * level.dx for level in (*job.window, *inner))
    if job.tile_x is not None:
        x, last = x + min(job.tile_x), last + max(job.tile_x)
    return max(0, x), min(job.image.row_bytes, last + 1)


def whole(job: Job) -> list[Tile]:
    """One tile an image."""
    return [Tile(n, 0, job.rows.count, 0, job.columns[-1].count) for n in range(job.image.count)]


def tile_pixels(job: Job, tile: Tile) -> int:
    """Pixels the array works on for a tile, pooling windows included."""
    return tile.rows * tile.columns * job.column_pixels * job.pool_count


def tile_output(job: Job, tile: Tile) -> int:
    """Bytes that a tile writes, densely packed."""
    return tile.rows * tile.columns * job.column_pixels * job.result_bytes


def least_room(job: Job) -> tuple[int, int]:
    """Least bytes of activations and of outputs that the smallest tile of a job needs."""
    if not job.tileable:
        return job.image.image_bytes, tile_output(job, whole(job)[0])
    rows, columns = job.rows.count, job.columns[-1].count
    tiles = [Tile(0, r, r + 1, c, c + 1) for r in {0, rows // 2, rows - 1} for c in {0, columns // 2, columns - 1}]
    return max(extent(job, tile).size for tile in tiles), tile_output(job, tiles[0])


def choose_tiles(job: Job, input_room: int, output_room: int, config: ArrayConfig, *, few: bool = False) -> list[Tile]:
    """Tiles whose input fits `input_room` and output `output_room` bytes (0: no bound), at the least estimated cycles.

    Two tiles share the rooms, in turn, unless one alone makes better use of them. With `few`, a tile has at most
    `config.rows` pixels (their partial sums stay in the array).
    """
    if not job.tileable and not few:
        return whole(job)
    worst = _Worst(job)
    candidates = [
        (_cost(worst, height, width, config, overlapped=share == 2), height, width)
        for share in (2, 1)
        for height, width in _tile_sizes(worst, (input_room // share, output_room // share), config, few)
    ]
    if not candidates:
        least_input, least_output = least_room(job)
        raise ConfigError(
            f"scratchpads are too small for one tile of {job.name!r}: a tile of one pixel needs {least_input} bytes of "
            f"activations and {least_output} of output" + (f", in {config.rows} rows" if few else "")
        )
    _, height, width = min(candidates)
    rows, columns = job.rows.count, job.columns[-1].count
    return [
        Tile(n, r, min(r + height, rows), c, min(c + width, columns))
        for n in range(job.image.count)
        for r in range(0, rows, height)
        for c in range(0, columns, width)
    ]


def _tile_sizes(worst: _Worst, rooms: tuple[int, int], config: ArrayConfig, few: bool) -> Iterator[tuple[int, int]]:
    """Heights and widths worth considering: for each width the greatest height that fits, and some below it."""
    columns = worst.job.columns[-1].count
    widths = {-(-columns // parts) for parts in range(1, min(columns, 16) + 1)}
    widths |= set(range(config.rows, min(columns, 8 * config.rows), config.rows))
    for width in sorted(widths):
        most = _largest_height(worst, width, rooms, config, few)
        yield from ((height, width) for height in range(most, max(0, most - 4), -1))


def _largest_height(worst: _Worst, width: int, rooms: tuple[int, int], config: ArrayConfig, few: bool) -> int:
    job = worst.job

    def fits(height: int) -> bool:
        tile = Tile(0, 0, height, 0, width)
        if few and tile_pixels(job, tile) > config.rows:
            return False
        if rooms[1] and tile_output(job, tile) > rooms[1]:
            return False
        return not rooms[0] or worst(height, width) <= rooms[0]

    most = job.rows.count
    return bisect_left(range(1, most + 1), True, key=lambda height: not fits(height))


class _Worst:
    """Upper bounds of the input bytes of any tile of a size; each height and each width is looked at once."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._rows: dict[int, int] = {}
        self._bytes: dict[int, int] = {}

    def __call__(self, height: int, width: int) -> int:
        if height not in self._rows:
            self._rows[height] = self._most(_rows_read, height, self.job.rows.count)
        if width not in self._bytes:
            self._bytes[width] = self._most(_bytes_read, width, self.job.columns[-1].count)
        return self._rows[height] * self._bytes[width]

    def _most(self, read: Callable[[Job, int, int], tuple[int, int]], size: int, count: int) -> int:
        ranges = [read(self.job, at, size) for at in {0, max(0, min(size, count - size)), max(0, count - size)}]
        return max(max(0, stop - start) for start, stop in ranges)


def _cost(worst: _Worst, height: int, width: int, config: ArrayConfig, *, overlapped: bool) -> float:
    """Estimated cycles of an image: computing its tiles, and loading them with their weights, at once or in turn."""
    job = worst.job
    depth = job.taps.depth(config.word_length)
    filters = -(-job.filters // config.columns)
    input_bytes = worst(height, width)
    several = height < job.rows.count or width < job.columns[-1].count
    load = (input_bytes + (job.weights.nbytes if several else 0)) / config.bus_bytes
    cost = 0.0
    for rows, row_tiles in _sizes(job.rows.count, height):
        for columns, column_tiles in _sizes(job.columns[-1].count, width):
            pixels = tile_pixels(job, Tile(0, 0, rows, 0, columns))
            compute = -(-pixels // config.rows) * depth * filters
            tile = max(compute, load) if overlapped else max(compute, job.weights.nbytes / config.bus_bytes) + load
            cost += row_tiles * column_tiles * (tile + _TILE_OVERHEAD)
    return cost


def _sizes(total: int, size: int) -> list[tuple[int, int]]:
    """(size, how many) of the parts of `total` cut every `size`."""
    whole_parts, rest = divmod(total, size)
    return [*([(size, whole_parts)] if whole_parts else []), *([(rest, 1)] if rest else [])]


def filter_blocks(job: Job, config: ArrayConfig, room: int) -> list[tuple[int, int]]:
    """Ranges of filter tiles whose weights take at most `room` bytes (at least one tile each)."""
    tiles, depth = job.weights.shape[:2]
    count = max(1, min(room // (depth * config.weight_word_bytes), 4095))
    return [(start, min(start + count, tiles)) for start in range(0, tiles, count)]


def tap_blocks(job: Job, config: ArrayConfig, room: int) -> list[TapBlock]:
    """The taps in blocks whose weights, for one filter tile, take at most `room` bytes."""
    return list(_tap_blocks(job, config, room))


def _tap_blocks(job: Job, config: ArrayConfig, room: int) -> Iterator[TapBlock]:
    taps, feed = job.taps, config.word_length
    words = taps.words(feed)
    word_bytes = feed * config.weight_word_bytes
    segment, row = words * feed, taps.segments * words * feed
    most = max(1, room // word_bytes)  # tap words in a block
    if taps.rows * taps.segments * words <= most:
        yield TapBlock(words, taps.segments, taps.rows, 0, 0, 0, taps.rows * row)
    elif taps.segments * words <= most:
        count = most // (taps.segments * words)
        for r in range(0, taps.rows, count):
            rows = min(count, taps.rows - r)
            yield TapBlock(words, taps.segments, rows, r * taps.row_step, 0, r * row, rows * row)
    else:
        for r in range(taps.rows):
            for s in range(taps.segments):
                parts = -(-words // most)
                count = -(-words // parts)
                for w in range(0, words, count):
                    n = min(count, words - w)
                    dx = s * taps.segment_step + w * feed * taps.element_bytes
                    yield TapBlock(n, 1, 1, r * taps.row_step, dx, r * row + s * segment + w * feed, n * feed)
