"""A regular part of a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType

__all__ = ["Slice"]


@dataclass(frozen=True)
class Slice(Operator):
    """`x[starts[0]:stops[0]:steps[0], ...]`, every axis given, `0 <= start < stop <= size`, steps positive."""

    name: ClassVar[str] = "slice"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        for name, value in (("starts", self.starts), ("stops", self.stops), ("steps", self.steps)):
            require(len(value) == x.rank, f"{name} must have {x.rank} entries for {x}, not {value!r}")
        ranges = list(zip(x.shape, self.starts, self.stops, self.steps, strict=True))
        for axis, (size, start, stop, step) in enumerate(ranges):
            valid = 0 <= start < stop <= size and step >= 1
            require(
                valid, f"axis {axis} must have 0 <= start < stop <= {size} and step >= 1, not {start}:{stop}:{step}"
            )
        return TensorType(tuple(-(-(stop - start) // step) for _, start, stop, step in ranges), x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        index = tuple(slice(*bounds) for bounds in zip(self.starts, self.stops, self.steps, strict=True))
        return np.ascontiguousarray(arrays[0][index])
