"""A layer's work as fusion units do it: jobs of the array datapath, at the operands' own widths.

The shared compiler (`targets.array.layers`) describes a layer in bytes, one for each element. Here every element takes
its width: distances along an image's rows shrink by it, runs of taps become slots, and weights become chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatewright.ir.packing import group_of, pack, packed_bytes
from gatewright.targets.array.job import Job, Output
from gatewright.targets.array.tiling import Tile, tile_pixels
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.operands import slices
from gatewright.targets.bitfusion.packing import chunk_bytes, chunk_steps, chunk_weights, split_parts, split_weights
from gatewright.targets.bitfusion.slots import Slots, arranged, best_slots

__all__ = ["FilterTiles", "FusionJob", "Misfit", "convert", "weight_format"]


class Misfit(Exception):
    """A value whose elements do not fill whole bytes where a job wants to start or step."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


@dataclass(frozen=True)
class FilterTiles:
    """How filters are dealt out: `count` tiles of `rows` x `columns`; where rows are several, chunks are split."""

    filters: int
    count: int
    rows: int
    columns: int

    @property
    def last_rows(self) -> int:
        """Rows of the last tile that have filters."""
        return -(-self.filters // self.columns) - (self.count - 1) * self.rows

    @property
    def last_columns(self) -> int:
        """Filters of the last row that has any."""
        return (self.filters - 1) % self.columns + 1

    @classmethod
    def even(cls, filters: int, rows: int, columns: int, group: int) -> FilterTiles:
        """The fewest tiles, with no more columns than they need; `group` filters of a row hang together."""
        count = -(-filters // (rows * columns))
        return cls(filters, count, rows, -(-filters // (count * rows * group)) * group)


@dataclass(frozen=True)
class FusionJob:
    """One pass of the core: `shape` is the job with its distances in bytes of packed values."""

    shape: Job
    slots: Slots
    widths: tuple[int, int]
    weights_signed: bool
    weights: np.ndarray  # uint8 [filter tiles, words of taps, bytes of a word's chunks for all columns]
    tiles: FilterTiles
    pad: int  # three bytes; of 16-bit inputs two
    output_width: int
    residual_width: int

    @property
    def filters(self) -> int:
        return len(self.shape.bias)

    @property
    def filter_bytes(self) -> int:
        """Bytes of the results of one pixel."""
        return packed_bytes(self.filters, self.output_width)

    @property
    def steps(self) -> int:
        """Cycles the array needs for a tile of pixels and one of filters."""
        return int(self.weights.shape[1]) * self.slots.steps

    def pixel_tiles(self, tile: Tile) -> int:
        """Tiles of pixels that the array makes of one of the compiler's."""
        shape = self.shape
        levels = (*shape.window, *shape.columns[:-1], replace(shape.columns[-1], count=tile.columns))
        inner = arranged(levels, self.slots.lines)[1]
        return self.slots.tiles(inner.count, tile_pixels(shape, tile))

    @property
    def word_weights(self) -> int:
        """Bytes of the weights of one word of taps, for a tile of filters."""
        return int(self.weights.shape[2])


def weight_format(weights: np.ndarray, *, composable: bool) -> tuple[int, bool]:
    """Least stored width of these weights, and whether they are signed."""
    low, high = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
    signed = low < 0
    bits = max(low.bit_length() if low >= 0 else (-low - 1).bit_length(), high.bit_length()) + signed
    if bits > 8:
        return 16, True  # two passes: of the lower bytes, which have no sign, and of the upper ones
    return (2 * slices(bits), signed) if composable else (8, True)


def convert(job: Job, widths: Mapping[str, int], config: FusionConfig) -> FusionJob:
    """A job in bytes as one at the widths of its values; `widths` has those that are not 8.

    Raises
    ------
    Misfit
        If a value cannot be packed because a job starts, steps or ends within a group of its elements.
    """
    source, target = job.image.value, job.output.value
    wide = 8 * job.output.element_bytes
    width, output_width = widths.get(source, 8), widths.get(target, 8) if wide == 8 else wide
    if job.image.element_bytes == 2:
        width = 16
    x = _Scale(source, width)
    matrix = _matrix(job, config)
    weight_width, weights_signed = weight_format(matrix, composable=config.composable)
    if width == 16:  # whose bytes take a step each, with one weight
        weight_width = max(weight_width, 6)
    taps = replace(job.taps, segment_bytes=x(job.taps.segment_bytes), segment_step=x(job.taps.segment_step))
    residual = job.tail.residual
    shape = replace(
        job,
        image=replace(job.image, row_bytes=x(job.image.row_bytes)),
        x0=x(job.x0),
        window=tuple(replace(level, dx=x(level.dx)) for level in job.window),
        columns=tuple(replace(level, dx=x(level.dx)) for level in job.columns),
        rows=replace(job.rows, dx=x(job.rows.dx)),
        taps=taps,
        output=_output(job, output_width, config),
        tile_x=None if job.tile_x is None else tuple(x(start) for start in job.tile_x),
    )
    slots = best_slots(shape, (width, weight_width), config)
    tiles = _filter_tiles(job, (width, weight_width), slots, (output_width, config))
    return FusionJob(
        shape=shape,
        slots=slots,
        widths=(width, weight_width),
        weights_signed=weights_signed,
        weights=_passes(_dealt(matrix, tiles), slots, (width, weight_width)),
        tiles=tiles,
        pad=_pad(job, width, source),
        output_width=output_width,
        residual_width=16 if job.tail.residual_bytes == 2 else widths.get(residual or "", 8),
    )


@dataclass(frozen=True)
class _Scale:
    """From elements to bytes of a packed value."""

    value: str
    width: int

    def __call__(self, elements: int) -> int:
        if self.width > 8:  # in bytes already
            return elements
        operands, size = group_of(self.width)
        groups, rest = divmod(elements, operands)
        if rest:
            raise Misfit(self.value)
        return groups * size


def _output(job: Job, width: int, config: FusionConfig) -> Output:
    """Filter tiles and lane groups must fill whole groups, since they are written on their own."""
    x, out = _Scale(job.output.value, width), job.output
    if width > 8:
        return out
    for count in (job.filters, config.columns if len(job.weights) > 1 else 0, config.post_lanes):
        x(count)
    return replace(
        out,
        image_bytes=x(out.image_bytes),
        row_bytes=x(out.row_bytes),
        pixel_bytes=x(out.pixel_bytes),
        offset=x(out.offset),
    )


def _pad(job: Job, width: int, value: str) -> int:
    low = -(1 << (width - 1))
    if not low <= job.pad < -low:
        raise Misfit(value)
    data = pack(np.full(4 if width < 8 else 1, job.pad), width)
    return int.from_bytes(np.resize(data, 2 if width == 16 else 3).tobytes(), "little")


def _matrix(job: Job, config: FusionConfig) -> np.ndarray:
    """Weights [filter tiles, columns, rows, runs, elements of a run]."""
    taps, feed = job.taps, config.array().word_length
    tiles = job.weights.shape[0]
    whole = job.weights[:, :, : config.columns].astype(np.int64).transpose(0, 2, 1)
    runs = whole.reshape(tiles, config.columns, taps.rows, taps.segments, taps.words(feed) * feed)
    return runs[..., : taps.segment_bytes // taps.element_bytes]


def _filter_tiles(job: Job, widths: tuple[int, int], slots: Slots, how: tuple[int, FusionConfig]) -> FilterTiles:
    """Of the ways to deal out the filters, the one of fewest cycles: of computing, or of loading if that takes more.

    Chunks can be split where rows would stand idle: when a tile has one pixel.
    """
    output_width, config = how
    if job.tile_x is not None:
        return FilterTiles(job.filters, len(job.weights), 1, config.columns)
    words = job.taps.rows * job.taps.segments * slots.words
    pixels = job.rows.count * job.row_pixels * job.pool_count
    may_split = config.composable and pixels == 1
    group = group_of(output_width)[0]

    def cycles(tiles: FilterTiles) -> tuple[float, int, int]:
        chunks = -(-slots.steps // chunk_steps(widths[0], split=tiles.rows > 1))
        loaded = tiles.count * words * chunks * tiles.columns * chunk_bytes(widths[1]) / config.bus_bytes
        computed = tiles.count * max(words * slots.steps, drain_cycles(config.array()))
        return max(loaded, computed), computed, tiles.rows

    rows = {1, min(split_parts(widths[0]), config.rows) if may_split else 1}
    return min((FilterTiles.even(job.filters, each, config.columns, group) for each in rows), key=cycles)


def _dealt(matrix: np.ndarray, tiles: FilterTiles) -> np.ndarray:
    """Weights [filter tiles, rows of a tile, columns, ..] of [filter tiles, columns, ..] as they were."""
    flat = matrix.reshape(-1, *matrix.shape[2:])
    dealt = np.zeros((tiles.count * tiles.rows * tiles.columns, *flat.shape[1:]), np.int64)
    count = min(len(dealt), len(flat))  # the rest of either is 0
    dealt[:count] = flat[:count]
    return dealt.reshape(tiles.count, tiles.rows, tiles.columns, *flat.shape[1:])


def _passes(matrix: np.ndarray, slots: Slots, widths: tuple[int, int]) -> np.ndarray:
    """The chunks of the weights; of 16-bit ones, those of the lower bytes and then those of the upper ones."""
    if widths[1] <= 8:
        return _chunks(matrix, slots, widths)
    return np.concatenate([_chunks(part, slots, (widths[0], 8)) for part in (matrix & 255, matrix >> 8)], axis=1)


def _chunks(matrix: np.ndarray, slots: Slots, widths: tuple[int, int]) -> np.ndarray:
    """Weights as they lie in the weight buffer: [filter tiles, words of taps, chunks x columns x bytes of a chunk]."""
    tiles, parts, columns, rows, runs, elements = matrix.shape
    operands, size = group_of(widths[0])
    each = slots.word_bytes // size * operands  # elements of a word
    padded = np.zeros((tiles, parts, columns, rows, runs, slots.words * each), np.int64)
    padded[..., :elements] = matrix
    words = padded.reshape(tiles, parts, columns, rows * runs * slots.words, each)
    if parts > 1:
        chunks = split_weights(words.transpose(0, 2, 3, 1, 4), *widths)
    else:
        chunks = chunk_weights(words[:, 0], *widths)
    assert chunks.shape[-1] == chunk_bytes(widths[1])
    ordered = chunks.transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(ordered.reshape(tiles, words.shape[3], -1))
