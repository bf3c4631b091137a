"""A value repeated along axes of size 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType

__all__ = ["Broadcast"]


@dataclass(frozen=True)
class Broadcast(Operator):
    """`y[i, ...] = x[i or 0, ...]` with shape `shape`: each axis of x has the size it has there, or 1."""

    name: ClassVar[str] = "broadcast"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    shape: tuple[int, ...]

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        fits = x.rank == len(self.shape) and all(
            have in (1, want) for have, want in zip(x.shape, self.shape, strict=True)
        )
        require(fits, f"shape must repeat axes of size 1 of {x}, not be {self.shape!r}")
        return TensorType(self.shape, x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return np.ascontiguousarray(np.broadcast_to(arrays[0], self.shape))
