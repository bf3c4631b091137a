"""Requantisation: from one integer scale to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir import numerics
from gatewright.ir.accumulate import shifted
from gatewright.ir.numerics import MAX_SHIFT, Rounding
from gatewright.ir.operator import Operator, require
from gatewright.ir.types import I32, IntType, TensorType

__all__ = ["Requantise"]


@dataclass(frozen=True)
class Requantise(Operator):
    """`y = clip(round((x - x_zero) · mul / 2^shift) + zero, low, high)`.

    `mul` and `shift` are unsigned constants [1] or [C], C the last axis of x; shifts are 0..63. With `negative_shift`
    k, a negative `x - x_zero` is shifted by `shift + k`: a leaky ReLU of slope 2^-k with the one rounding. `zero` may
    lie outside `dtype`: no x need come to it.
    """

    name: ClassVar[str] = "requantise"
    operands: ClassVar[tuple[str, ...]] = ("x", "mul", "shift")

    zero: int
    low: int
    high: int
    rounding: Rounding
    dtype: IntType
    negative_shift: int | None = None
    x_zero: int = 0

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        x, mul, shift = types
        require(x.rank >= 1, f"x must have at least one dimension, not {x}")
        for name, factor, width in (("mul", mul, 32), ("shift", shift, 8)):
            fits = factor.shape in ((1,), x.shape[-1:]) and not factor.dtype.signed and factor.dtype.width <= width
            require(fits, f"{name} must be u{width}[1] or u{width}[{x.shape[-1]}], not {factor}")
        self.expect_bounds(self.low, self.high, self.dtype)
        require(I32.holds(self.zero, self.zero), f"zero must be within {I32}, not {self.zero}")
        return TensorType(x.shape, self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        x, mul, shift = arrays
        negative = None if self.negative_shift is None else shift.astype(np.int64) + self.negative_shift
        x = shifted(x, self.x_zero)
        y = numerics.requantise(x, mul, shift, self.zero, self.low, self.high, self.rounding, negative_shift=negative)
        return y.astype(self.dtype.storage)

    def check(self, *arrays: np.ndarray | None) -> None:
        shift = arrays[2]
        if shift is None:
            return
        extra = self.negative_shift or 0
        low, high = int(shift.min()) + min(extra, 0), int(shift.max()) + max(extra, 0)
        require(
            low >= 0 and high <= MAX_SHIFT, f"shift must be 0..{MAX_SHIFT} (negative_shift added), not {low}..{high}"
        )
