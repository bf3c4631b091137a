"""Any function of one small integer, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import IntType, TensorType

__all__ = ["MAX_LUT_WIDTH", "Lut"]

MAX_LUT_WIDTH = 12


@dataclass(frozen=True)
class Lut(Operator):
    """`y = table[x - minimum of x's type]`; x has up to 12 bits, the table 2^width entries of type `dtype`."""

    name: ClassVar[str] = "lut"
    operands: ClassVar[tuple[str, ...]] = ("x", "table")

    dtype: IntType

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        x, table = types
        require(x.dtype.width <= MAX_LUT_WIDTH, f"x must have at most {MAX_LUT_WIDTH} bits, not {x}")
        expected = TensorType((1 << x.dtype.width,), self.dtype)
        require(table == expected, f"table must be {expected}, not {table}")
        return TensorType(x.shape, self.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        x, table = arrays
        return table[x.astype(np.int64) - types[0].dtype.min]
