"""Graphs of operands, sums and results wider than 8 bits, and of odd widths, for machines that have them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatewright import ir

__all__ = ["NARROW_SUMS", "WIDE_CASES", "WideMaker"]

I12, U16 = ir.IntType(12), ir.IntType(16, signed=False)


class WideMaker:
    """Builds one case: random weights over the whole of their type, results that spread over theirs."""

    def __init__(self, name: str, *, dyadic: bool, seed: int = 0) -> None:
        self.builder = ir.Builder(name)
        self.random = np.random.default_rng(seed)
        self.dyadic = dyadic

    def input(self, dtype: ir.IntType, *shape: int, name: str = "x") -> str:
        return self.builder.input(name, ir.TensorType(shape, dtype))

    def op(self, op: ir.Operator, *values: str) -> str:
        return self.builder.add(op, *values)

    def numbers(self, dtype: ir.IntType, *shape: int) -> str:
        values = self.random.integers(dtype.min, dtype.max + 1, shape)
        values.flat[0] = dtype.min
        return self.builder.constant(values, dtype)

    def requantise(self, value: str, spread: int, dtype: ir.IntType, **attributes: int) -> str:
        """To `dtype`, of values of about `spread` bits."""
        count = self.builder.type_of(value).shape[-1]
        places = max(spread - dtype.width, 1)
        mul = np.ones(count, np.int64) if self.dyadic else self.random.integers(1 << 16, 1 << 17, count)
        shift = self.random.integers(places, places + 2, count) + (0 if self.dyadic else 17)
        zero = attributes.pop("zero", -3 if dtype.signed else 1 << dtype.width - 1)
        op = ir.Requantise(zero, dtype.min, dtype.max, ir.Rounding.HALF_EVEN, dtype, **attributes)
        constants = self.builder.constant(mul, ir.U32), self.builder.constant(shift, ir.U8)
        return self.op(op, value, *constants)

    def conv(
        self, x: str, filters: int, weights: ir.IntType, out: ir.IntType, kernel: int = 3, **attributes: object
    ) -> str:
        """A convolution of the same size, requantised."""
        type = self.builder.type_of(x)
        groups = int(attributes.get("groups", 1))  # type: ignore[call-overload]
        channels = type.shape[3] // groups
        before = (kernel - 1) // 2
        attributes.setdefault("pads", (before, before, kernel - 1 - before, kernel - 1 - before))
        most = 1 << type.dtype.width + weights.width - 3
        bias = self.builder.constant(self.random.integers(-most, most, filters), ir.I32)
        op = ir.Conv2d(accumulator=ir.I64, **attributes)  # type: ignore[arg-type]
        sums = self.op(op, x, self.numbers(weights, filters, kernel, kernel, channels), bias)
        taps = kernel * kernel * channels
        return self.requantise(sums, type.dtype.width + weights.width - 2 + int(np.log2(taps) / 2), out)

    def product(self, x: str, features: int, weights: ir.IntType, out: ir.IntType) -> str:
        type = self.builder.type_of(x)
        depth = type.shape[-1]
        sums = self.op(ir.MatMul(accumulator=ir.I64), x, self.numbers(weights, features, depth))
        return self.requantise(sums, type.dtype.width + weights.width - 2 + int(np.log2(depth) / 2), out)

    def add(self, a: str, b: str, dtype: ir.IntType) -> str:
        """A difference, each operand brought to the width of the result."""
        widths = [self.builder.type_of(value).dtype.width for value in (a, b)]
        up = dtype.width - min(widths)
        numbers = self.random.integers(1 << 14, 1 << 17, 2)
        mul_a, mul_b = (int(n) >> width - min(widths) for n, width in zip(numbers, widths, strict=True))
        op = ir.Add(mul_a, -mul_b, 18 - up, -30, 50, 20, dtype.min, dtype.max, ir.Rounding.HALF_EVEN, dtype)
        return self.op(op, a, b)

    def average(self, x: str, kernel: int, dtype: ir.IntType) -> str:
        counts = {n: 1 if self.dyadic else round((1 << 16) / n) for n in range(1, kernel * kernel + 1)}
        shift = int(np.log2(kernel * kernel)) if self.dyadic else 16
        shift += self.builder.type_of(x).dtype.width - dtype.width
        pads = (0, 0, 1, 1)
        bounds = (0, dtype.min, dtype.max, ir.Rounding.HALF_EVEN, dtype)
        op = ir.AveragePool((kernel, kernel), (2, 2), pads, 7, tuple(counts.items()), shift, *bounds)
        return self.op(op, x)

    def build(self, *outputs: str) -> ir.Graph:
        for output in outputs:
            self.builder.output(output)
        return self.builder.build()


def _activations_of_16_bits(m: WideMaker) -> ir.Graph:
    return m.build(m.conv(m.input(ir.I16, 1, 9, 7, 3), 10, ir.I8, ir.I16))


def _weights_of_16_bits(m: WideMaker) -> ir.Graph:
    return m.build(m.conv(m.input(ir.I8, 1, 9, 7, 3), 10, ir.I16, ir.I8))


def _sums_beyond_32_bits(m: WideMaker) -> ir.Graph:
    x = m.conv(m.input(ir.I16, 2, 6, 5, 13), 17, ir.I16, ir.I16)
    return m.build(m.conv(x, 7, ir.I16, ir.I16, strides=(2, 1)))


def _unsigned_of_16_bits(m: WideMaker) -> ir.Graph:
    x = m.conv(m.input(U16, 1, 6, 6, 5), 9, ir.I8, U16, x_zero=1000)
    return m.build(m.conv(x, 6, ir.I8, ir.U8, 1))


def _odd_widths(m: WideMaker) -> ir.Graph:
    x = m.conv(m.input(I12, 1, 6, 6, 5), 9, ir.IntType(5), ir.I4)
    return m.build(m.conv(x, 6, ir.IntType(3), I12), x)


def _narrow_and_wide_in_turn(m: WideMaker) -> ir.Graph:
    x = m.conv(m.input(ir.I8, 1, 8, 8, 4), 11, ir.I8, ir.I16)
    x = m.conv(x, 8, ir.I8, ir.I8, strides=(2, 2))
    return m.build(m.conv(x, 5, ir.I8, ir.I16, groups=1), x)


def _groups(m: WideMaker) -> ir.Graph:
    return m.build(m.conv(m.input(ir.I16, 1, 6, 6, 10), 10, ir.I8, ir.I16, groups=10, dilations=(2, 2), pads=(2,) * 4))


def _residual(m: WideMaker) -> ir.Graph:
    """Larger than small scratchpads; residual operands of the result's size and of another one."""
    x = m.conv(m.input(ir.I16, 1, 16, 16, 3), 8, ir.I8, ir.I16)
    x = m.add(m.conv(x, 8, ir.I8, ir.I16), x, ir.I16)
    narrow = m.conv(x, 8, ir.I8, ir.I8, 1)
    y = m.add(m.conv(x, 8, ir.I8, ir.I16), narrow, ir.I16)
    return m.build(m.add(m.conv(y, 8, ir.I8, ir.I8), y, ir.I8))


