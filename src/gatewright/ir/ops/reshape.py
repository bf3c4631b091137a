"""The same elements, row-major, under another shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType

__all__ = ["Reshape"]


@dataclass(frozen=True)
class Reshape(Operator):
    """`y = x` in row-major order with shape `shape`, every dimension given."""

    name: ClassVar[str] = "reshape"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    shape: tuple[int, ...]

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        result = TensorType(self.shape, x.dtype)
        require(result.size == x.size, f"shape must have {x.size} elements, not {result.size} ({x} to {result})")
        return result

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return arrays[0].reshape(self.shape)
