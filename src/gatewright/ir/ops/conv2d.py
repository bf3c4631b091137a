"""Two-dimensional convolution into an accumulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.accumulate import expect_accumulator, expect_bias, finish, shifted
from gatewright.ir.operator import Operator, require
from gatewright.ir.products import convolve
from gatewright.ir.types import I32, IntType, TensorType
from gatewright.ir.windows import Pads, Pair, expect_image, expect_windows

__all__ = ["Conv2d"]


@dataclass(frozen=True)
class Conv2d(Operator):
    """`acc[n,p,q,o] = Σ_{i,j,c} (x[n, p·s + i·d - top, q·s + j·d - left, c] - x_zero) · w[o,i,j,c] + bias[o]`.

    x[N,H,W,C], w[O,kh,kw,C/groups], bias[O]; taps in the padding contribute 0, as if `x_zero` were there. Output
    channel `o` reads the input channels of its group, `o // (O/groups)`.
    """

    name: ClassVar[str] = "conv2d"
    operands: ClassVar[tuple[str, ...]] = ("x", "w", "bias?")

    strides: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilations: Pair = (1, 1)
    groups: int = 1
    x_zero: int = 0
    accumulator: IntType = I32

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        x, w = types[:2]
        expect_image(x)
        require(w.rank == 4, f"w must be [O, kh, kw, C/groups], not {w}")
        require(self.groups >= 1, f"groups must be at least 1, not {self.groups}")
        require(x.shape[3] == w.shape[3] * self.groups, f"w must have {x.shape[3]} / {self.groups} channels, not {w}")
        require(w.shape[0] % self.groups == 0, f"w must have a multiple of {self.groups} filters, not {w.shape[0]}")
        expect_accumulator(self.accumulator)
        expect_bias(types, w.shape[0])
        height, width = expect_windows(x, (w.shape[1], w.shape[2]), self.strides, self.pads, self.dilations)
        return TensorType((x.shape[0], height, width, w.shape[0]), self.accumulator)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        x, w, *bias = arrays
        sums = convolve(shifted(x, self.x_zero), w, self.strides, self.pads, self.dilations, self.groups)
        return finish(sums, bias, self.accumulator)
