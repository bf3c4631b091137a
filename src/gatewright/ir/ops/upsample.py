"""Each pixel repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator, require
from gatewright.ir.types import TensorType
from gatewright.ir.windows import Pair, expect_image

__all__ = ["Upsample"]


@dataclass(frozen=True)
class Upsample(Operator):
    """`y[n,p,q,c] = x[n, p // fh, q // fw, c]`: nearest neighbour by whole factors."""

    name: ClassVar[str] = "upsample"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    factors: Pair

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        expect_image(x)
        valid = len(self.factors) == 2 and min(self.factors) >= 1
        require(valid, f"factors must be two numbers of at least 1, not {self.factors!r}")
        batch, height, width, channels = x.shape
        return TensorType((batch, height * self.factors[0], width * self.factors[1], channels), x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        return arrays[0].repeat(self.factors[0], axis=1).repeat(self.factors[1], axis=2)
