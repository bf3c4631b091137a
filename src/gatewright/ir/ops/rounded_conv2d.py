"""Two-dimensional convolution whose products are rounded before they are added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gatewright.ir.accumulate import expect_accumulator, expect_bias, finish, shifted
from gatewright.ir.numerics import MAX_SHIFT, Rounding, largest, rounding_shift
from gatewright.ir.operator import Operator, require
from gatewright.ir.types import I32, IntType, TensorType
from gatewright.ir.windows import Pads, Pair, expect_image, expect_windows, pad_image, windows

__all__ = ["RoundedConv2d"]


@dataclass(frozen=True)
class RoundedConv2d(Operator):
    """`acc[n,p,q,o] = Σ_{i,j,c} half_up((x[n, p·s + i - top, ...] - x_zero) · w[o,i,j,c] / 2^shift[o]) + bias[o]`.

    x[N,H,W,C], w[O,kh,kw,C], shift u8[1] or u8[O], bias[O]; taps in the padding contribute 0.
    """

    name: ClassVar[str] = "rounded_conv2d"
    operands: ClassVar[tuple[str, ...]] = ("x", "w", "shift", "bias?")

    strides: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    x_zero: int = 0
    accumulator: IntType = I32

    def infer(self, *types: TensorType) -> TensorType:
        self.expect_operands(types)
        x, w, shift = types[:3]
        expect_image(x)
        require(w.rank == 4, f"w must be [O, kh, kw, C], not {w}")
        require(x.shape[3] == w.shape[3], f"w must have {x.shape[3]} channels, not {w}")
        fits = shift.shape in ((1,), w.shape[:1]) and not shift.dtype.signed and shift.dtype.width <= 8
        require(fits, f"shift must be u8[1] or u8[{w.shape[0]}], not {shift}")
        expect_accumulator(self.accumulator)
        expect_bias(types[1:], w.shape[0])
        height, width = expect_windows(x, (w.shape[1], w.shape[2]), self.strides, self.pads)
        return TensorType((x.shape[0], height, width, w.shape[0]), self.accumulator)

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        x, w, shift = shifted(arrays[0], self.x_zero), arrays[1], arrays[2]
        wide = object if largest(x) * largest(w) >= 1 << 62 else np.int64
        x, w = x.astype(wide), w.astype(wide)
        view = windows(pad_image(x, self.pads, 0), (w.shape[1], w.shape[2]), self.strides)  # [N, OH, OW, C, kh, kw]
        sums = np.zeros((*view.shape[:3], w.shape[0]), wide)
        for i, j, c in np.ndindex(w.shape[1:]):
            sums += rounding_shift(view[..., c, i, j, None] * w[:, i, j, c], shift, Rounding.HALF_UP)
        return finish(sums, arrays[3:], self.accumulator)

    def check(self, *arrays: np.ndarray | None) -> None:
        if arrays[2] is not None:
            require(int(arrays[2].max()) <= MAX_SHIFT, f"shift must be 0..{MAX_SHIFT}, not {int(arrays[2].max())}")
