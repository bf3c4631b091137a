"""Axes in another order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType

__all__ = ["Transpose"]


@dataclass(frozen=True)
class Transpose(Operator):
    """Axis `i` of the result is axis `permutation[i]` of x."""

    name: ClassVar[str] = "transpose"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    permutation: tuple[int, ...]

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        valid = sorted(self.permutation) == list(range(x.rank))
        require(valid, f"permutation must order the axes 0..{x.rank - 1} of {x}, not {self.permutation!r}")
        return TensorType(tuple(x.shape[axis] for axis in self.permutation), x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return np.ascontiguousarray(arrays[0].transpose(self.permutation))
