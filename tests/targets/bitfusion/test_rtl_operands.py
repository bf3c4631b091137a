"""Every kind of operand in RTL: each pair of widths with or without signs, binary and ternary weights, wide results.

One network has all that the array does at a pair: convolutions, depthwise, residual sum, both poolings, product. Its
layers read the input, since behind weights without a sign most values end at a bound.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from tests.targets.bitfusion.test_rtl import build_of

import gatewright
from gatewright import ir
from gatewright.build import Build
from gatewright.inputs import random_inputs
from gatewright.verify import VerifyOptions

WIDTHS = (2, 4, 6, 8)
PAIRS = list(product(WIDTHS, WIDTHS))
U8 = ir.IntType(8, signed=False)


class _Network:
    """Layers on activations of one type, with weights drawn from `values`."""

    def __init__(self, activation: ir.IntType, weight: ir.IntType, values: np.ndarray, *, dyadic: bool = False) -> None:
        self.builder, self.random = ir.Builder("operands"), np.random.default_rng(activation.width + weight.width)
        self.activation, self.weight, self.values, self.dyadic = activation, weight, values, dyadic

    def weights(self, *shape: int) -> str:
        return self.builder.constant(self.random.choice(self.values, shape), self.weight)

    def requantise(self, sums: str, depth: int, kind: ir.IntType | None = None) -> str:
        """Sums spread over the result's range."""
        kind = kind or self.activation
        size = np.sqrt(np.mean(self.values.astype(float) ** 2) * depth) * 2.0**self.activation.width / 2
        shift = max(round(np.log2(size / 2.0 ** (kind.width - 1))), 0)
        mul, shift = (1, shift) if self.dyadic else (90_001, shift + 16)
        op = ir.Requantise((kind.max + kind.min + 1) // 2, kind.min, kind.max, ir.Rounding.HALF_EVEN, kind)
        return self.builder.add(op, sums, self.builder.constant([mul], ir.U32), self.builder.constant([shift], U8))

    def conv(self, x: str, filters: int, *, groups: int = 1, stride: int = 1, kind: ir.IntType | None = None) -> str:
        channels = self.builder.type_of(x).shape[3] // groups
        op = ir.Conv2d(strides=(stride, stride), pads=(1, 1, 1, 1), groups=groups, x_zero=self.zero)
        sums = self.builder.add(op, x, self.weights(filters, 3, 3, channels), self.bias(filters, 9 * channels))
        return self.requantise(sums, 9 * channels, kind)

    def bias(self, filters: int, depth: int) -> str:
        """What random activations lack, on average, to `zero`."""
        return self.builder.constant([int(self.values.mean() * depth / 2)] * filters, ir.I32)

    @property
    def zero(self) -> int:
        """The middle of the activations, so that sums spread around 0 whatever sign weights have."""
        return (self.activation.max + self.activation.min + 1) // 2

    def build(self) -> ir.Graph:
        kind, add = self.activation, self.builder.add
        bounds = (kind.min, kind.max, ir.Rounding.HALF_UP, kind)
        x = self.builder.input("x", ir.TensorType((1, 7, 6, 4), kind))
        total = add(ir.Add(3 << 14, 1 << 15, 16, 0, 0, 0, *bounds), self.conv(x, 12, groups=4), self.conv(x, 12))
        largest = add(ir.MaxPool((2, 1), (1, 1), (1, 0, 0, 1)), self.conv(x, 8, stride=2))
        mean = add(ir.AveragePool((2, 2), (2, 2), (0, 0, 0, 0), self.zero, ((4, 1),), 1, self.zero, *bounds), x)
        depth = self.builder.type_of(mean).size
        flat = add(ir.Reshape((1, depth)), mean)
        scores = add(ir.MatMul(x_zero=self.zero), flat, self.weights(10, depth), self.bias(10, depth))
        for value in (total, largest, mean, self.requantise(scores, depth)):
            self.builder.output(value)
        return self.builder.build()


def check(build: Build, memory: str = "default") -> None:
    """All engines agree, on results that are not all alike, in the cycles that the model counts."""
    found = gatewright.verify(build, options=VerifyOptions(1, 1, gatewright.RunOptions(memory, 1)))
    assert found.equal
    cycles = found.report["cycles"]
    assert memory == "stalls" or abs(cycles["rtl"] - cycles["model"]) <= max(0.02 * cycles["rtl"], 50)
    outputs = gatewright.run(build, random_inputs(build.graph.input_ports, 1), "evaluate").outputs
    assert {name: np.unique(values).size for name, values in outputs.items() if np.unique(values).size < 2} == {}


def _between(kind: ir.IntType) -> np.ndarray:
    return np.arange(kind.min, kind.max + 1)


@pytest.mark.parametrize(("inputs", "weights"), PAIRS)
@pytest.mark.parametrize("signs", list(product((True, False), repeat=2)), ids=["ss", "su", "us", "uu"])
def test_every_pair_with_and_without_signs(inputs, weights, signs):
    activation, weight = ir.IntType(inputs, signed=signs[0]), ir.IntType(weights, signed=signs[1])
    check(build_of(_Network(activation, weight, _between(weight)).build(), "4x8"))


@pytest.mark.parametrize("values", [(-1, 1), (-1, 0, 1), (0, 1)], ids=["binary", "ternary", "bits"])
@pytest.mark.parametrize("width", range(1, 9))
def test_weights_of_one_bit_and_inputs_of_any_width(width, values):
    activation = ir.IntType(width, signed=width > 1)
    build = build_of(_Network(activation, ir.IntType(2), np.array(values)).build(), "4x8")
    assert all(layer.widths.split()[-1] == "2" for layer in build.program.layers if layer.widths)
    check(build)


@pytest.mark.parametrize(("machine", "width"), [("4x8", 32), ("3x5_dyadic", 16)])
@pytest.mark.parametrize("widths", [(8, 8), (6, 4), (2, 2)])
def test_results_wider_than_a_byte(machine, width, widths):
    """Plain sums, and scaled ones; more filters than the array has columns."""
    network = _Network(ir.IntType(widths[0]), ir.IntType(widths[1]), np.arange(-2, 2), dyadic=width == 16)
    x = network.builder.input("x", ir.TensorType((2, 5, 6, 4), network.activation))
    sums = network.builder.add(ir.Conv2d(), x, network.weights(13, 3, 2, 4))
    scaled = network.conv(x, 11, stride=2, kind=ir.IntType(width))
    for value in (sums, network.builder.add(ir.Reshape((2, 99)), scaled)):
        network.builder.output(value)
    build = build_of(network.builder.build(), machine)
    assert build.program.outputs[1].type.dtype == ir.IntType(width)
    check(build)
    check(build, "stalls")
