"""The cases that NNgen 1.3.4 was measured on, through `gatewright.ng`: int8, bias, scale and ReLU, 32-bit bus."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import gatewright.ng as ng
from suite import ROOT

__all__ = ["CASES", "HELLO", "NngenCase", "hello"]

HELLO = ROOT / "examples" / "ng" / "hello.py"

Tensor = ng.placeholder


@dataclass(frozen=True)
class NngenCase:
    """A network and the multipliers that NNgen's parallelism gave it.

    `most` are the cycles it may take behind the memory of NNgen's test benches, `nngen` what NNgen takes;
    `ideal_most` and `ideal_nngen` the same behind a memory that answers in the next cycle.
    """

    name: str
    parallel: str
    multipliers: int
    make: Callable[[], ng.conv2d]
    most: int
    nngen: int
    ideal_most: int | None = None
    ideal_nngen: int | None = None


class _Script:
    """What the cases' scripts share: tensors with random values."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)

    def image(self, *shape: int, name: str = "x") -> Tensor:
        return ng.placeholder(ng.int8, (1, *shape) if len(shape) == 3 else shape, name=name)

    def variable(self, dtype: ng.dtype_info, shape: Sequence[int], low: int, high: int) -> ng.variable:
        made = ng.variable(dtype, tuple(shape))
        made.set_value(self.random.integers(low, high, tuple(shape)))
        return made

    def parameters(self, filters: int, depth: int) -> dict[str, object]:
        """Bias and scale of each filter, and the shift that brings sums back to 8 bits."""
        shift = int(np.rint(np.log2(74 * 74 * np.sqrt(depth) * 48 / 45)))
        return {
            "bias": self.variable(ng.int32, (filters,), -(1 << 12), 1 << 12),
            "scale": self.variable(ng.int8, (filters,), 32, 64),
            "rshift_out": shift,
            "act_func": ng.relu,
            "dtype": ng.int8,
            "sum_dtype": ng.int32,
        }


def _conv(height: int, channels: int, filters: int, kernel: int, stride: int = 1) -> Callable[[], Tensor]:
    def make() -> Tensor:
        script = _Script()
        weights = script.variable(ng.int8, (filters, kernel, kernel, channels), -127, 128)
        parameters = script.parameters(filters, kernel * kernel * channels)
        x = script.image(height, height, channels)
        return ng.conv2d(x, weights, (1, stride, stride, 1), name="y", **parameters)

    return make


def _matmul() -> Tensor:
    script = _Script()
    weights = script.variable(ng.int8, (256, 256), -127, 128)
    return ng.matmul(script.image(64, 256), weights, transposed_b=True, name="y", **script.parameters(256, 256))


def _add() -> Tensor:
    script = _Script()
    return ng.scaled_add(script.image(28, 28, 64), script.image(28, 28, 64, name="z"), 1, 1, 1, dtype=ng.int8, name="y")


def _max_pool() -> Tensor:
    return ng.max_pool(_Script().image(28, 28, 64), (1, 2, 2, 1), (1, 2, 2, 1), name="y")


def _concat() -> Tensor:
    script = _Script()
    return ng.concat([script.image(28, 28, 64), script.image(28, 28, 64, name="z")], 3, name="y")


def _transpose() -> Tensor:
    return ng.transpose(_Script().image(8, 8, 16), (0, 3, 1, 2), name="y")


def _reshape() -> Tensor:
    return ng.reshape(_Script().image(7, 7, 10), (1, 490), name="y")


def hello() -> Tensor:
    """The example's network, quantised."""
    example = runpy.run_path(str(HELLO))
    widths = example["Widths"]()
    layers = example["describe"](widths)
    example["set_values"](layers)
    ng.quantize([layers[-1]], {"image": widths.one}, num_samples=4)
    return layers[-1]


CASES = (
    NngenCase("hello network", "2/2", 36, hello, 1_750_000, 1_788_938, 1_430_000, 1_463_194),
    NngenCase("conv 3x3, 14x14x256 to 256", "4/4", 144, _conv(14, 256, 256, 3), 860_000, 1_465_301),
    NngenCase("conv 3x3, 8x8x8 to 8", "2/2", 36, _conv(8, 8, 8, 3), 1_400, 1_646),
    NngenCase("conv 1x1, 28x28x128 to 128", "a 3x3's at 4/4", 144, _conv(28, 128, 128, 1), 125_000, 842_547),
    NngenCase("conv 3x3 stride 2, 56x56x3 to 32", "2/2", 36, _conv(56, 3, 32, 3, 2), 27_000, 31_222),
    NngenCase("matmul 64x256 to 256", "4/4", 16, _matmul, 280_000, 489_407),
    NngenCase("add 28x28x64", "4", 4, _add, 36_000, 77_533),
    NngenCase("max pool 2x2, 28x28x64", "4", 4, _max_pool, 17_200, 17_674, 13_000),
    NngenCase("concat of two 28x28x64", "1", 1, _concat, 36_000, 134_065),
    NngenCase("transpose 8x8x16", "1", 1, _transpose, 2_000, 48_628),
    NngenCase("reshape 7x7x10", "1", 1, _reshape, 0, 17_690),
)
