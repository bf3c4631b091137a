"""Convolution and matrix product against the formula, a product at a time in Python's integers."""

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright import ir
from gatewright.ng.evaluation import lower


def half_up(x, shift):
    return (x + (1 << shift >> 1)) >> shift


def half_away(x, shift):
    return half_up(x, shift) if x >= 0 else -half_up(-x, shift)


def activated(y, act, low, high):
    """The activation after the clip; `act` is a name, or slope and shift of a leaky ReLU."""
    if act == "relu":
        return max(y, 0)
    if isinstance(act, tuple) and y < 0:
        return min(max(half_away(y * act[0], act[1]), low), high)
    return y


def after_the_products(products, numbers, dtype, asymmetric=False, act=None):
    """One result from its products and the layer's numbers for this channel: the steps of `Product` one by one."""
    acc = sum(half_up(p, numbers["mul"]) for p in products)
    acc = (half_up(acc, numbers["sum"]) + numbers["bias"]) * numbers["scale"]
    acc = half_away(acc, numbers["out"])
    high = (1 << (dtype.width - dtype.signed)) - 1
    low = (-high - asymmetric) if dtype.signed else 0
    return activated(min(max(acc, low), high), act, -high - 1 if dtype.signed else 0, high)


def convolved(x, w, numbers, strides, pads, **rest):
    """NHWC image, OHWI filter, pads (top, bottom, left, right)."""
    batch, height, width, _ = x.shape
    filters, kernel_height, kernel_width, _ = w.shape
    rows = (height + pads[0] + pads[1] - kernel_height) // strides[0] + 1
    columns = (width + pads[2] + pads[3] - kernel_width) // strides[1] + 1
    y = np.zeros((batch, rows, columns, filters), np.int64)
    for n, p, q, o in np.ndindex(*y.shape):
        products = []
        for i, j, c in np.ndindex(*w.shape[1:]):
            row, column = p * strides[0] + i - pads[0], q * strides[1] + j - pads[2]
            if 0 <= row < height and 0 <= column < width:
                products.append(int(x[n, row, column, c]) * int(w[o, i, j, c]))
        y[n, p, q, o] = after_the_products(products, channel(numbers, o), **rest)
    return y


def channel(numbers, o):
    return {name: int(value[o % len(value)]) for name, value in numbers.items()}


def variable(values, dtype, name):
    made = ng.variable(dtype, np.shape(values), name=name)
    made.set_value(np.asarray(values))
    return made


class Layer:
    """A random layer: its numbers, and the arguments that mean them."""

    def __init__(self, seed, filters, signed_scale=False, shifted_products=False):
        random = np.random.default_rng(seed)
        self.numbers = {name: [0] for name in ("mul", "sum", "out", "bias")} | {"scale": [1]}
        self.arguments = {}
        if random.integers(2):
            self._vector(random, "bias", ng.int32, random.integers(-3000, 3000, random.choice([1, filters])))
        if random.integers(2):
            low = -30 if signed_scale else 0
            self._vector(random, "scale", ng.int16, random.integers(low, 30, random.choice([1, filters])))
        for part, most in (("sum", 6), ("out", 12), ("mul", 6 if shifted_products else 0)):
            if most and random.integers(3) == 0:
                self.numbers[part] = [int(random.integers(most))]
                self.arguments[f"rshift_{part}"] = self.numbers[part][0]
            elif most and random.integers(2):
                self.numbers[part] = random.integers(0, most, filters)
                self.arguments[f"rshift_{part}"] = variable(self.numbers[part], ng.uint8, part)

    def _vector(self, random, name, dtype, values):
        self.numbers[name] = values
        self.arguments[name] = variable(values, dtype, name)


ACTS = {None: None, "relu": ng.relu, (10, 7): ng.get_leaky_relu_op(10, 7), (1, 3): ng.get_leaky_relu_op(1, 3)}


