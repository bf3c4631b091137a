"""Rounded mean of each window, rescaled to the output's scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from gatewright.ir import numerics
from gatewright.ir.accumulate import shifted
from gatewright.ir.numerics import Rounding
from gatewright.ir.operator import Operator, require
from gatewright.ir.types import IntType, TensorType
from gatewright.ir.windows import Pads, Pair, expect_image, expect_windows, pad_image, valid_taps, windows

__all__ = ["AveragePool"]


@dataclass(frozen=True)
class AveragePool(Operator):
    """`y = clip(round(Σ_valid (x - x_zero) · mul_n / 2^shift) + zero, low, high)`.

    The sum runs over the taps inside the image. The divisor n, which picks `mul_n` from `multipliers` ((n, mul), ...),
    is the number of these taps, or the size of the kernel when `count_include_pad`. Global pooling is a kernel of the
    image's size.
    """

    name: ClassVar[str] = "average_pool"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    kernel: Pair
    strides: Pair
    pads: Pads
    x_zero: int
    multipliers: tuple[tuple[int, int], ...]
    shift: int
    zero: int
    low: int
    high: int
    rounding: Rounding
    dtype: IntType
    count_include_pad: bool = False

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        expect_image(x)
        height, width = expect_windows(x, self.kernel, self.strides, self.pads)
        self.expect_tail(self.zero, self.low, self.high, self.dtype, self.shift)
        pairs = all(isinstance(pair, tuple) and len(pair) == 2 for pair in self.multipliers)
        require(pairs, f"multipliers must be ((n, mul), ...), not {self.multipliers!r}")
        divisors, known = set(np.unique(self.divisors(x)).tolist()), {n for n, _ in self.multipliers}
        require(divisors <= known, f"multipliers must name the divisors {sorted(divisors)}, not {sorted(known)}")
        return TensorType((x.shape[0], height, width, x.shape[3]), self.dtype)

    def divisors(self, x: TensorType) -> np.ndarray:
        """The divisor n of each window, [OH, OW]."""
        top, left, bottom, right = self.pads
        rows = valid_taps(x.shape[1], self.kernel[0], self.strides[0], top, bottom)
        columns = valid_taps(x.shape[2], self.kernel[1], self.strides[1], left, right)
        counts = rows[:, None] * columns[None, :]
        return np.full_like(counts, self.kernel[0] * self.kernel[1]) if self.count_include_pad else counts

    def rectangles(self, x: TensorType) -> list[list[tuple[int, int, int, int, int]]]:
        """The windows of one divisor: (row, rows, column, columns, multiplier), those of the same rows together."""
        divisors, multipliers = self.divisors(x), dict(self.multipliers)
        return [
            [
                (row, rows, column, columns, multipliers[int(divisors[row, column])])
                for column, columns in _equal_lines(divisors[row : row + 1].T)
            ]
            for row, rows in _equal_lines(divisors)
        ]

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        padded = pad_image(shifted(arrays[0], self.x_zero).astype(np.int64), self.pads, 0)
        view = windows(padded, self.kernel, self.strides)
        sums = np.zeros(view.shape[:4], np.int64)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                sums += view[..., i, j]
        multipliers = dict(self.multipliers)
        mul = np.vectorize(multipliers.__getitem__, otypes=[np.int64])(self.divisors(types[0]))[None, :, :, None]
        y = numerics.requantise(sums, mul, self.shift, self.zero, self.low, self.high, self.rounding)
        return y.astype(self.dtype.storage)


def _equal_lines(lines: np.ndarray) -> list[tuple[int, int]]:
    """(start, length) of the runs of equal consecutive lines."""
    starts = [0, *(i for i in range(1, len(lines)) if not np.array_equal(lines[i], lines[i - 1])), len(lines)]
    return [(start, stop - start) for start, stop in pairwise(starts)]
