"""Matrix product (a fully connected layer) into an accumulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.accumulate import expect_accumulator, expect_bias, finish, shifted
from gatewright.ir.operator import Operator, require
from gatewright.ir.products import multiply
from gatewright.ir.types import I32, IntType, TensorType

__all__ = ["MatMul"]


@dataclass(frozen=True)
class MatMul(Operator):
    """`acc[..., o] = Σ_k (x[..., k] - x_zero) · w[o, k] + bias[o]` for x[..., K], w[O, K], bias[O]."""

    name: ClassVar[str] = "matmul"
    operands: ClassVar[tuple[str, ...]] = ("x", "w", "bias?")

    x_zero: int = 0
    accumulator: IntType = I32

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        x, w = types[:2]
        require(w.rank == 2, f"w must be [O, K], not {w}")
        require(x.rank >= 1 and x.shape[-1] == w.shape[1], f"x must be [..., {w.shape[1]}], not {x}")
        expect_accumulator(self.accumulator)
        expect_bias(types, w.shape[0])
        return TensorType((*x.shape[:-1], w.shape[0]), self.accumulator)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        x, w, *bias = arrays
        return finish(multiply(shifted(x, self.x_zero), w), bias, self.accumulator)
