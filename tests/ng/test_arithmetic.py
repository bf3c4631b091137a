"""Element-wise operators against their formulas in Python's integers, over shapes that broadcast."""

import math
import operator
from fractions import Fraction

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.ng.evaluation import lower

SHAPES = [
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (1,)),
    ((2, 1, 4), (2, 3, 1)),
    ((3, 1), (2, 3, 4)),
    ((4,), (4,)),
]


def half_away(x):
    return int(math.copysign(math.floor(abs(x) + Fraction(1, 2)), x))


FORMULAS = {
    "add": operator.add,
    "sub": operator.sub,
    "multiply": operator.mul,
    "rshift": lambda x, y: x >> y,
    "rshift_round": lambda x, y: half_away(Fraction(x, 1 << y)),
}


def saturated(values, dtype, symmetric=False):
    low, high = dtype.integer.min, dtype.integer.max
    return np.clip(values, -high if symmetric and dtype.signed else low, high)


def pairs(formula, x, y):
    """The formula for each pair of broadcast elements."""
    return np.vectorize(lambda a, b: int(formula(int(a), int(b))), otypes=[object])(*np.broadcast_arrays(x, y))


def operands(name, shapes, dtype, seed):
    random = np.random.default_rng(seed)
    low, high = dtype.integer.min, dtype.integer.max + 1
    x, y = (random.integers(low, high, shape) for shape in shapes)
    return x, random.integers(0, 20, shapes[1]) if name.startswith("rshift") else y


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [ng.int8, ng.uint8, ng.int16])
def test_two_inputs(name, shapes, dtype):
    x, y = operands(name, shapes, dtype, len(shapes[1]))
    z = getattr(ng, name)(ng.placeholder(dtype, shapes[0], name="x"), ng.placeholder(dtype, shapes[1], name="y"))
    (found,) = ng.eval([z], x=x, y=y)
    assert (z.shape, z.dtype) == (found.shape, dtype)
    np.testing.assert_array_equal(found, saturated(pairs(FORMULAS[name], x, y), dtype))


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize(
    ("name", "order"), [*((name, 0) for name in FORMULAS), *((name, 1) for name in ("add", "sub", "multiply"))]
)
def test_input_and_constant(name, shapes, order):
    values = operands(name, shapes, ng.int16, 7)
    tensors = [ng.placeholder(ng.int16, values[0].shape, name="x"), ng.constant(values[1], ng.int16)]
    z = getattr(ng, name)(*tensors[:: -1 if order else 1], dtype=ng.int32)
    (found,) = ng.eval([z], x=values[0])
    np.testing.assert_array_equal(found, pairs(FORMULAS[name], *values[:: -1 if order else 1]))


def test_one_number_a_channel_is_not_repeated_for_products_and_shifts():
    x, c = ng.placeholder(ng.int8, (2, 3, 4), name="x"), ng.constant([1, 2, 3, 4], ng.int8, name="c")
    graph = lower([ng.multiply(x, c), ng.multiply(c, x), ng.rshift(x, c), ng.add(x, c)], "n").graph
    assert max(constant.array.size for constant in graph.constants if constant.name != "add0.b") == 4


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("result", [ng.int8, ng.uint8])
def test_scaled_add(shapes, asymmetric, result):
    a, b = operands("add", shapes, ng.int8, 3)
    tensors = [ng.placeholder(ng.int8, shape, name=name) for shape, name in zip(shapes, "ab", strict=True)]
    z = ng.scaled_add(*tensors, 37, -21, 5, asymmetric_clip=asymmetric, dtype=result, sum_dtype=ng.int16)
    expected = pairs(lambda x, y: (x * 37 - y * 21) >> 5, a, b)
    np.testing.assert_array_equal(ng.eval([z], a=a, b=b)[0], saturated(expected, result, not asymmetric))


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("result", [ng.int8, ng.uint8, ng.int4])
def test_scaled_multiply(shapes, asymmetric, result):
    a, b = operands("multiply", shapes, ng.int8, 4)
    tensors = [ng.placeholder(ng.int8, shape, name=name) for shape, name in zip(shapes, "ab", strict=True)]
    z = ng.scaled_multiply(*tensors, 6, asymmetric_clip=asymmetric, dtype=result, mul_dtype=ng.int16)
    expected = pairs(lambda x, y: (x * y) >> 6, a, b)
    np.testing.assert_array_equal(ng.eval([z], a=a, b=b)[0], saturated(expected, result, not asymmetric))


@pytest.mark.parametrize(("source", "result"), [(ng.int16, ng.int8), (ng.int16, ng.uint4), (ng.int8, ng.int8)])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_clip(source, result, asymmetric):
    x = np.arange(source.integer.min, source.integer.max + 1)
    y = ng.clip(ng.placeholder(source, x.shape, name="x"), asymmetric, result)
    np.testing.assert_array_equal(ng.eval([y], x=x)[0], saturated(x, result, not asymmetric))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: ng.add(x, 3), "operands of add must be tensors of gatewright.ng, not 3"),
        (lambda x, y: ng.add(x, y), r"shapes must agree except in axes of size 1, not \(2, 3\), \(2,\)"),
        (lambda x, y: ng.add(x, x, dtype="int8"), "dtype must be a type such as ng.int8, not 'int8'"),
        (lambda x, y: ng.add(x, x, par=3), "par must be a power of 2, not 3"),
        (lambda x, y: ng.scaled_add(x, x, 1.5, 1, 2), "a_scale must be a whole number, not 1.5"),
        (lambda x, y: ng.scaled_multiply(x, x, -1), r"shamt must be 0\.\.63, not -1"),
    ],
)
def test_arguments(make, message):
    x, y = ng.placeholder(ng.int8, (2, 3), name="x"), ng.placeholder(ng.int8, (2,), name="y")
    with pytest.raises(ValueError, match=message):
        make(x, y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: ng.rshift(x, ng.constant([-1], ng.int8), name="z"), r"rshift 'z': y must be 0\.\.63, not -1\.\.-1"),
        (
            lambda x: ng.scaled_add(x, x, 300, 1, 2, sum_dtype=ng.int16, name="z"),
            r"scaled_add 'z': sum_dtype must hold -38528\.\.38227, not be int16",
        ),
        (
            lambda x: ng.scaled_multiply(x, x, 2, mul_dtype=ng.int8),
            r"unnamed scaled_multiply: mul_dtype must hold -16256\.\.16384, not be int8",
        ),
    ],
)
def test_what_a_graph_cannot_mean(make, message):
    with pytest.raises(ValueError, match=message):
        ng.eval([make(ng.placeholder(ng.int8, (2, 3), name="x"))], x=np.zeros((2, 3), int))
