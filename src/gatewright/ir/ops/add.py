"""Residual addition of two activations with scales of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.numerics import Rounding, rescaled_add
from gatewright.ir.operator import Operator, require
from gatewright.ir.types import IntType, TensorType

__all__ = ["Add"]


@dataclass(frozen=True)
class Add(Operator):
    """`y = clip(round(((a - a_zero) · mul_a + (b - b_zero) · mul_b) / 2^shift) + zero, low, high)`, one rounding.

    a and b have the same shape; a negative multiplier subtracts.
    """

    name: ClassVar[str] = "add"
    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    mul_a: int
    mul_b: int
    shift: int
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
        self.expect_tail(self.zero, self.low, self.high, self.dtype, self.shift)
        return TensorType(a.shape, self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        a, b = arrays
        y = rescaled_add(
            a,
            b,
            self.mul_a,
            self.mul_b,
            self.shift,
            self.a_zero,
            self.b_zero,
            self.zero,
            self.low,
            self.high,
            self.rounding,
        )
        return y.astype(self.dtype.storage)
