"""Bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator
from gatewright.ir.types import TensorType

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip(Operator):
    """`y = min(max(x, low), high)` in the type of x."""

    name: ClassVar[str] = "clip"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    low: int
    high: int

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        self.expect_bounds(self.low, self.high, x.dtype)
        return x

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return np.clip(arrays[0], self.low, self.high)
