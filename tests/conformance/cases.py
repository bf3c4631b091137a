"""Graphs that every machine must compute exactly, wherever its `supports` claims the operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatewright import ir

__all__ = ["CASES", "Maker", "inputs_of"]

U8 = ir.IntType(8, signed=False)


class Maker:
    """Builds one case: random weights, and requantisation by shifts alone (`dyadic`) or by 17-bit multipliers."""

    def __init__(self, name: str, *, dyadic: bool, seed: int = 0) -> None:
        self.builder = ir.Builder(name)
        self.random = np.random.default_rng(seed)
        self.dyadic = dyadic

    def input(self, *shape: int, name: str = "x") -> str:
        return self.builder.input(name, ir.TensorType(shape, ir.I8))

    def shape(self, value: str) -> tuple[int, ...]:
        return self.builder.type_of(value).shape

    def requantise(
        self,
        value: str,
        *,
        depth: int,
        per_channel: bool = True,
        rounding: ir.Rounding = ir.Rounding.HALF_EVEN,
        zero: int = -3,
        low: int = -128,
        high: int = 127,
        negative_shift: int | None = None,
    ) -> str:
        """Scaled so that sums of `depth` products spread over the range of the result."""
        count = self.shape(value)[-1] if per_channel else 1
        spread = int(np.log2(73 * 73 * np.sqrt(depth) / 45))
        if self.dyadic:
            mul = np.ones(count, np.int64)
            shift = self.random.integers(max(spread - 1, 0), spread + 2, count)
        else:
            mul = self.random.integers(1 << 16, 1 << 17, count)
            shift = self.random.integers(spread + 16, spread + 18, count)
        op = ir.Requantise(zero, low, high, rounding, ir.I8, negative_shift)
        return self.builder.add(op, value, self.builder.constant(mul, ir.U32), self.builder.constant(shift, U8))

    def conv(
        self, x: str, filters: int, kernel: tuple[int, int], *, bias: bool = True, groups: int = 1, **attributes: object
    ) -> str:
        """Convolution without its requantisation."""
        channels = self.shape(x)[3] // groups
        weights = self.builder.constant(self.random.integers(-128, 128, (filters, *kernel, channels)), ir.I8)
        operands = [x, weights]
        if bias:
            operands.append(self.builder.constant(self.random.integers(-5000, 5000, filters), ir.I32))
        return self.builder.add(ir.Conv2d(groups=groups, **attributes), *operands)  # type: ignore[arg-type]

    def layer(self, x: str, filters: int, kernel: tuple[int, int] = (3, 3), **attributes: object) -> str:
        """Convolution that keeps the size (unless told otherwise), requantised."""
        attributes.setdefault("pads", (kernel[0] // 2, kernel[1] // 2, (kernel[0] - 1) // 2, (kernel[1] - 1) // 2))
        groups = int(attributes.get("groups", 1))  # type: ignore[call-overload]
        depth = kernel[0] * kernel[1] * self.shape(x)[3] // groups
        return self.requantise(self.conv(x, filters, kernel, **attributes), depth=depth)  # type: ignore[arg-type]

    def product(self, x: str, features: int) -> str:
        depth = self.shape(x)[-1]
        weights = self.builder.constant(self.random.integers(-128, 128, (features, depth)), ir.I8)
        return self.requantise(self.builder.add(ir.MatMul(x_zero=4), x, weights), depth=depth)

    def add(self, a: str, b: str, *, subtract: bool = False, rounding: ir.Rounding = ir.Rounding.HALF_EVEN) -> str:
        mul_a, mul_b = (int(value) for value in self.random.integers(1 << 14, 1 << 17, 2))
        op = ir.Add(mul_a, -mul_b if subtract else mul_b, 17, -3, 5, 2, -128, 127, rounding, ir.I8)
        return self.builder.add(op, a, b)

    def average(
        self, x: str, kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, ...] = (0,) * 4
    ) -> str:
        taps = kernel[0] * kernel[1]
        counts = {n: 1 if self.dyadic else round((1 << 16) / n) for n in range(1, taps + 1)}
        shift = int(np.log2(taps)) if self.dyadic else 16
        op = ir.AveragePool(
            kernel, strides, pads, 3, tuple(counts.items()), shift, -1, -128, 127, ir.Rounding.HALF_EVEN, ir.I8
        )
        return self.builder.add(op, x)

    def table(self, x: str) -> str:
        kind = self.builder.type_of(x).dtype
        values = self.builder.constant(self.random.integers(kind.min, kind.max + 1, 1 << kind.width), kind)
        return self.builder.add(ir.Lut(kind), x, values)

    def op(self, op: ir.Operator, *values: str) -> str:
        return self.builder.add(op, *values)

    def build(self, *outputs: str) -> ir.Graph:
        for output in outputs:
            self.builder.output(output)
        return self.builder.build()


def _conv_basic(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 9, 7, 3), 10, x_zero=5))


def _conv_one_pixel(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 1, 1, 11), 5, (1, 1)))


def _conv_prime_channels(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 6, 5, 13), 17, (3, 3), x_zero=-11))


def _conv_stride_2_asymmetric(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 8, 8, 16), 24, (3, 3), strides=(2, 2), pads=(0, 0, 1, 1), x_zero=-128))


def _conv_stride_3(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 10, 11, 2), 3, (3, 2), strides=(3, 3), pads=(0, 1, 2, 0)))


def _conv_kernel_of_the_image(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 5, 5, 4), 6, (5, 5), pads=(0, 0, 0, 0)))


def _conv_kernel_beyond_the_image(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 2, 3, 5), 4, (5, 5), pads=(2, 2, 2, 2), x_zero=9))


def _conv_batch_3(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(3, 5, 5, 13), 7, (3, 3)))


def _conv_depthwise(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 6, 6, 10), 10, (3, 3), groups=10, x_zero=1))


def _conv_grouped_dilated(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(2, 9, 9, 6), 12, (3, 3), groups=3, dilations=(2, 2), pads=(2, 2, 2, 2), x_zero=-7))


def _conv_multiplied_depthwise(m: Maker) -> ir.Graph:
    return m.build(m.layer(m.input(1, 5, 5, 5), 15, (3, 3), groups=5, strides=(2, 1)))


def _roundings(m: Maker) -> ir.Graph:
    x = m.input(1, 4, 5, 6)
    values = []
    for rounding in ir.Rounding:
        sums = m.conv(x, 6, (1, 1))
        values.append(m.requantise(sums, depth=6, rounding=rounding, zero=1))
    return m.build(*values)


def _leaky(m: Maker) -> ir.Graph:
    x = m.input(1, 6, 6, 4)
    return m.build(m.requantise(m.conv(x, 9, (3, 3)), depth=36, negative_shift=3, zero=0, per_channel=False))


def _table(m: Maker) -> ir.Graph:
    return m.build(m.table(m.table(m.layer(m.input(1, 5, 5, 4), 9))))


def _table_behind_a_pool(m: Maker) -> ir.Graph:
    """Of any table the greatest operand need not have the greatest entry; of one that never falls it has."""
    x = m.input(1, 7, 6, 5)
    kind = m.builder.type_of(x).dtype
    rising = m.builder.constant(np.sort(m.random.integers(kind.min, kind.max + 1, 1 << kind.width)), kind)
    pool = ir.MaxPool((2, 2), (1, 2), (1, 0, 0, 0))
    return m.build(m.table(m.op(pool, x)), m.op(ir.Lut(kind), m.op(pool, x), rising))


def _pool_behind_a_product(m: Maker) -> ir.Graph:
    """Whose operand is an image: each of its pixels a row of the product."""
    return m.build(m.op(ir.MaxPool((2, 2), (2, 2)), m.product(m.input(1, 7, 4, 5), 7)))


def _max_pool_fused(m: Maker) -> ir.Graph:
    return m.build(m.op(ir.MaxPool((2, 2), (2, 2)), m.layer(m.input(1, 9, 8, 3), 20)))


def _max_pool_overlapping(m: Maker) -> ir.Graph:
    return m.build(m.op(ir.MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), m.input(2, 9, 9, 11)))


def _average_pool(m: Maker) -> ir.Graph:
    x = m.input(1, 8, 8, 16)
    return m.build(m.average(x, (2, 2), (2, 2)), m.average(x, (8, 8), (8, 8)))


def _average_pool_borders(m: Maker) -> ir.Graph:
    return m.build(m.average(m.input(2, 5, 5, 5), (3, 3), (1, 1), (1, 1, 1, 1)))


def _elementwise(m: Maker) -> ir.Graph:
    x, y = m.input(1, 7, 6, 5), m.input(1, 7, 6, 5, name="y")
    total = m.add(x, y, subtract=True, rounding=ir.Rounding.HALF_UP)
    return m.build(m.op(ir.Clip(-20, 50), m.add(total, total)))


def _rescale(m: Maker) -> ir.Graph:
    x = m.input(1, 4, 4, 11)
    mul = m.builder.constant([1] * 11 if m.dyadic else m.random.integers(1000, 99000, 11), ir.U32)
    shift = m.builder.constant(m.random.integers(0, 2, 11) if m.dyadic else [16] * 11, U8)
    return m.build(m.op(ir.Requantise(3, -100, 100, ir.Rounding.HALF_AWAY, ir.I8, x_zero=-7), x, mul, shift))


def _products(m: Maker) -> ir.Graph:
    return m.build(m.product(m.product(m.input(3, 37), 23), 11))


def _moves(m: Maker) -> ir.Graph:
    x = m.layer(m.input(1, 6, 4, 6), 8, (1, 1))
    tall = m.op(ir.Upsample((2, 3)), x)
    padded = m.op(ir.Pad(((0, 0), (1, 2), (3, 0), (0, 0)), -5), tall)
    part = m.op(ir.Slice((0, 1, 2, 1), (1, 13, 14, 7), (1, 2, 3, 1)), padded)
    return m.build(m.op(ir.Transpose((0, 3, 1, 2)), part), m.op(ir.Concat(3), x, x))


def _concat(m: Maker) -> ir.Graph:
    x = m.input(1, 6, 6, 5)
    both = m.op(ir.Concat(3), m.layer(x, 8), m.layer(x, 7, (1, 1)))
    return m.build(m.layer(m.op(ir.Concat(1), both, both), 6, (1, 1)))


def _classifier(m: Maker) -> ir.Graph:
    x = m.op(ir.MaxPool((2, 2), (2, 2)), m.layer(m.input(2, 8, 8, 3), 12))
    return m.build(m.product(m.op(ir.Reshape((2, 192)), x), 10))


def _residual_chain(m: Maker) -> ir.Graph:
    """Several layers larger than the small scratchpads, with residuals and a skipped convolution."""
    x = m.layer(m.input(1, 16, 16, 3), 16)
    x = m.add(m.layer(m.layer(x, 16), 16), x)
    y = m.layer(m.layer(x, 24, strides=(2, 2), pads=(0, 0, 1, 1)), 24)
    x = m.add(m.layer(x, 24, (1, 1), strides=(2, 2), pads=(0, 0, 0, 0)), y)
    x = m.average(x, (8, 8), (8, 8))
    return m.build(m.product(m.op(ir.Reshape((1, 24)), x), 10))


def _deep_sums(m: Maker) -> ir.Graph:
    """Weights of one filter tile beyond a small weight scratchpad: partial sums stay in the array."""
    x = m.op(ir.Reshape((1, 1024)), m.input(1, 4, 4, 64))
    return m.build(m.product(x, 12))


def _deep_convolution(m: Maker) -> ir.Graph:
    """The same for a convolution of several tiles of pixels: channels in parts, with a residual behind it."""
    x = m.input(1, 5, 6, 64)
    y = m.add(m.layer(x, 7, x_zero=3), m.layer(x, 7, (1, 1)))
    return m.build(m.op(ir.MaxPool((2, 2), (2, 2)), y))


CASES: dict[str, Callable[[Maker], ir.Graph]] = {
    name.removeprefix("_"): case
    for name, case in globals().copy().items()
    if name.startswith("_") and callable(case) and getattr(case, "__annotations__", {}).get("m") == "Maker"
}


def inputs_of(graph: ir.Graph, seed: int = 1) -> list[np.ndarray]:
    """Random integers of each input's type, extremes among them."""
    random = np.random.default_rng(seed)
    arrays = []
    for value in graph.inputs:
        dtype = value.type.dtype
        array = random.integers(dtype.min, dtype.max + 1, value.type.shape)
        array.reshape(-1)[:2] = (dtype.min, dtype.max)[: array.size]
        arrays.append(array.astype(dtype.storage))
    return arrays
