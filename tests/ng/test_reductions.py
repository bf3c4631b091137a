"""Reductions against NumPy."""

import numpy as np
import pytest

import gatewright.ng as ng

AXES = [None, 3, (3,), -1, (2, 3), (3, 1, 2), (0, 1, 2, 3)]


def evaluated(make, x, dtype=ng.int8):
    y = make(ng.placeholder(dtype, x.shape, name="x"))
    (found,) = ng.eval([y], x=x)
    assert found.shape == y.shape
    return found


def reduced(function, x, axis, keep_dims):
    axis = tuple(axis) if isinstance(axis, list | tuple) else axis
    return np.atleast_1d(function(x, axis=axis, keepdims=keep_dims))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keep_dims", [False, True])
def test_sum_and_maximum(axis, keep_dims):
    x = np.random.default_rng(0).integers(-128, 128, (2, 3, 4, 5))
    total = evaluated(lambda t: ng.reduce_sum(t, axis, keep_dims, ng.int32), x)
    np.testing.assert_array_equal(total, reduced(np.sum, x, axis, keep_dims))
    largest = evaluated(lambda t: ng.reduce_max(t, axis=axis, keep_dims=keep_dims), x)
    np.testing.assert_array_equal(largest, reduced(np.max, x, axis, keep_dims))


def test_arguments_in_order():
    """The order of the arguments differs between the two."""
    x = ng.placeholder(ng.int8, (2, 3))
    assert ng.reduce_sum(x, 1, True, ng.int16, "y", 2).shape == (2, 1)
    y = ng.reduce_max(x, ng.int16, None, "y", 1, True, 2)
    assert (y.shape, y.dtype, y.name) == ((2, 1), ng.int16, "y")


@pytest.mark.parametrize(
    ("dtype", "value", "expected"), [(ng.int8, 100, 127), (ng.int8, -100, -128), (ng.uint8, 200, 255)]
)
def test_sums_saturate(dtype, value, expected):
    assert evaluated(lambda x: ng.reduce_sum(x), np.full((3,), value), dtype).tolist() == [expected]


@pytest.mark.parametrize("axis", [None, 2, (2,), -1])
@pytest.mark.parametrize("keep_dims", [False, True])
def test_index_of_the_maximum(axis, keep_dims):
    x = np.random.default_rng(1).integers(-2, 2, (2, 3, 7))  # many ties
    found = evaluated(lambda t: ng.argmax(t, axis, keep_dims), x)
    place = axis[0] if isinstance(axis, tuple) else axis
    np.testing.assert_array_equal(found, np.atleast_1d(np.argmax(x, axis=place, keepdims=keep_dims)))


def test_the_type_of_an_index_holds_it():
    """NNgen stores the lower 8 bits of an index among 1000."""
    x = np.zeros((1, 1000), int)
    x[0, 999] = 1
    assert evaluated(lambda t: ng.argmax(t, axis=1), x).tolist() == [999]
    assert ng.argmax(ng.placeholder(ng.int8, (1, 128)), axis=1).dtype == ng.int8
    assert ng.argmax(ng.placeholder(ng.int8, (1, 129)), axis=1).dtype == ng.int16


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: ng.reduce_sum(x, axis=0), r"axis must be the last axes of \(2, 3, 4\), not \(0,\)"),
        (lambda x: ng.reduce_max(x, axis=(0, 2)), r"axis must be the last axes of \(2, 3, 4\), not \(0, 2\)"),
        (lambda x: ng.reduce_sum(x, axis=3), r"axis must be -3\.\.2, not 3"),
        (lambda x: ng.argmax(x, axis=(1, 2)), r"axis of argmax must be one axis, not \(1, 2\)"),
    ],
)
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make(ng.placeholder(ng.int8, (2, 3, 4)))


def test_a_declared_index_must_fit():
    x = ng.placeholder(ng.int8, (1, 300), name="x")
    with pytest.raises(ValueError, match=r"argmax 'place': .* dtype must hold 0\.\.299, not be i8"):
        ng.eval([ng.argmax(x, axis=1, dtype=ng.int8, name="place")], x=np.zeros(x.shape, int))
