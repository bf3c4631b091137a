"""MaxPool and AveragePool against loops."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright import ir
from gatewright.ir import Rounding


@st.composite
def pools(draw):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = (*(draw(st.integers(0, size - 1)) for size in kernel), *(draw(st.integers(0, size - 1)) for size in kernel))
    least = [max(1, kernel[i] - pads[i] - pads[i + 2]) for i in (0, 1)]
    shape = (draw(st.integers(1, 2)), *(size + draw(st.integers(0, 4)) for size in least), draw(st.integers(1, 3)))
    return kernel, strides, pads, shape, draw(st.integers(0, 1 << 30))


def taps(x, kernel, strides, pads, position):
    n, p, q, c = position
    rows = range(p * strides[0] - pads[0], p * strides[0] - pads[0] + kernel[0])
    columns = range(q * strides[1] - pads[1], q * strides[1] - pads[1] + kernel[1])
    inside = [(row, column) for row in rows for column in columns if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]]
    return [int(x[n, row, column, c]) for row, column in inside]


@settings(max_examples=100, deadline=None)
@given(pools(), st.sampled_from([ir.I8, ir.U8]))
def test_max_pool_equals_the_formula(case, dtype):
    kernel, strides, pads, shape, seed = case
    x = np.random.default_rng(seed).integers(dtype.min, dtype.max + 1, shape).astype(dtype.storage)
    op, type = ir.MaxPool(kernel, strides, pads), ir.TensorType(shape, dtype)
    y = op.evaluate(x, types=[type])
    assert op.infer(type) == ir.TensorType(y.shape, dtype)
    for position in np.ndindex(*y.shape):
        assert y[position] == max(taps(x, kernel, strides, pads, position), default=dtype.min)


@settings(max_examples=100, deadline=None)
@given(pools(), st.booleans())
def test_average_pool_equals_the_formula(case, count_include_pad):
    kernel, strides, pads, shape, seed = case
    size = kernel[0] * kernel[1]
    multipliers = tuple((n, round(2**20 / n)) for n in range(1, size + 1))
    parameters = (100, multipliers, 20, 3, -100, 90, Rounding.HALF_EVEN, ir.I8, count_include_pad)
    op, type = ir.AveragePool(kernel, strides, pads, *parameters), ir.TensorType(shape, ir.U8)
    x = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    y = op.evaluate(x, types=[type])
    assert op.infer(type) == ir.TensorType(y.shape, ir.I8)
    for position in np.ndindex(*y.shape):
        values = taps(x, kernel, strides, pads, position)
        divisor = size if count_include_pad else len(values)
        exact = Fraction(sum(values) - 100 * len(values)) * dict(multipliers)[divisor] / 2**20
        assert y[position] == min(max(round(exact) + 3, -100), 90)  # round() of a Fraction is half to even


@settings(max_examples=50, deadline=None)
@given(pools(), st.booleans())
def test_rectangles_cover_each_window_once_with_its_multiplier(case, count_include_pad):
    kernel, strides, pads, shape, _ = case
    multipliers = tuple((n, 100 + n) for n in range(kernel[0] * kernel[1] + 1))
    parameters = (0, multipliers, 7, 0, -128, 127, Rounding.FLOOR, ir.I8, count_include_pad)
    op, type = ir.AveragePool(kernel, strides, pads, *parameters), ir.TensorType(shape, ir.I8)
    divisors = op.divisors(type)
    found = np.zeros_like(divisors)
    for row, rows, column, columns, mul in (part for line in op.rectangles(type) for part in line):
        found[row : row + rows, column : column + columns] += mul
    assert (found == divisors + 100).all()


def test_max_pool_window_in_the_padding_is_the_minimum():
    op = ir.MaxPool((2, 2), (2, 2), (2, 0, 0, 0))
    y = op.evaluate(np.full((1, 2, 2, 1), 5, np.int8), types=[ir.TensorType((1, 2, 2, 1), ir.I8)])
    assert y.ravel().tolist() == [-128, 5]


def test_divisors_without_a_multiplier_are_refused():
    op = ir.AveragePool((2, 2), (1, 1), (1, 0, 0, 0), 0, ((4, 1),), 2, 0, -128, 127, Rounding.FLOOR, ir.I8)
    with pytest.raises(ir.GraphError, match=r"multipliers must name the divisors \[2, 4\], not \[4\]"):
        op.infer(ir.TensorType((1, 4, 4, 1), ir.I8))


def test_kernel_larger_than_the_image_is_refused():
    with pytest.raises(ir.GraphError, match=r"a window of \(5, 5\) must fit the padded image, not i8\[1,4,4,1\]"):
        ir.MaxPool((5, 5)).infer(ir.TensorType((1, 4, 4, 1), ir.I8))
