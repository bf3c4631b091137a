"""Largest value of each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType

__all__ = ["ReduceMax"]


@dataclass(frozen=True)
class ReduceMax(Operator):
    """`y[..., 0] = max_k x[..., k]` over the last axis, which stays with size 1."""

    name: ClassVar[str] = "reduce_max"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        require(x.rank >= 1, f"x must have at least one dimension, not {x}")
        return TensorType((*x.shape[:-1], 1), x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return arrays[0].max(axis=-1, keepdims=True)
