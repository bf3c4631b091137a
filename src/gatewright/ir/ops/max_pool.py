"""Largest value in each window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.operator import Operator
from gatewright.ir.types import TensorType
from gatewright.ir.windows import Pads, Pair, expect_image, expect_windows, pad_image, windows

__all__ = ["MaxPool"]


@dataclass(frozen=True)
class MaxPool(Operator):
    """`y[n,p,q,c] = max_{i,j} x[n, p·s + i - top, q·s + j - left, c]`; padding is the type's minimum."""

    name: ClassVar[str] = "max_pool"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    kernel: Pair
    strides: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        (x,) = types
        expect_image(x)
        height, width = expect_windows(x, self.kernel, self.strides, self.pads)
        return TensorType((x.shape[0], height, width, x.shape[3]), x.dtype)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        padded = pad_image(arrays[0], self.pads, types[0].dtype.min)
        view = windows(padded, self.kernel, self.strides)
        result = view[..., 0, 0].copy()
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                np.maximum(result, view[..., i, j], out=result)
        return result
