"""A layer as the core sees it: passes over an image of bytes, each a small affine description.

Every layer kind becomes one or more `Job`s; a job is tiled into COMPUTE instructions without regard to what the layer
was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from gatewright.ir import IntType, Rounding

__all__ = ["Image", "Job", "Level", "Output", "Tail", "Taps", "Tile", "as_image", "element_bytes"]


def element_bytes(dtype: IntType) -> int:
    """Bytes of an element in memory and scratchpads: 1, 2 or 4, and 8 for what this datapath does not take."""
    return dtype.storage.itemsize


def as_image(values: tuple[int, ...], filler: int = 1) -> tuple[int, ...]:
    """Up to four axes as N, H, W, C: missing ones are put behind the first, or before the only one."""
    if len(values) == 1:
        return (filler, filler, filler, values[0])
    return (values[0], *[filler] * (4 - len(values)), *values[1:])


@dataclass(frozen=True)
class Level:
    """One level of a pixel nest: `count` steps of (`dy` rows, `dx` bytes)."""

    count: int
    dy: int = 0
    dx: int = 0


@dataclass(frozen=True)
class Image:
    """The value a job reads, dense: `count` images of `height` rows of `row_bytes`, elements of `element_bytes`."""

    value: str
    count: int
    height: int
    row_bytes: int
    element_bytes: int = 1

    @property
    def image_bytes(self) -> int:
        return self.height * self.row_bytes


@dataclass(frozen=True)
class Tile:
    """Output rows [row, row_stop) and columns [column, column_stop) (of the outermost column level) of one image."""

    image: int
    row: int
    row_stop: int
    column: int
    column_stop: int

    @property
    def rows(self) -> int:
        return self.row_stop - self.row

    @property
    def columns(self) -> int:
        return self.column_stop - self.column


@dataclass(frozen=True)
class Taps:
    """Taps of a pixel: `rows` x `segments` runs of `segment_bytes` contiguous bytes, from (0, 0) on.

    Elements have `element_bytes`: the image's.
    """

    segment_bytes: int
    segments: int = 1
    segment_step: int = 0
    rows: int = 1
    row_step: int = 0
    element_bytes: int = 1

    def words(self, word_length: int) -> int:
        """Tap words of one segment."""
        return -(-self.segment_bytes // (word_length * self.element_bytes))

    def depth(self, word_length: int) -> int:
        """Cycles the array needs for a pixel: all tap words, each `word_length` cycles."""
        return self.rows * self.segments * self.words(word_length) * word_length

    @property
    def width(self) -> int:
        """Bytes from the first to the last byte that a row of taps names."""
        return (self.segments - 1) * self.segment_step + self.segment_bytes

    @property
    def height(self) -> int:
        return (self.rows - 1) * self.row_step + 1


@dataclass(frozen=True)
class Tail:
    """What the post unit does with each sum; `residual` and `table` name optional operands. See `isa.CONFIG_POST`.

    Elements of the residual operand have `residual_bytes`. Bounds beyond what the machine's results hold bound nothing.
    """

    rounding: Rounding = Rounding.FLOOR
    zero: int = 0
    low: int = -(1 << 31)
    high: int = (1 << 31) - 1
    negative_shift: int = 0
    residual: str | None = None
    residual_bytes: int = 1
    mul_a: int = 0
    mul_b: int = 0
    add_bias: int = 0
    add_shift: int = 0
    add_zero: int = 0
    add_low: int = -128
    add_high: int = 127
    table: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Output:
    """Where results go in the output value, in bytes: images, rows, pixels, from `offset` on."""

    value: str
    image_bytes: int
    row_bytes: int
    pixel_bytes: int
    offset: int = 0
    element_bytes: int = 1


@dataclass(frozen=True)
class Job:
    """One pass of the core.

    For each image, output row, output column and pixel of the pooling window, `taps` are multiplied with each filter.
    `window` levels are innermost; their pixels are reduced to their maximum.
    """

    name: str
    image: Image
    y0: int
    x0: int
    window: tuple[Level, ...]
    columns: tuple[Level, ...]  # inner to outer; the outermost may be tiled
    rows: Level
    taps: Taps
    weights: np.ndarray  # int8 or int16 [filter tiles, depth, weights of a weight word]
    bias: np.ndarray  # int64 [filters]
    mul: np.ndarray  # int64 [filters]
    shift: np.ndarray  # int64 [filters]
    pad: int
    tail: Tail
    output: Output
    tile_x: tuple[int, ...] | None = None  # x offset of each filter tile; None: all read the same bytes
    tileable: bool = True

    @property
    def filters(self) -> int:
        return len(self.bias)

    @property
    def result_bytes(self) -> int:
        """Bytes of the results of one pixel."""
        return self.filters * self.output.element_bytes

    @property
    def output_share(self) -> int:
        """Tiles of its size that a staged tile of results takes, with the residual operand's beside it."""
        return 1 + -(-self.tail.residual_bytes // self.output.element_bytes) if self.tail.residual else 1

    def at_residual(self, distance: int) -> int:
        """Distance in bytes within the residual operand where it is this one within the output."""
        return distance * self.tail.residual_bytes // self.output.element_bytes

    @property
    def pool_count(self) -> int:
        return prod(level.count for level in self.window)

    @property
    def column_pixels(self) -> int:
        """Written pixels of one step of the outermost column level, which tiles are cut along."""
        return prod(level.count for level in self.columns[:-1])

    @property
    def row_pixels(self) -> int:
        """Written pixels of one output row."""
        return prod(level.count for level in self.columns)

    def place(self, tile: Tile) -> int:
        """Where a tile begins in the output value, bytes."""
        out = self.output
        row = out.offset + tile.image * out.image_bytes + tile.row * out.row_bytes
        return row + tile.column * self.column_pixels * out.pixel_bytes
