"""Convolution with rounded products against the formula, a product at a time."""

import numpy as np
import pytest

from gatewright import ir


def types_of(*operands):
    return [ir.TensorType(array.shape, dtype) for array, dtype in operands]


def naive(x, w, shift, op):
    """The docstring's formula in Python's integers."""
    height, width = x.shape[1:3]
    result = op.infer(*types_of((x, ir.I8), (w, ir.I8), (shift, ir.U8)))
    acc = np.zeros(result.shape, object)
    for n, p, q, o in np.ndindex(*result.shape):
        amount = int(shift[o % len(shift)])
        for i, j, c in np.ndindex(*w.shape[1:]):
            row, column = p * op.strides[0] + i - op.pads[0], q * op.strides[1] + j - op.pads[1]
            if 0 <= row < height and 0 <= column < width:
                product = (int(x[n, row, column, c]) - op.x_zero) * int(w[o, i, j, c])
                acc[n, p, q, o] += (product + (1 << amount >> 1)) >> amount
    return acc


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("shifts", [[0], [3], [0, 1, 7, 12]])
@pytest.mark.parametrize("x_zero", [0, -100])
def test_equals_the_formula(strides, shifts, x_zero):
    random = np.random.default_rng(len(shifts))
    x = random.integers(-128, 128, (2, 5, 6, 3)).astype(np.int8)
    w = random.integers(-128, 128, (4, 3, 2, 3)).astype(np.int8)
    shift = np.array(shifts, np.uint8)
    op = ir.RoundedConv2d(strides, (1, 0, 2, 1), x_zero)
    result = op.evaluate(x, w, shift, types=types_of((x, ir.I8), (w, ir.I8), (shift, ir.U8)))
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, naive(x, w, shift, op))


def test_the_bias_is_added_to_the_rounded_products():
    x, w = np.array([[[[3]]]], np.int8), np.array([[[[1]]], [[[-1]]]], np.int8)
    shift, bias = np.array([1], np.uint8), np.array([10, -10], np.int16)
    types = types_of((x, ir.I8), (w, ir.I8), (shift, ir.U8), (bias, ir.I16))
    assert ir.RoundedConv2d().infer(*types).shape == (1, 1, 1, 2)
    assert ir.RoundedConv2d().evaluate(x, w, shift, bias, types=types).ravel().tolist() == [12, -11]


def test_without_shifts_it_is_a_convolution():
    random = np.random.default_rng(0)
    x, w = random.integers(0, 256, (1, 6, 6, 4)).astype(np.uint8), random.integers(-8, 8, (5, 3, 3, 4)).astype(np.int8)
    shift = np.zeros(1, np.uint8)
    types = types_of((x, ir.U8), (w, ir.IntType(4)), (shift, ir.U8))
    result = ir.RoundedConv2d((1, 1), (1, 1, 1, 1)).evaluate(x, w, shift, types=types)
    np.testing.assert_array_equal(result, ir.Conv2d((1, 1), (1, 1, 1, 1)).evaluate(x, w, types=types[:2]))


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (["i8[1,4,4,2]", "i8[3,2,2,1]", "u8[1]"], r"w must have 2 channels, not i8\[3,2,2,1\]"),
        (["i8[1,4,4,2]", "i8[3,2]", "u8[1]"], r"w must be \[O, kh, kw, C\], not i8\[3,2\]"),
        (["i8[1,4,4,2]", "i8[3,2,2,2]", "u8[2]"], r"shift must be u8\[1\] or u8\[3\], not u8\[2\]"),
        (["i8[1,4,4,2]", "i8[3,2,2,2]", "u8[3]", "i8[2]"], r"bias must be \[3\], not i8\[2\]"),
        (["i8[1,4,4,2]", "i8[3,2,2,2]", "i8[3]"], r"shift must be u8\[1\] or u8\[3\], not i8\[3\]"),
    ],
)
def test_impossible_types_are_refused(types, message):
    with pytest.raises(ir.GraphError, match=message):
        ir.RoundedConv2d().infer(*map(ir.TensorType.parse, types))


def test_shifts_stay_below_64():
    with pytest.raises(ir.GraphError, match=r"shift must be 0\.\.63, not 64"):
        ir.RoundedConv2d().check(None, None, np.array([64], np.uint8))


def test_bounds_are_reached():
    b = ir.Builder("g")
    x = b.input("x", ir.TensorType((1, 1, 1, 3), ir.I8))
    w = b.constant([[[[3, -5, 7]]], [[[0, 1, -1]]]], ir.I8)
    bias = b.constant([100, -7], ir.I8)
    b.output(b.add(ir.RoundedConv2d(), x, w, b.constant([2, 0], ir.U8), bias, name="y"))
    graph = b.build()
    bounds = [bound.tolist() for bound in ir.accumulator_bounds(graph, graph.node("y"))]
    corners = np.array(np.meshgrid(*[[-128, 127]] * 3)).reshape(3, -1).T
    sums = np.array([graph.evaluate(corner.reshape(1, 1, 1, 3))["y"].ravel() for corner in corners])
    assert bounds == [sums.min(axis=0).tolist(), sums.max(axis=0).tolist()]


def test_bounds_without_known_weights_hold():
    b = ir.Builder("g")
    x, w = b.input("x", ir.TensorType((1, 1, 1, 4), ir.U8)), b.input("w", ir.TensorType((2, 1, 1, 4), ir.U8))
    b.output(b.add(ir.RoundedConv2d(x_zero=-3), x, w, b.constant([2], ir.U8), name="y"))
    graph = b.build()
    least, greatest = ir.accumulator_bounds(graph, graph.node("y"))
    assert (least.tolist(), greatest.tolist()) == ([0, 0], [4 * 258 * 255] * 2)
