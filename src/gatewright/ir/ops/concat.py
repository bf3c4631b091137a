"""Values one after the other along an axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType

__all__ = ["Concat"]


@dataclass(frozen=True)
class Concat(Operator):
    """The operands side by side along `axis` (0..rank-1); types agree but for that dimension."""

    name: ClassVar[str] = "concat"
    operands: ClassVar[tuple[str, ...]] = ("x", "more*")

    axis: int

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        first = types[0]
        require(0 <= self.axis < first.rank, f"axis must be 0..{first.rank - 1} for {first}, not {self.axis}")
        for other in types[1:]:
            same = other.dtype == first.dtype and _without(other, self.axis) == _without(first, self.axis)
            require(same, f"operands must agree with {first} except along axis {self.axis}, not {other}")
        total = sum(each.shape[self.axis] for each in types)
        return TensorType((*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]), first.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return np.concatenate(arrays, axis=self.axis)


def _without(type: TensorType, axis: int) -> tuple[int, ...]:
    return (type.rank, *type.shape[:axis], *type.shape[axis + 1 :])
