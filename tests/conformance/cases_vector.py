"""Graphs that machines with a vector unit must compute exactly, beside those of `cases`."""

from __future__ import annotations

from collections.abc import Callable

from gatewright import ir
from tests.conformance.cases import U8, Maker

__all__ = ["VECTOR_CASES"]

AWAY, EVEN = ir.Rounding.HALF_AWAY, ir.Rounding.HALF_EVEN


def _input(m: Maker, *shape: int, dtype: ir.IntType = ir.I16, name: str = "x") -> str:
    return m.builder.input(name, ir.TensorType(shape, dtype))


def _multiply(dtype: ir.IntType = ir.I8, shift: int = 24) -> ir.Multiply:
    return ir.Multiply(35000, shift, -3, 5, 2, -120, 127, EVEN, dtype)


def _add(dtype: ir.IntType) -> ir.Add:
    return ir.Add(40000, -30000, 17, -3, 5, 2, dtype.min, dtype.max, ir.Rounding.HALF_UP, dtype)


def _constant(m: Maker, *shape: int, dtype: ir.IntType = ir.I8) -> str:
    return m.builder.constant(m.random.integers(dtype.min, dtype.max + 1, shape), dtype)


def _multiplied(m: Maker) -> ir.Graph:
    x, y = m.input(1, 5, 6, 7), m.input(1, 5, 6, 7, name="y")
    return m.build(m.op(_multiply(), x, y), m.op(_multiply(), x, x))


def _multiplied_by_constants(m: Maker) -> ir.Graph:
    """A number, one a channel, one an element, in either place."""
    x = m.input(2, 5, 6, 19)
    whole = _constant(m, 2, 5, 6, 19)
    values = [m.op(_multiply(), x, _constant(m, *shape)) for shape in ((1,), (19,))]
    return m.build(*values, m.op(_multiply(), x, whole), m.op(_multiply(), whole, x))


def _multiplied_by_channels(m: Maker) -> ir.Graph:
    """Factors that are computed, one a channel, and one in all."""
    x, y, z = m.input(1, 9, 9, 11), m.input(11, name="y"), m.input(1, name="z")
    clipped = m.op(ir.Clip(-100, 90), y)
    return m.build(m.op(_multiply(), m.op(_multiply(), x, clipped), z))


def _sums_of_constants(m: Maker) -> ir.Graph:
    x = m.input(1, 12, 11, 5)
    return m.build(m.op(_add(ir.I8), x, _constant(m, 1, 12, 11, 5)), m.op(_add(ir.I8), _constant(m, 1, 12, 11, 5), x))


def _shifted(m: Maker) -> ir.Graph:
    x, y = m.input(1, 3, 7, 9), m.input(1, 3, 7, 9, name="y")
    op = ir.Shift(-20, -2, 3, -128, 127, AWAY, ir.I8)
    return m.build(m.op(op, x, m.op(ir.Clip(-5, 9), y)), m.op(op, x, _constant(m, 1, 3, 7, 9, dtype=ir.I4)))


def _leaky_relus(m: Maker) -> ir.Graph:
    x = m.input(1, 4, 5, 6)
    slope = ir.LeakyRelu(13, 7, 4, -2, -90, 127, AWAY, ir.I8)
    return m.build(m.op(slope, x), m.op(ir.LeakyRelu(3, 0, 0, 0, -(1 << 15), 127, EVEN, ir.I16), x))


def _reduced(m: Maker) -> ir.Graph:
    """Few values, so that the greatest is there several times."""
    x = m.op(ir.Clip(-2, 3), m.input(1, 7, 6, 37))
    places = m.op(ir.ArgMax(ir.I8, -5), x), m.op(ir.ArgMax(ir.I32, 0), x)
    return m.build(m.op(ir.ReduceMax(), x), *places)


def _broadcasts(m: Maker) -> ir.Graph:
    x = m.input(1, 5, 1, 13)
    tall = m.op(ir.Broadcast((3, 5, 4, 13)), x)
    column = m.op(ir.Broadcast((1, 6, 7, 11)), m.input(1, 6, 7, 1, name="y"))
    return m.build(tall, column)


def _rounded_products(m: Maker) -> ir.Graph:
    x = m.input(1, 6, 7, 5)
    weights = m.builder.constant(m.random.integers(-16, 16, (11, 3, 3, 5)), ir.I8)
    shift, bias = m.random.integers(0, 5, 11), m.random.integers(-500, 500, 11)
    op = ir.RoundedConv2d((2, 1), (1, 1, 1, 1), 3)
    sums = m.op(op, x, weights, m.builder.constant(shift, U8), m.builder.constant(bias, ir.I32))
    even = m.op(ir.RoundedConv2d(), x, _constant(m, 3, 2, 2, 5), m.builder.constant([4], U8))
    return m.build(m.requantise(sums, depth=2), even)


