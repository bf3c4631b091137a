"""How a job is cut: into tiles of output pixels that fit the buffers, filters and words of taps whose weights fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from gatewright.errors import ConfigError
from gatewright.targets.array.config import settable_bytes
from gatewright.targets.array.tiling import Tile, extent, tile_pixels, whole
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.bitfusion.bands import Band, band_cycles, bands
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.job import FusionJob

__all__ = [
    "WordBlock",
    "band_words",
    "choose_tiles",
    "filter_blocks",
    "least_room",
    "overlapped_tiles",
    "tile_output",
    "word_blocks",
]

_TILE_OVERHEAD = 64
"""Cycles that a tile costs beside computing and loading, about: tokens, configuration, drain."""


@dataclass(frozen=True)
class WordBlock:
    """Part of the words of taps: what a `compute` runs over between two sets of weights, `count` from `start` on."""

    words: int
    segments: int
    rows: int
    dy: int
    dx: int
    start: int
    high: bool = False  # of the upper bytes of 16-bit weights

    @property
    def count(self) -> int:
        return self.words * self.segments * self.rows


def tile_output(job: FusionJob, tile: Tile) -> int:
    """Bytes that a tile writes, densely packed."""
    return tile.rows * tile.columns * job.shape.column_pixels * job.filter_bytes


def least_room(job: FusionJob) -> tuple[int, int]:
    """Least bytes of inputs and of outputs that the smallest tile of a job needs."""
    shape = job.shape
    if not shape.tileable:
        return shape.image.image_bytes, tile_output(job, whole(shape)[0])
    rows, columns = shape.rows.count, shape.columns[-1].count
    tiles = [Tile(0, r, r + 1, c, c + 1) for r in {0, rows // 2, rows - 1} for c in {0, columns // 2, columns - 1}]
    return max(extent(shape, tile).size for tile in tiles), tile_output(job, tiles[0])


def choose_tiles(job: FusionJob, input_room: int, output_room: int, config: FusionConfig, *, few: bool) -> list[Tile]:
    """Tiles whose input fits `input_room` and output `output_room` bytes (0: no bound), at the least estimated cycles.

    Two tiles share the rooms, in turn, unless one alone makes better use of them. With `few`, a tile has at most
    `config.rows` pixels, whose partial sums stay in the array.
    """
    shape = job.shape
    if not shape.tileable and not few:
        return whole(shape)
    rows, columns = shape.rows.count, shape.columns[-1].count
    candidates = [
        (_cost(job, (height, width), config, overlapped=share == 2), height, width)
        for share in (2, 1)
        for height, width in _sizes(job, (input_room // share, output_room // share), config.rows if few else 0)
    ]
    if not candidates:
        raise ConfigError(_no_tile(job, config, few=few))
    _, height, width = min(candidates)
    return [
        Tile(n, r, min(r + height, rows), c, min(c + width, columns))
        for n in range(shape.image.count)
        for r in range(0, rows, height)
        for c in range(0, columns, width)
    ]


def _no_tile(job: FusionJob, config: FusionConfig, *, few: bool) -> str:
    """Why there is no tile at all: buffers, or a window whose sums the rows do not hold while weights come in parts."""
    name = job.shape.name
    if few:
        least, pixels = settable_bytes(job.weights[0].nbytes), tile_pixels(job.shape, Tile(0, 0, 1, 0, 1))
        return (
            f"wbuf_bytes must be at least {least} for layer {name!r}, not {config.wbuf_bytes}: a window of {pixels} "
            f"pixels in {config.rows} rows needs the weights of a filter tile at once"
        )
    least_input, least_output = (settable_bytes(room) for room in least_room(job))
    return f"ibuf_bytes must be at least {least_input} and obuf_bytes {least_output} for one tile of layer {name!r}"


def overlapped_tiles(job: FusionJob, config: FusionConfig, *, loads: bool, stores: bool) -> list[Tile]:
    """Tiles of whole rows for operands that are whole on chip: up to three an image, at the least estimated time.

    While a later tile's input is loaded (`loads`), or an earlier one's output stored (`stores`), another one computes.
    """
    shape = job.shape
    if not shape.tileable or not (loads or stores):
        return whole(shape)
    rows = shape.rows.count
    computing = cache(lambda tile: sum(band_cycles(job, band, config) for band in bands(job, tile, config)))
    weights = job.weights[0].nbytes / config.bus_bytes  # of a filter tile; they come as the first tile needs them

    def time(cuts: tuple[int, ...]) -> tuple[float, int]:
        loaded, read, computed, stored = 0.0, 0, 0.0, 0.0
        for start, stop in pairwise(cuts):
            tile = Tile(0, start, stop, 0, shape.columns[-1].count)
            if loads and extent(shape, tile).y_stop > read:
                loaded += (extent(shape, tile).y_stop - read) * shape.image.row_bytes / config.bus_bytes
                read = extent(shape, tile).y_stop
            for _ in job.weights:
                loaded += weights if start == 0 else 0
                computed = max(computed, loaded) + computing(tile)
            stored = max(stored, computed) + (tile_output(job, tile) / config.bus_bytes if stores else 0)
        return stored, len(cuts)

    grid = [0, *range(1, rows, max(1, rows // 32)), rows]
    inner = {(a, b) for a in grid for b in grid if a <= b}
    best = min((tuple(sorted({0, a, b, rows})) for a, b in inner), key=time)
    return [
        Tile(image, start, stop, 0, shape.columns[-1].count)
        for image in range(shape.image.count)
        for start, stop in pairwise(best)
    ]


def _sizes(job: FusionJob, rooms: tuple[int, int], most_pixels: int) -> Iterator[tuple[int, int]]:
    """Heights and widths worth considering: for each width the greatest height that fits, and some below it."""
    columns = job.shape.columns[-1].count
    for width in sorted({-(-columns // parts) for parts in range(1, min(columns, 16) + 1)} | set(range(1, 9))):
        if width > columns:
            continue
        low, high = 0, job.shape.rows.count
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if _fits(job, (middle, width), rooms, most_pixels) else (low, middle - 1)
        yield from ((height, width) for height in range(low, max(0, low - 4), -1))


def _fits(job: FusionJob, size: tuple[int, int], rooms: tuple[int, int], most_pixels: int) -> bool:
    tile = Tile(0, 0, size[0], 0, size[1])
    if most_pixels and tile_pixels(job.shape, tile) > most_pixels:
        return False
    if rooms[1] and tile_output(job, tile) > rooms[1]:
        return False
    return not rooms[0] or _worst_extent(job, size) <= rooms[0]


def _worst_extent(job: FusionJob, size: tuple[int, int]) -> int:
    """Upper bound of the input bytes of any tile of this size."""
    (height, width), shape = size, job.shape
    rows, columns = shape.rows.count, shape.columns[-1].count
    starts_r = {0, max(0, min(height, rows - height)), max(0, rows - height)}
    starts_c = {0, max(0, min(width, columns - width)), max(0, columns - width)}
    return max(extent(shape, Tile(0, r, r + height, c, c + width)).size for r in starts_r for c in starts_c)


def _cost(job: FusionJob, size: tuple[int, int], config: FusionConfig, *, overlapped: bool) -> float:
    """Estimated cycles of an image: computing its tiles, and loading them with their weights, at once or in turn."""
    (height, width), shape = size, job.shape
    rows, columns = shape.rows.count, shape.columns[-1].count
    several = height < rows or width < columns
    load = (_worst_extent(job, size) + (job.weights.nbytes if several else 0)) / config.bus_bytes
    cost, drain = 0.0, drain_cycles(config.array())
    for row_size, row_tiles in _parts(rows, height):
        for column_size, column_tiles in _parts(columns, width):
            tiles = job.pixel_tiles(Tile(0, 0, row_size, 0, column_size))
            compute = tiles * max(job.steps, drain) * len(job.weights)
            tile = max(compute, load) if overlapped else max(compute, job.weights.nbytes / config.bus_bytes) + load
            cost += row_tiles * column_tiles * (tile + _TILE_OVERHEAD)
    return cost


def _parts(total: int, size: int) -> list[tuple[int, int]]:
    """(size, how many) of the parts of `total` cut every `size`."""
    full, rest = divmod(total, size)
    return [*([(size, full)] if full else []), *([(rest, 1)] if rest else [])]


def filter_blocks(job: FusionJob, room: int, most: int) -> list[tuple[int, int]]:
    """Ranges of at most `most` filter tiles whose weights take at most `room` bytes (at least one tile each)."""
    tiles, words, size = job.weights.shape
    count = max(1, min(room // (words * size), most, 4095))
    return [(start, min(start + count, tiles)) for start in range(0, tiles, count)]


def word_blocks(job: FusionJob, room: int) -> list[WordBlock]:
    """The words of taps in blocks whose weights, for one filter tile, take at most `room` bytes."""
    blocks = list(_word_blocks(job, room))
    if job.widths[1] <= 8:
        return blocks
    half = job.weights.shape[1] // 2
    return [*blocks, *(replace(block, start=half + block.start, high=True) for block in blocks)]


def _word_blocks(job: FusionJob, room: int) -> Iterator[WordBlock]:
    taps, words = job.shape.taps, job.slots.words
    row, most = taps.segments * words, max(1, room // job.word_weights)
    if taps.rows * row <= most:
        yield WordBlock(words, taps.segments, taps.rows, 0, 0, 0)
    elif row <= most:
        count = most // row
        for r in range(0, taps.rows, count):
            yield WordBlock(words, taps.segments, min(count, taps.rows - r), r * taps.row_step, 0, r * row)
    else:
        count = -(-words // -(-words // most))
        for r in range(taps.rows):
            for s in range(taps.segments):
                for w in range(0, words, count):
                    dx = s * taps.segment_step + w * job.slots.word_bytes
                    yield WordBlock(min(count, words - w), 1, 1, r * taps.row_step, dx, r * row + s * words + w)


def band_words(job: FusionJob, band: Band, part: WordBlock) -> WordBlock:
    """The words of taps that a band takes of this part; a part that is not all words belongs to a whole band."""
    if band.taps == job.shape.taps.rows:
        return part
    start = band.first * part.words * part.segments
    return replace(part, rows=band.taps, dy=band.first * job.shape.taps.row_step, start=start)
