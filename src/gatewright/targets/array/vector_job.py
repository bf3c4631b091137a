"""A layer as the vector unit sees it: passes of jobs, each one a nest of pixels, taps and elements.

A pass writes rows of the layer's result from the first to the last. Where several jobs write a row together (operands
of a concatenation, borders of an average pool), they are run tile after tile, so that whole rows are stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from gatewright.ir import Rounding
from gatewright.targets.array.isa_vector import LaneOperation
from gatewright.targets.array.job import Image, Level, Output

__all__ = ["Operand", "Parameters", "VectorJob", "VectorLayer", "VectorPass", "VectorTail"]

ONCE = Level(1)


@dataclass(frozen=True)
class Operand:
    """b: a value with the places of the result's pixels, or a constant that each tile reads whole.

    `layout` names the value and says where the b of a pixel lies; steps of 0 read the same b for all pixels.
    A constant `data` is [groups of lanes, taps, lanes] instead: `element_bytes` each, or one element with `repeat`.
    """

    layout: Output | None = None
    data: np.ndarray | None = field(default=None, compare=False)
    element_bytes: int = 1
    zero: int = 0
    repeat: bool = False

    @property
    def value(self) -> str | None:
        return self.layout.value if self.layout else None

    @property
    def dense(self) -> bool:
        """Whether it has an element for each of the result's, so that a tile reads its part only."""
        return self.layout is not None and self.layout.pixel_bytes > 0


@dataclass(frozen=True)
class Parameters:
    """Bias, multiplier and shift of each element of a pixel: int64 [elements]."""

    bias: np.ndarray
    mul: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class VectorTail:
    """What follows the accumulated value: see `isa_vector.VECTOR_POST`."""

    bias: int = 0
    mul: int = 1
    shift: int = 0
    negative_shift: int = 0
    leaky: bool = False
    rounding: Rounding = Rounding.FLOOR
    zero: int = 0
    low: int = -(1 << 31)
    high: int = (1 << 31) - 1
    table: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class VectorJob:
    """For each image, row, column and element of a pixel: one operation over the taps, then the tail.

    Results of a pixel are `elements` consecutive elements, `lanes` of them at a time. `taps` are inner to outer.
    """

    name: str
    image: Image
    output: Output
    elements: int
    rows: Level
    columns: tuple[Level, ...] = (ONCE,)  # inner to outer, at most three; the outermost may be tiled
    y0: int = 0
    x0: int = 0
    start: int = 0  # of the images in their value, bytes
    taps: tuple[Level, Level, Level] = (ONCE, ONCE, ONCE)
    operation: LaneOperation = LaneOperation.MULTIPLY_ADD
    repeat: bool = False  # all elements of a pixel read the same a
    operand: Operand | None = None
    a_zero: int = 0
    mul_a: int = 0
    mul_b: int = 0
    product_shift: int = 0
    pad: int = 0
    tail: VectorTail = VectorTail()
    parameters: Parameters | None = None
    gathers: bool = False  # any row of the result may need any byte of the image

    @property
    def column_pixels(self) -> int:
        """Pixels of one step of the outermost column level."""
        return prod(level.count for level in self.columns[:-1])

    @property
    def tap_count(self) -> int:
        return prod(tap.count for tap in self.taps)


@dataclass(frozen=True)
class VectorPass:
    """Jobs over the same images and rows of one result; together they fill each row, `row_bytes` from `offset` on."""

    jobs: tuple[VectorJob, ...]

    @property
    def output(self) -> Output:
        return min((job.output for job in self.jobs), key=lambda output: output.offset)

    @property
    def images(self) -> int:
        return self.jobs[0].image.count

    @property
    def rows(self) -> int:
        return self.jobs[0].rows.count


@dataclass(frozen=True)
class VectorLayer:
    """A layer of the vector unit: its passes, one after the other."""

    passes: tuple[VectorPass, ...]
