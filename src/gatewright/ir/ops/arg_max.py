"""Where the largest value of each row stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import IntType, TensorType

__all__ = ["ArgMax"]


@dataclass(frozen=True)
class ArgMax(Operator):
    """`y[..., 0] = min {k : x[..., k] = max_j x[..., j]} + zero` over the last axis, which stays with size 1."""

    name: ClassVar[str] = "arg_max"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    dtype: IntType
    zero: int = 0

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        require(x.rank >= 1, f"x must have at least one dimension, not {x}")
        last = x.shape[-1] - 1 + self.zero
        require(self.dtype.holds(self.zero, last), f"dtype must hold {self.zero}..{last}, not be {self.dtype}")
        return TensorType((*x.shape[:-1], 1), self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return (arrays[0].argmax(axis=-1, keepdims=True) + self.zero).astype(self.dtype.storage)
