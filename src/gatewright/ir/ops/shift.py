"""Division of each element by a power of two of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.accumulate import shifted
from gatewright.ir.numerics import MAX_SHIFT, Rounding, rounding_shift
from gatewright.ir.operator import Operator, require
from gatewright.ir.types import IntType, TensorType

__all__ = ["Shift"]


@dataclass(frozen=True)
class Shift(Operator):
    """`y = clip(round((a - a_zero) / 2^n) + zero, low, high)` with `n = min(max(b - b_zero, 0), 63)`.

    a and b have the same shape. Where the amounts are constants a channel, Requantise does the same.
    """

    name: ClassVar[str] = "shift"
    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    a_zero: int
    b_zero: int
    zero: int
    low: int
    high: int
    rounding: Rounding
    dtype: IntType

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        a, b = types
        require(a.shape == b.shape, f"a and b must have the same shape, not {a} and {b}")
        self.expect_tail(self.zero, self.low, self.high, self.dtype)
        return TensorType(a.shape, self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        a, b = shifted(arrays[0], self.a_zero), shifted(arrays[1], self.b_zero)
        amount = np.clip(b, 0, MAX_SHIFT).astype(np.int64)
        rounded = rounding_shift(a, amount, self.rounding)
        moved = rounded.astype(object) + self.zero if a.dtype == object else rounded + self.zero
        return np.clip(moved, self.low, self.high).astype(self.dtype.storage)
