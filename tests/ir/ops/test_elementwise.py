"""Requantise, Add, Clip and Lut; their arithmetic is tested with `numerics`."""

import numpy as np
import pytest

from gatewright import ir
from gatewright.ir import Rounding


def types(*texts):
    return [ir.TensorType.parse(text) for text in texts]


def requantise(**changes):
    attributes = {"zero": 0, "low": -128, "high": 127, "rounding": Rounding.HALF_UP, "dtype": ir.I8}
    return ir.Requantise(**(attributes | changes))


def add(**changes):
    attributes = {"mul_a": 1, "mul_b": 1, "shift": 0, "a_zero": 0, "b_zero": 0, "zero": 0, "low": -128, "high": 127}
    return ir.Add(**(attributes | {"rounding": Rounding.HALF_UP, "dtype": ir.I8} | changes))


def test_requantise_by_channel():
    x = np.array([[1000, 1000], [-1000, -1000]], np.int32)
    mul, shift = np.array([1, 3], np.uint32), np.array([4, 8], np.uint8)
    y = requantise(zero=5).evaluate(x, mul, shift, types=types("i32[2,2]", "u32[2]", "u8[2]"))
    assert y.dtype == np.int8
    assert y.tolist() == [[68, 17], [-57, -7]]


def test_negative_sums_may_shift_further():
    x = np.array([64, -64, -3], np.int32)
    op = requantise(negative_shift=3)
    y = op.evaluate(x, np.array([1], np.uint32), np.array([0], np.uint8), types=types("i32[3]", "u32[1]", "u8[1]"))
    assert y.tolist() == [64, -8, 0]


def test_requantise_of_an_activation_subtracts_its_zero_point():
    op = requantise(zero=-10, x_zero=128)
    x = np.array([0, 128, 255], np.uint8)
    y = op.evaluate(x, np.array([1], np.uint32), np.array([1], np.uint8), types=types("u8[3]", "u32[1]", "u8[1]"))
    assert y.tolist() == [-74, -10, 54]


@pytest.mark.parametrize(
    ("op", "operands", "message"),
    [
        (requantise(), ["i32[2,4]", "u32[3]", "u8[1]"], r"mul must be u32\[1\] or u32\[4\], not u32\[3\]"),
        (requantise(), ["i32[2,4]", "i32[4]", "u8[1]"], r"mul must be u32\[1\] or u32\[4\], not i32\[4\]"),
        (requantise(), ["i32[2,4]", "u32[4]", "u16[1]"], r"shift must be u8\[1\] or u8\[4\], not u16\[1\]"),
        (requantise(high=128), ["i32[4]", "u32[1]", "u8[1]"], r"low and high must be within i8, not -128\.\.128"),
        (requantise(low=5, high=4), ["i32[4]", "u32[1]", "u8[1]"], "low must be at most high, not 5 > 4"),
        (requantise(zero=1 << 31), ["i32[4]", "u32[1]", "u8[1]"], "zero must be within i32, not 2147483648"),
        (add(), ["i8[4]", "i8[1,4]"], r"a and b must have the same shape, not i8\[4\] and i8\[1,4\]"),
        (add(shift=64), ["i8[4]", "i8[4]"], r"shift must be 0\.\.63, not 64"),
        (ir.Clip(0, 300), ["u8[4]"], r"low and high must be within u8, not 0\.\.300"),
        (ir.Lut(ir.I8), ["i8[4]", "i8[128]"], r"table must be i8\[256\], not i8\[128\]"),
        (ir.Lut(ir.I8), ["i8[4]", "u8[256]"], r"table must be i8\[256\], not u8\[256\]"),
        (ir.Lut(ir.I8), ["i16[4]", "i8[65536]"], r"x must have at most 12 bits, not i16\[4\]"),
    ],
)
def test_impossible_types_are_refused(op, operands, message):
    with pytest.raises(ir.GraphError, match=message):
        op.infer(*types(*operands))


def test_shift_with_negative_shift_stays_below_64():
    op = requantise(negative_shift=4)
    op.check(None, None, np.array([59], np.uint8))
    with pytest.raises(ir.GraphError, match=r"shift must be 0\.\.63 \(negative_shift added\), not 60\.\.64"):
        op.check(None, None, np.array([60], np.uint8))


def test_add_subtracts_with_a_negative_factor():
    op = add(mul_a=2, mul_b=-3, shift=2, a_zero=1, zero=10)
    a, b = np.array([5, -7], np.int8), np.array([4, 1], np.uint8)
    assert op.evaluate(a, b, types=types("i8[2]", "u8[2]")).tolist() == [9, 5]


def test_clip_keeps_the_type():
    y = ir.Clip(10, 200).evaluate(np.array([0, 50, 255], np.uint8), types=types("u8[3]"))
    assert y.dtype == np.uint8
    assert y.tolist() == [10, 50, 200]


@pytest.mark.parametrize("text", ["i4", "u4", "i8", "u8", "i12"])
def test_lut_is_indexed_from_the_minimum(text):
    dtype = ir.IntType.parse(text)
    levels = np.arange(dtype.min, dtype.max + 1).astype(dtype.storage)
    table = np.arange(1 << dtype.width).astype(np.int16)[::-1]
    op = ir.Lut(ir.I16)
    operand = [ir.TensorType(levels.shape, dtype), ir.TensorType(table.shape, ir.I16)]
    assert op.infer(*operand) == operand[1]
    np.testing.assert_array_equal(op.evaluate(levels, table, types=operand), table)
