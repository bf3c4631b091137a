"""Product of two activations with scales of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir import numerics
from gatewright.ir.accumulate import shifted
from gatewright.ir.numerics import Rounding, largest
from gatewright.ir.operator import Operator, require
from gatewright.ir.types import IntType, TensorType

__all__ = ["Multiply"]


@dataclass(frozen=True)
class Multiply(Operator):
    """`y = clip(round((a - a_zero) · (b - b_zero) · mul / 2^shift) + zero, low, high)`, one rounding.

    b has the shape of a, or is [1] or [C], C the last axis of a.
    """

    name: ClassVar[str] = "multiply"
    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    mul: int
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
        require(a.rank >= 1, f"a must have at least one dimension, not {a}")
        fits = b.shape in (a.shape, (1,), a.shape[-1:])
        require(fits, f"b must have the shape of a, [1] or [{a.shape[-1]}], not {b} for {a}")
        require(self.mul >= 0, f"mul must be at least 0, not {self.mul}")
        self.expect_tail(self.zero, self.low, self.high, self.dtype, self.shift)
        return TensorType(a.shape, self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        a, b = shifted(arrays[0], self.a_zero), shifted(arrays[1], self.b_zero)
        wide = object if largest(a) * largest(b) >= 1 << 63 else np.int64
        products = a.astype(wide) * b.astype(wide)
        y = numerics.requantise(products, self.mul, self.shift, self.zero, self.low, self.high, self.rounding)
        return y.astype(self.dtype.storage)
