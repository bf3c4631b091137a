"""Bounds on values and sums."""

import numpy as np
import pytest

from gatewright import ir


def convolution(x="i8", low=-128, high=127, pads=(0, 0, 0, 0), x_zero=0, accumulator=ir.I32):
    b = ir.Builder("g")
    value = b.input("x", ir.TensorType((1, 4, 4, 2), ir.IntType.parse(x)))
    value = b.add(ir.Clip(low, high), value, name="clipped")
    w = b.constant(np.array([[[[3, -2]]], [[[0, 0]]], [[[-128, 127]]]]), ir.I8)
    bias = b.constant([10, -7, 0], ir.I32)
    b.output(b.add(ir.Conv2d(pads=pads, x_zero=x_zero, accumulator=accumulator), value, w, bias, name="conv"))
    return b.build()


@pytest.mark.parametrize(
    ("options", "least", "greatest"),
    [
        ({}, [-384 - 254 + 10, -7, -128 * 127 - 128 * 127], [381 + 256 + 10, -7, 128 * 128 + 127 * 127]),
        ({"low": 0}, [-254 + 10, -7, -128 * 127], [381 + 10, -7, 127 * 127]),
        ({"x": "u8", "low": 0, "high": 255, "x_zero": 255}, [-765 + 10, -7, -127 * 255], [510 + 10, -7, 128 * 255]),
        ({"low": 5, "high": 5}, [15, -7, -5], [15, -7, -5]),
        ({"low": 5, "high": 5, "pads": (1, 0, 0, 0)}, [10 - 10, -7, -640], [25, -7, 635]),
    ],
)
def test_accumulator_bounds(options, least, greatest):
    graph = convolution(**options)
    bounds = ir.accumulator_bounds(graph, graph.node("conv"))
    assert [bound.tolist() for bound in bounds] == [least, greatest]


def test_bounds_are_reached():
    graph = convolution()
    x = np.where(np.array([-128, 127]) > 0, 127, -128) * np.ones((1, 4, 4, 2), int)
    assert graph.evaluate(x)["conv"].max() == ir.accumulator_bounds(graph, graph.node("conv"))[1].max()


def test_overflow_names_the_layer():
    ir.check_accumulators(convolution(accumulator=ir.I16))
    message = r"conv2d 'conv': sums of -32512\.\.32513 \(output channel 2\) must fit the accumulator i15"
    with pytest.raises(ir.GraphError, match=message):
        ir.check_accumulators(convolution(accumulator=ir.IntType(15)))


def test_products_of_activations_are_bounded_by_their_types():
    b = ir.Builder("attention")
    x, y = b.input("x", ir.TensorType((2, 10), ir.U8)), b.input("y", ir.TensorType((3, 10), ir.I8))
    b.output(b.add(ir.MatMul(x_zero=100), x, y, name="scores"))
    graph = b.build()
    least, greatest = ir.accumulator_bounds(graph, graph.node("scores"))
    assert least.tolist() == [155 * -128 * 10] * 3
    assert greatest.tolist() == [155 * 127 * 10] * 3


def test_huge_bounds_are_exact():
    b = ir.Builder("huge")
    x = b.input("x", ir.TensorType((1, 4), ir.I64))
    w = b.constant([[-(1 << 63)] * 4], ir.I64)
    b.output(b.add(ir.MatMul(accumulator=ir.I64), x, w, b.constant([1], ir.I64), name="y"))
    graph = b.build()
    assert ir.accumulator_bounds(graph, graph.node("y"))[1].tolist() == [(1 << 128) + 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip", (-5, 90)),
        ("pool", (-128, 90)),
        ("pad", (-7, 90)),
        ("concat", (-7, 90)),
        ("lut", (-3, 200)),
        ("x", (-128, 127)),
    ],
)
def test_value_ranges(name, expected):
    b = ir.Builder("ranges")
    x = b.input("x", ir.TensorType((1, 4, 4, 1), ir.I8))
    clip = b.add(ir.Clip(-5, 90), x, name="clip")
    pad = b.add(ir.Pad(((0, 0), (1, 0), (0, 0), (0, 0)), -7), clip, name="pad")
    pool = b.add(ir.MaxPool((2, 2), (2, 2), (0, 0, 1, 1)), clip, name="pool")
    concat = b.add(ir.Concat(1), clip, pad, name="concat")
    lut = b.add(ir.Lut(ir.I16), clip, b.constant(np.clip(np.arange(256), 50, 253) - 53, ir.I16), name="lut")
    for value in (pool, concat, lut):
        b.output(value)
    assert ir.value_range(b.build(), name) == expected
