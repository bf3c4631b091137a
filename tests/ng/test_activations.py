"""Activation functions of every value of a type."""

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.ng.evaluation import lower


def every(dtype, seed=0):
    """Every value, or many of them."""
    low, high = dtype.integer.min, dtype.integer.max
    if dtype.width <= 16:
        return np.arange(low, high + 1)
    return np.concatenate([[low, high, 0, -1, 1], np.random.default_rng(seed).integers(low, high, 2000)])


def applied(function, source, x, **arguments):
    tensor = ng.placeholder(source, x.shape, name="x")
    tensor.scale_factor = arguments.pop("factor", 1.0)
    y = function(tensor, **arguments)
    return y, ng.eval([y], x=x)[0]


@pytest.mark.parametrize("dtype", [ng.int8, ng.uint8, ng.int16, ng.int32])
def test_relu(dtype):
    x = every(dtype)
    np.testing.assert_array_equal(applied(ng.relu, dtype, x)[1], np.maximum(x, 0))


@pytest.mark.parametrize(("factor", "limit"), [(1.0, 6), (9.6, 60), (0.4, 0), (1000.0, 127)])
def test_relu6(factor, limit):
    x = every(ng.int8)
    np.testing.assert_array_equal(applied(ng.relu6, ng.int8, x, factor=factor)[1], np.clip(x, 0, limit))


@pytest.mark.parametrize("dtype", [ng.int4, ng.int8, ng.int16])
@pytest.mark.parametrize(("slope", "rshift"), [(10, 7), (1, 3), (4, 4), (0, 5), (9, 3), (-3, 2)])
def test_leaky_relu(dtype, slope, rshift):
    x = every(dtype)
    y, found = applied(ng.leaky_relu, dtype, x, slope=slope, rshift=rshift)
    leaked = [int((Decimal(v * slope) / 2**rshift).quantize(Decimal(0), ROUND_HALF_UP)) for v in x.tolist()]
    expected = np.clip(np.where(x >= 0, x, leaked), dtype.integer.min, dtype.integer.max)
    np.testing.assert_array_equal(found, expected)
    assert type(y).__name__ == f"leaky_relu_{slope}_{rshift}"
    assert isinstance(y, ng.leaky_relu_base)


@pytest.mark.parametrize(("dtype", "rshift"), [(None, 31), (ng.int8, 7), (ng.int16, 15)])
def test_the_shift_of_a_leaky_relu_comes_from_the_type(dtype, rshift):
    assert ng.get_leaky_relu_op(3, dtype=dtype).rshift == rshift
    assert ng.get_leaky_relu_op(3, dtype=dtype) is ng.get_leaky_relu_op(3, dtype=dtype)


def factor_and_shift(scale_factor, width, clip):
    """The multiplier of the sigmoid's operand, in the words of the search for it."""
    wanted = 2 ** (width - 1) / clip / scale_factor
    step = 1.0
    while abs(round(wanted * step) - wanted * step) > 0.01 * (wanted * step + 1e-7):
        step *= 1.414
    return round(wanted * step), round(math.log2(step))


@pytest.mark.parametrize("dtype", [ng.int8, ng.int4, ng.int16, ng.int32])
@pytest.mark.parametrize("result", [ng.int8, ng.uint8, ng.int16])
@pytest.mark.parametrize(("factor", "width", "clip", "rate"), [(1.0, 8, 6.0, 0.95), (42.7, 6, 4.0, 1.0)])
def test_sigmoid(dtype, result, factor, width, clip, rate):
    x = every(dtype)
    arguments = {"lut_addrwidth": width, "lut_clip": clip, "range_rate": rate}
    _, found = applied(ng.sigmoid, dtype, x, factor=factor, dtype=result, **arguments)
    width = min(width, dtype.width)
    mul, shift = factor_and_shift(factor, width, clip)
    top = round(2 ** (result.width - result.signed) * rate)
    edge = 2 ** (width - 1)
    expected = []
    for value in x.tolist():
        m = (value * mul) >> shift
        inside = round(float(np.around(top / (1 + math.exp(-m * clip / edge))))) if -edge < m < edge else 0
        expected.append(min(top if m >= edge else inside, result.integer.max))
    np.testing.assert_array_equal(found, expected)


def test_sigmoid_of_few_bits_is_one_table():
    x8, x16 = (ng.placeholder(dtype, (4,), name="x") for dtype in (ng.int8, ng.int16))
    assert [node.op.name for node in lower([ng.sigmoid(x8)], "n").graph.nodes] == ["lut"]
    assert [node.op.name for node in lower([ng.sigmoid(x16)], "n").graph.nodes] == ["requantise", "lut"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: ng.leaky_relu(x, 1.5), "slope and rshift must be whole numbers, rshift 0..63, not 1.5 and 31"),
        (lambda x: ng.leaky_relu_base(x), "leaky_relu_base must be given a slope"),
        (lambda x: ng.sigmoid(x, lut_addrwidth=12), r"lut_addrwidth must be 2\.\.11, not 12"),
    ],
)
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make(ng.placeholder(ng.int32, (4,)))