@pytest.mark.parametrize("seed", range(40))
def test_convolution(seed):
    random = np.random.default_rng(1000 + seed)
    height, width, channels, filters = random.integers(1, 6, 4).tolist()
    kernel, strides = random.integers(1, 4, 2).tolist(), random.integers(1, 4, 2).tolist()
    pads = random.integers(0, 3, 4).tolist()
    height, width = max(height, kernel[0] - pads[0] - pads[1]), max(width, kernel[1] - pads[2] - pads[3])
    dtype, result = random.choice([ng.int8, ng.uint8, ng.int16, ng.int4]), random.choice([ng.int8, ng.uint8, ng.int16])
    layer = Layer(seed, filters, signed_scale=seed % 2, shifted_products=not seed % 2)
    act = list(ACTS)[seed % len(ACTS)]
    x = ng.placeholder(dtype, (2, height, width, channels), name="x")
    w = variable(random.integers(-128, 128, (filters, *kernel, channels)), ng.int8, "w")
    asymmetric = bool(random.integers(2))
    y = ng.conv2d(
        x,
        w,
        (1, *strides, 1),
        padding=pads,
        act_func=ACTS[act],
        dtype=result,
        asymmetric_clip=asymmetric,
        **layer.arguments,
    )
    image = random.integers(dtype.integer.min, dtype.integer.max + 1, x.shape)
    (found,) = ng.eval([y], x=image)
    expected = convolved(image, w.value, layer.numbers, strides, pads, dtype=result, asymmetric=asymmetric, act=act)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(24))
