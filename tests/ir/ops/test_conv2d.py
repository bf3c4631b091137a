"""Convolution against loops in Python's integers, and against ONNX Runtime."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gatewright import ir
from gatewright.ir import products


def naive(x, w, bias, op):
    """The docstring's formula, a product at a time."""
    _, height, width, _ = x.shape
    outputs, kernel_height, kernel_width, depth = w.shape
    result = op.infer(types_of(x, ir.I8), types_of(w, ir.I8))
    acc = np.zeros(result.shape, object)
    for n, p, q, o in np.ndindex(*result.shape):
        first = o // (outputs // op.groups) * depth
        total = int(bias[o])
        for i, j, c in np.ndindex(kernel_height, kernel_width, depth):
            row = p * op.strides[0] + i * op.dilations[0] - op.pads[0]
            column = q * op.strides[1] + j * op.dilations[1] - op.pads[1]
            if 0 <= row < height and 0 <= column < width:
                total += (int(x[n, row, column, first + c]) - op.x_zero) * int(w[o, i, j, c])
        acc[n, p, q, o] = total
    return acc


def types_of(array, dtype):
    return ir.TensorType(array.shape, dtype)


def evaluate(op, x, w, bias):
    types = [types_of(x, ir.U8), types_of(w, ir.I8), types_of(bias, ir.I32)]
    return op.evaluate(x, w, bias, types=types)


@st.composite
def convolutions(draw):
    small = st.integers(1, 3)
    pair = st.tuples(small, small)
    groups, depth, multiple = draw(small), draw(small), draw(small)
    kernel, dilations = draw(pair), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(4))
    least = [dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2] for i in (0, 1)]
    height, width = (max(1, size) + draw(st.integers(0, 4)) for size in least)
    op = ir.Conv2d(draw(pair), pads, dilations, groups, draw(st.sampled_from([0, 7, 128, 255])))
    shapes = (draw(small), height, width, groups * depth), (groups * multiple, *kernel, depth)
    return op, *shapes, draw(st.integers(0, 1 << 30))