def _depthwise_tails(m: Maker) -> ir.Graph:
    x = m.input(1, 9, 9, 21)
    y = m.layer(x, 21, (3, 3), groups=21, x_zero=-128)
    leaky = m.requantise(m.conv(y, 21, (1, 5), groups=21, strides=(2, 1)), depth=5, negative_shift=3, per_channel=False)
    z = m.op(ir.MaxPool((3, 3), (3, 3)), m.table(m.add(y, x)))
    return m.build(leaky, z, m.conv(x, 21, (2, 2), groups=21, dilations=(2, 3), pads=(1, 0, 2, 1), x_zero=9))


def _depthwise_deep(m: Maker) -> ir.Graph:
    """More channels than parameters and weights of all of them have room for in small scratchpads."""
    return m.build(m.layer(m.input(1, 4, 2, 203), 203, (3, 3), groups=203, x_zero=1))


def _wide_elements(m: Maker) -> ir.Graph:
    x, y = _input(m, 1, 5, 7, 9), _input(m, 1, 5, 7, 9, name="y")
    total = m.op(_add(ir.I16), x, y)
    mul, shift = m.builder.constant(m.random.integers(1000, 60000, 9), ir.U32), m.builder.constant([24] * 9, U8)
    narrow = m.op(ir.Requantise(3, -100, 100, AWAY, ir.I8, x_zero=-700), total, mul, shift)
    return m.build(total, m.op(_multiply(ir.I16, 40), x, y), m.op(_multiply(ir.I32, 12), narrow, x), narrow)


def _wide_windows(m: Maker) -> ir.Graph:
    x = _input(m, 2, 7, 8, 5)
    counts = tuple((n, round((1 << 16) / n)) for n in range(1, 10))
    average = ir.AveragePool((3, 3), (1, 2), (1, 1, 1, 1), -9, counts, 16, 4, -(1 << 15), (1 << 15) - 1, EVEN, ir.I16)
    weights = _constant(m, 5, 3, 3, 1, dtype=ir.I16)
    sums = m.op(ir.Conv2d(pads=(1, 1, 1, 1), groups=5, x_zero=77), m.op(ir.Clip(-900, 900), x), weights)
    wide = m.builder.constant(m.random.integers(1 << 15, 1 << 16, 5), ir.U32), m.builder.constant([31] * 5, U8)
    deep = m.op(ir.Requantise(0, -(1 << 15), (1 << 15) - 1, EVEN, ir.I16), sums, *wide)
    return m.build(m.op(ir.MaxPool((3, 2), (2, 2), (1, 0, 1, 1)), x), m.op(average, x), deep, m.op(ir.ReduceMax(), x))


def _wide_moves(m: Maker) -> ir.Graph:
    x = _input(m, 1, 4, 6, 5)
    tall = m.op(ir.Upsample((2, 3)), x)
    padded = m.op(ir.Pad(((0, 0), (1, 2), (3, 0), (0, 0)), -500), tall)
    part = m.op(ir.Slice((0, 1, 2, 0), (1, 11, 14, 5), (1, 2, 3, 2)), padded)
    turned = m.op(ir.Transpose((0, 3, 1, 2)), part)
    return m.build(turned, m.op(ir.Concat(3), x, x), m.op(ir.Broadcast((2, 4, 6, 5)), x))


def _moves_of_sums(m: Maker) -> ir.Graph:
    """Results of 32 bits, moved once more."""
    sums = m.op(ir.ArgMax(ir.I32, 1 << 20), m.input(3, 5, 4))
    return m.build(m.op(ir.Transpose((1, 2, 0)), sums), m.op(ir.Concat(0), sums, sums))


def _transposes(m: Maker) -> ir.Graph:
    x = m.input(2, 5, 6, 7)
    orders = ((3, 2, 1, 0), (0, 2, 1, 3), (1, 0, 3, 2), (0, 1, 3, 2))
    return m.build(*(m.op(ir.Transpose(order), x) for order in orders))


def _long_copies(m: Maker) -> ir.Graph:
    """Runs of many groups of lanes, at odd places."""
    x, y = m.input(2, 5, 7, 67), m.input(2, 1, 7, 67, name="y")
    return m.build(m.op(ir.Concat(1), x, y, x), m.op(ir.Concat(0), y, x := m.op(ir.Clip(-9, 9), y)))


def _narrow(m: Maker) -> ir.Graph:
    """Elements of 4 bits, and a table of 16 entries."""
    x = _input(m, 1, 6, 5, 3, dtype=ir.I4)
    table = m.builder.constant(m.random.integers(-128, 128, 16), ir.I8)
    pool = m.op(ir.MaxPool((2, 2), (1, 1), (1, 1, 0, 0)), x)
    return m.build(m.op(ir.Lut(ir.I8), pool, table), m.op(ir.Concat(2), x, pool))


VECTOR_CASES: dict[str, Callable[[Maker], ir.Graph]] = {
    name.removeprefix("_"): case
    for name, case in globals().copy().items()
    if name.startswith("_") and callable(case) and list(getattr(case, "__annotations__", {})) == ["m", "return"]
}
