"""Multiply, Shift and LeakyRelu against their formulas in Python's integers."""

import math
from fractions import Fraction

import numpy as np
import pytest

from gatewright import ir
from gatewright.ir import Rounding

ROUNDED = {
    Rounding.FLOOR: math.floor,
    Rounding.HALF_UP: lambda x: math.floor(x + Fraction(1, 2)),
    Rounding.HALF_EVEN: round,
    Rounding.HALF_AWAY: lambda x: math.copysign(1, x) * math.floor(abs(x) + Fraction(1, 2)),
}


def values(shape, dtype, seed):
    array = np.random.default_rng(seed).integers(dtype.min, dtype.max + 1, shape).astype(dtype.storage)
    return array, ir.TensorType(shape, dtype)


def clipped(x, zero, low, high):
    return min(max(int(x) + zero, low), high)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("shape", [(4, 6), (6,), (1,)])
def test_multiply(rounding, shape):
    (a, a_type), (b, b_type) = values((4, 6), ir.I8, 1), values(shape, ir.U8, 2)
    op = ir.Multiply(3, 9, 5, 100, -7, -100, 90, rounding, ir.I8)
    assert op.infer(a_type, b_type) == a_type
    result = op.evaluate(a, b, types=[a_type, b_type])
    assert result.dtype == np.int8
    for index, y in np.ndenumerate(result):
        product = (int(a[index]) - 5) * (int(np.broadcast_to(b, a.shape)[index]) - 100) * 3
        assert y == clipped(ROUNDED[rounding](Fraction(product, 512)), -7, -100, 90)


def test_wide_products_are_exact():
    a = np.array([(1 << 62) + 1, -(1 << 62)], np.int64)
    type = ir.TensorType((2,), ir.I64)
    op = ir.Multiply(1, 62, 0, 0, 0, ir.I64.min, ir.I64.max, Rounding.FLOOR, ir.I64)
    assert op.evaluate(a, a, types=[type, type]).tolist() == [(1 << 62) + 2, 1 << 62]


@pytest.mark.parametrize("rounding", Rounding)
def test_shift(rounding):
    (a, a_type), (b, b_type) = values((5, 7), ir.I16, 3), values((5, 7), ir.I8, 4)
    b %= 70
    b[0, :3] = [-1, 0, 63]
    op = ir.Shift(-3, 2, 11, -30000, 30000, rounding, ir.I16)
    result = op.evaluate(a, b, types=[a_type, b_type])
    for index, y in np.ndenumerate(result):
        amount = min(max(int(b[index]) - 2, 0), 63)
        assert y == clipped(ROUNDED[rounding](Fraction(int(a[index]) + 3, 1 << amount)), 11, -30000, 30000)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(("mul", "shift"), [(10, 7), (1, 0), (0, 3), (-6, 4), (300, 7)])
def test_leaky_relu(rounding, mul, shift):
    x, type = values((300,), ir.I16, 5)
    op = ir.LeakyRelu(mul, shift, -20, 6, -20000, 25000, rounding, ir.I16)
    result = op.evaluate(x, types=[type])
    for number, y in zip(x.tolist(), result.tolist(), strict=True):
        d = number + 20
        expected = d if d >= 0 else ROUNDED[rounding](Fraction(d * mul, 1 << shift))
        assert y == clipped(expected, 6, -20000, 25000)


def multiply(**changes):
    plain = {"mul": 1, "shift": 0, "a_zero": 0, "b_zero": 0, "zero": 0, "low": -128, "high": 127}
    return ir.Multiply(**(plain | {"rounding": Rounding.FLOOR, "dtype": ir.I8} | changes))


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (multiply(), ["i8[2,3]", "i8[2]"], r"b must have the shape of a, \[1\] or \[3\], not i8\[2\] for i8\[2,3\]"),
        (multiply(shift=64), ["i8[3]", "i8[3]"], r"shift must be 0\.\.63, not 64"),
        (multiply(mul=-1), ["i8[3]", "i8[3]"], "mul must be at least 0, not -1"),
        (multiply(high=128), ["i8[3]", "i8[3]"], r"low and high must be within i8, not -128\.\.128"),
        (
            ir.Shift(0, 0, 0, -8, 7, Rounding.FLOOR, ir.I4),
            ["i8[2,3]", "u8[3]"],
            r"a and b must have the same shape, not i8\[2,3\] and u8\[3\]",
        ),
        (ir.Shift(0, 0, 9, -8, 7, Rounding.FLOOR, ir.I4), ["i8[3]", "u8[3]"], "zero must be within i4, not 9"),
        (ir.LeakyRelu(1, 64, 0, 0, -8, 7, Rounding.FLOOR, ir.I4), ["i8[3]"], r"shift must be 0\.\.63, not 64"),
    ],
)
def test_impossible_types_are_refused(op, types, message):
    with pytest.raises(ir.GraphError, match=message):
        op.infer(*map(ir.TensorType.parse, types))
