"""Leaky ReLU with any slope, for activations too wide for a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir import numerics
from gatewright.ir.accumulate import shifted
from gatewright.ir.numerics import Rounding
from gatewright.ir.operator import Operator
from gatewright.ir.types import IntType, TensorType

__all__ = ["LeakyRelu"]


@dataclass(frozen=True)
class LeakyRelu(Operator):
    """`y = clip(d + zero, low, high)` where `d = x - x_zero` is at least 0, else with `round(d · mul / 2^shift)` for d.

    Slopes 2^-k need no multiplier: they are the `negative_shift` of a Requantise.
    """

    name: ClassVar[str] = "leaky_relu"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    mul: int
    shift: int
    x_zero: int
    zero: int
    low: int
    high: int
    rounding: Rounding
    dtype: IntType

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        self.expect_tail(self.zero, self.low, self.high, self.dtype, self.shift)
        return TensorType(x.shape, self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        d = shifted(arrays[0], self.x_zero)
        mul, shift = np.where(d < 0, self.mul, 1), np.where(d < 0, self.shift, 0)
        y = numerics.requantise(d, mul, shift, self.zero, self.low, self.high, self.rounding)
        return y.astype(self.dtype.storage)
