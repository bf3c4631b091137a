"""A border of one value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType
from gatewright.ir.windows import Pair

__all__ = ["Pad"]


@dataclass(frozen=True)
class Pad(Operator):
    """x with `pads[axis] = (before, after)` elements of `value` around it."""

    name: ClassVar[str] = "pad"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    pads: tuple[Pair, ...]
    value: int = 0

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        valid = len(self.pads) == x.rank and all(len(pair) == 2 and min(pair) >= 0 for pair in self.pads)
        require(valid, f"pads must be {x.rank} pairs (before, after) of at least 0 for {x}, not {self.pads!r}")
        require(x.dtype.holds(self.value, self.value), f"value must be within {x.dtype}, not {self.value}")
        sizes = zip(x.shape, self.pads, strict=True)
        return TensorType(tuple(size + before + after for size, (before, after) in sizes), x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return np.pad(arrays[0], self.pads, constant_values=self.value)