@settings(max_examples=150, deadline=None)
@given(convolutions())
def test_equals_the_formula(case):
    op, x_shape, w_shape, seed = case
    random = np.random.default_rng(seed)
    x = random.integers(0, 256, x_shape).astype(np.uint8)
    w = random.integers(-128, 128, w_shape).astype(np.int8)
    bias = random.integers(-(1 << 20), 1 << 20, w_shape[0]).astype(np.int32)
    result = evaluate(op, x, w, bias)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, naive(x, w, bias, op))


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "pads", "dilations", "groups", "channels", "filters"),
    [
        (13, 3, 1, (1, 1, 1, 1), 1, 1, 16, 24),
        (14, 3, 2, (0, 1, 1, 0), 1, 1, 5, 7),
        (1, 1, 1, (0, 0, 0, 0), 1, 1, 64, 10),
        (2, 5, 3, (3, 2, 1, 4), 1, 1, 3, 11),
        (16, 3, 1, (2, 2, 2, 2), 2, 4, 8, 12),
        (12, 3, 2, (1, 0, 1, 0), 1, 13, 13, 26),
    ],
)
def test_equals_onnx_runtime(size, kernel, strides, pads, dilations, groups, channels, filters):
    random = np.random.default_rng(size)
    x = random.integers(0, 256, (2, size, size, channels)).astype(np.uint8)
    w = random.integers(-128, 128, (filters, kernel, kernel, channels // groups)).astype(np.int8)
    node = helper.make_node(
        "ConvInteger",
        ["x", "w", "zero"],
        ["y"],
        strides=[strides] * 2,
        pads=list(pads),
        dilations=[dilations] * 2,
        group=groups,
    )
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, [2, channels, size, size]),
        helper.make_tensor_value_info("w", TensorProto.INT8, [filters, channels // groups, kernel, kernel]),
        helper.make_tensor_value_info("zero", TensorProto.UINT8, []),
    ]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.INT32, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {"x": x.transpose(0, 3, 1, 2), "w": w.transpose(0, 3, 1, 2), "zero": np.array(100, np.uint8)}
    (expected,) = session.run(None, feed)

    op = ir.Conv2d((strides, strides), pads, (dilations, dilations), groups, x_zero=100)
    result = evaluate(op, x, w, np.zeros(filters, np.int32))
    np.testing.assert_array_equal(result.transpose(0, 3, 1, 2), expected)


@pytest.mark.parametrize(
    ("largest_x", "largest_w", "taps", "expected"),
    [
        (255, 127, 9, np.float32),
        (1 << 12, 1 << 12, 1, np.float32),
        ((1 << 12) + 1, 1 << 12, 1, np.float64),
        (1 << 26, 1 << 27, 1, np.float64),
        ((1 << 26) + 1, 1 << 27, 1, np.int64),
        (1 << 40, 1 << 40, 1, object),
    ],
)
def test_format_of_the_products_is_the_fastest_exact_one(largest_x, largest_w, taps, expected):
    x, w = np.array([[largest_x, -1]]), np.full((2, taps), -largest_w)
    assert products.exact_format(x, w) == expected


@pytest.mark.parametrize("width", [6, 11, 13, 20, 27, 31])
def test_sums_at_the_edge_of_every_format_are_exact(width):
    """All products of one sign: partial sums grow to the bound itself."""
    x = np.full((1, 3, 3, 4), (1 << width) - 1, np.int64)
    w = np.full((2, 3, 3, 4), (1 << width) - 1, np.int64)
    w[1] *= -1
    op = ir.Conv2d(accumulator=ir.IntType(64))
    types = [types_of(x, ir.I64), types_of(w, ir.I64)]
    if 36 * ((1 << width) - 1) ** 2 >= 1 << 63:
        with pytest.raises(ir.GraphError, match="must fit the accumulator i64"):
            op.evaluate(x, w, types=types)
    else:
        result = op.evaluate(x, w, types=types)
        assert result.ravel().tolist() == [36 * ((1 << width) - 1) ** 2, -36 * ((1 << width) - 1) ** 2]


def test_overflow_of_the_final_sum_is_an_error():
    x, w = np.full((1, 1, 1, 4), 255, np.uint8), np.full((1, 1, 1, 4), 127, np.int8)
    op = ir.Conv2d(accumulator=ir.IntType(17))
    with pytest.raises(ir.GraphError, match=r"sums of 129540\.\.129540 must fit the accumulator i17"):
        op.evaluate(x, w, types=[types_of(x, ir.U8), types_of(w, ir.I8)])


def test_wide_bias_joins_the_sum_exactly():
    x, w = np.full((1, 1, 1, 1), 1, np.int8), np.full((1, 1, 1, 1), 1, np.int8)
    bias = np.array([(1 << 62) + 1], np.int64)
    op = ir.Conv2d(accumulator=ir.I64)
    result = op.evaluate(x, w, bias, types=[types_of(x, ir.I8), types_of(w, ir.I8), types_of(bias, ir.I64)])
    assert result.item() == (1 << 62) + 2


IMAGE = ir.TensorType((1, 8, 8, 6), ir.U8)


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (ir.Conv2d(), ["u8[8,8,6]", "i8[4,3,3,6]"], r"x must be \[N, H, W, C\], not u8\[8,8,6\]"),
        (ir.Conv2d(), [str(IMAGE), "i8[4,6]"], r"w must be \[O, kh, kw, C/groups\], not i8\[4,6\]"),
        (ir.Conv2d(), [str(IMAGE), "i8[4,3,3,5]"], r"w must have 6 / 1 channels, not i8\[4,3,3,5\]"),
        (ir.Conv2d(groups=3), [str(IMAGE), "i8[4,3,3,2]"], "w must have a multiple of 3 filters, not 4"),
        (ir.Conv2d(), [str(IMAGE), "i8[4,3,3,6]", "i32[5]"], r"bias must be \[4\], not i32\[5\]"),
        (ir.Conv2d(), [str(IMAGE), "i8[4,9,9,6]"], r"a window of \(9, 9\) must fit the padded image"),
        (ir.Conv2d(pads=(0, 0, -1, 0)), [str(IMAGE), "i8[4,3,3,6]"], r"pads must be .* of at least 0, not \(0, 0, -1"),
        (ir.Conv2d(strides=(0, 1)), [str(IMAGE), "i8[4,3,3,6]"], "strides must be two numbers of at least 1"),
        (ir.Conv2d(accumulator=ir.U32), [str(IMAGE), "i8[4,3,3,6]"], "accumulator must be signed, not u32"),
        (ir.Conv2d(), [str(IMAGE)], r"operands must be \(x, w, bias\?\), not 1 values"),
    ],
)
def test_impossible_types_are_refused(op, types, message):
    with pytest.raises(ir.GraphError, match=message):
        op.infer(*map(ir.TensorType.parse, types))