def _elementwise(m: WideMaker) -> ir.Graph:
    x, y = m.input(ir.I16, 1, 7, 6, 5), m.input(ir.I8, 1, 7, 6, 5, name="y")
    total = m.op(ir.Clip(-20000, 5000), m.add(x, y, ir.I16))
    return m.build(m.requantise(total, 15, ir.I8, x_zero=-700), m.requantise(y, 8, ir.I16))


def _pools(m: WideMaker) -> ir.Graph:
    x = m.input(ir.I16, 1, 8, 7, 6)
    fused = m.op(ir.MaxPool((2, 2), (2, 2)), m.conv(x, 5, ir.I8, ir.I16))
    largest = m.op(ir.MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), x)
    return m.build(fused, largest, m.average(x, 3, ir.I16), m.average(x, 2, ir.I8))


def _moves(m: WideMaker) -> ir.Graph:
    x = m.input(ir.I16, 1, 6, 4, 5)
    padded = m.op(ir.Pad(((0, 0), (1, 2), (3, 0), (0, 0)), -5000), m.op(ir.Upsample((2, 3)), x))
    part = m.op(ir.Slice((0, 1, 2, 1), (1, 13, 14, 5), (1, 2, 3, 1)), padded)
    return m.build(m.op(ir.Transpose((0, 3, 1, 2)), part), m.op(ir.Concat(3), x, x))


def _table_behind_a_wide_value(m: WideMaker) -> ir.Graph:
    x = m.conv(m.input(ir.I16, 1, 5, 5, 3), 6, ir.I8, ir.I8)
    return m.build(m.op(ir.Lut(ir.I8), x, m.numbers(ir.I8, 256)))


def _deep_sums(m: WideMaker) -> ir.Graph:
    """Weights of one filter tile beyond a small scratchpad."""
    return m.build(m.product(m.op(ir.Reshape((1, 700)), m.input(ir.I16, 1, 5, 5, 28)), 12, ir.I8, ir.I16))


def _results_of_32_bits(m: WideMaker) -> ir.Graph:
    x = m.input(ir.I16, 5, 37)
    plain = m.op(ir.MatMul(), x, m.numbers(ir.I8, 11, 37))
    return m.build(plain, m.product(x, 6, ir.I16, ir.I32), m.op(ir.Reshape((55,)), plain))


WIDE_CASES: dict[str, Callable[[WideMaker], ir.Graph]] = {
    name.removeprefix("_"): case
    for name, case in globals().copy().items()
    if name.startswith("_") and callable(case) and getattr(case, "__annotations__", {}).get("m") == "WideMaker"
}

_WIDE_SUMS = ("weights_of_16_bits", "sums_beyond_32_bits", "results_of_32_bits")
NARROW_SUMS = tuple(name for name in WIDE_CASES if name not in _WIDE_SUMS)
"""Cases with weights of at most 8 bits, sums of at most 32 and results of at most 16."""