def test_product(seed):
    random = np.random.default_rng(2000 + seed)
    rows, terms, outputs = random.integers(1, 9, 3).tolist()
    left, right = bool(seed & 1), bool(seed & 2)
    layer = Layer(seed, outputs, signed_scale=seed % 3 == 0, shifted_products=seed % 3 > 0)
    a = ng.placeholder(ng.int8, (terms, rows) if left else (rows, terms), name="a")
    b = variable(random.integers(-128, 128, (outputs, terms) if right else (terms, outputs)), ng.int8, "b")
    act = list(ACTS)[seed % len(ACTS)]
    y = ng.matmul(a, b, transposed_a=left, transposed_b=right, act_func=ACTS[act], dtype=ng.int8, **layer.arguments)
    given = random.integers(-128, 128, a.shape)
    x, w = given.T if left else given, b.value if right else b.value.T
    expected = [
        [
            after_the_products((x[i] * w[o]).tolist(), channel(layer.numbers, o), ng.int8, act=act)
            for o in range(outputs)
        ]
        for i in range(rows)
    ]
    (found,) = ng.eval([y], a=given)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [(4, 3, 2, (1, 0)), (4, 3, 1, (1, 1)), (5, 3, 2, (1, 1)), (4, 2, 1, (1, 0)), (7, 2, 3, (1, 0)), (6, 1, 4, (0, 0))],
)
def test_same_padding_puts_the_odd_pixel_first(size, kernel, stride, pads):
    x = ng.placeholder(ng.int16, (1, size, size, 1), name="x")
    w = variable(np.ones((1, kernel, kernel, 1), int), ng.int8, "w")
    image = np.arange(size * size).reshape(x.shape)
    same, given = (
        ng.conv2d(x, w, (1, stride, stride, 1), padding=padding, dtype=ng.int16) for padding in ("SAME", (*pads, *pads))
    )
    results = ng.eval([same, given], x=image)
    assert results[0].shape == (1, -(-size // stride), -(-size // stride), 1)
    np.testing.assert_array_equal(*results)


def test_the_published_example_of_same_padding():
    x = ng.placeholder(ng.int16, (1, 4, 4, 1), name="x")
    y = ng.conv2d(x, variable(np.ones((1, 3, 3, 1), int), ng.int8, "w"), (1, 2, 2, 1), dtype=ng.int16)
    (found,) = ng.eval([y], x=np.arange(16).reshape(x.shape))
    assert found.reshape(2, 2).tolist() == [[10, 24], [51, 90]]


def test_a_rank_1_operand_is_a_row():
    a, b = ng.placeholder(ng.int8, (3,), name="a"), variable([[1, 2, 3], [4, 5, 6]], ng.int8, "b")
    y = ng.matmul(a, b, transposed_b=True, dtype=ng.int16)
    assert ng.eval([y], a=[1, 1, 1])[0].tolist() == [[6, 15]]


def test_both_operands_may_be_computed():
    a, b = (ng.placeholder(ng.int8, (2, 2), name=name) for name in "ab")
    plain, turned = ng.matmul(a, b, dtype=ng.int16), ng.matmul(a, b, transposed_b=True, dtype=ng.int16)
    x, w = np.array([[1, 2], [3, 4]]), np.array([[5, -6], [7, 8]])
    found = ng.eval([plain, turned], a=x, b=w)
    np.testing.assert_array_equal(found[0], x @ w)
    np.testing.assert_array_equal(found[1], x @ w.T)


def test_negative_scales_turn_even_the_least_weight():
    x = ng.placeholder(ng.int8, (1, 1, 1, 1), name="x")
    w, scale = variable([[[[-128]]]], ng.int8, "w"), variable([-1], ng.int8, "scale")
    y = ng.conv2d(x, w, (1, 1, 1, 1), scale=scale, dtype=ng.int16)
    network = lower([y], "n")
    assert network.graph.constant("conv2d0.weights").type.dtype == ir.IntType(9)
    assert ng.eval([y], x=np.full((1, 1, 1, 1), -128))[0].item() == -16384


@pytest.mark.parametrize(
    ("act", "shift", "operators"),
    [
        (None, 3, ["conv2d", "requantise"]),
        (ng.relu, 3, ["conv2d", "requantise"]),
        (ng.relu6, 3, ["conv2d", "requantise"]),
        (ng.get_leaky_relu_op(2, 3), None, ["conv2d", "requantise"]),
        (ng.get_leaky_relu_op(2, 3), 3, ["conv2d", "requantise", "requantise"]),
        (ng.get_leaky_relu_op(3, 3), 3, ["conv2d", "requantise", "lut"]),
        (ng.sigmoid, 3, ["conv2d", "requantise", "lut"]),
    ],
)
def test_what_a_layer_becomes(act, shift, operators):
    x, w = ng.placeholder(ng.int8, (1, 4, 4, 2), name="x"), variable(np.ones((2, 3, 3, 2), int), ng.int8, "w")
    bias = variable([1, 2], ng.int32, "bias")
    y = ng.conv2d(x, w, (1, 1, 1, 1), bias=bias, rshift_out=shift, act_func=act, dtype=ng.int8, name="layer")
    graph = lower([y], "n").graph
    assert [node.op.name for node in graph.nodes] == operators
    assert graph.nodes[0].inputs == ("x", "w", "bias")
    assert graph.outputs == ("layer",)


def test_relu6_is_bounded_by_the_scale_of_the_layer():
    x, w = ng.placeholder(ng.int16, (1, 1, 1, 1), name="x"), variable([[[[1]]]], ng.int8, "w")
    y = ng.conv2d(x, w, (1, 1, 1, 1), act_func=ng.relu6, dtype=ng.int16)
    y.scale_factor = 9.6
    assert [ng.eval([y], x=np.full((1, 1, 1, 1), value))[0].item() for value in (-3, 59, 61)] == [0, 59, 60]


def test_shapes_given_from_outside():
    x, w = ng.placeholder(ng.int8, (4, 2), name="x"), variable([[1, 2], [3, 4]], ng.int8, "w")
    shapes = {"input_shape": (1, 2, 2, 2), "filter_shape": (2, 1, 1, 2), "out_shape": (4, 2)}
    y = ng.conv2d(x, w, (1, 1, 1, 1), dtype=ng.int16, **shapes)
    given = np.arange(8).reshape(4, 2)
    np.testing.assert_array_equal(ng.eval([y], x=given)[0], given @ w.value.T)


def test_matmul_counts_as_a_convolution():
    y = ng.matmul(ng.placeholder(ng.int8, (1, 2)), ng.variable(ng.int8, (3, 2)), transposed_b=True)
    assert isinstance(y, ng.conv2d)
    assert issubclass(ng.matmul, ng.conv2d)
    assert not isinstance(y, ng.max_pool)


def test_the_type_of_a_layer_is_the_widest_of_its_operands():
    x, w = ng.placeholder(ng.int8, (1, 2, 2, 1)), ng.variable(ng.int8, (1, 1, 1, 1))
    assert ng.conv2d(x, w, (1, 1, 1, 1)).dtype == ng.int8
    assert ng.conv2d(x, w, (1, 1, 1, 1), bias=ng.variable(ng.int32, (1,))).dtype == ng.int32
