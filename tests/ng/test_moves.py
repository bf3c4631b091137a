"""Movement against NumPy."""

import numpy as np
import pytest

import gatewright.ng as ng

X = np.random.default_rng(0).integers(-128, 128, (2, 3, 4, 5))


def result(make, **inputs):
    tensors = {name: ng.placeholder(ng.int8, array.shape, name=name) for name, array in inputs.items()}
    y = make(*tensors.values())
    (found,) = ng.eval([y], **inputs)
    assert found.shape == y.shape
    return found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda x: ng.reshape(x, (6, -1)), X.reshape(6, -1)),
        (lambda x: ng.reshape(x, [2, None, 10]), X.reshape(2, 6, 10)),
        (lambda x: ng.expand_dims(x, 0), X[None]),
        (lambda x: ng.expand_dims(x, 2), X[:, :, None]),
        (lambda x: ng.expand_dims(x, -1), X[..., None]),
        (lambda x: ng.transpose(x), X.T),
        (lambda x: ng.transpose(x, (0, 3, 1, 2)), X.transpose(0, 3, 1, 2)),
        (lambda x: ng.concat([x, x], 3), np.concatenate([X, X], 3)),
        (lambda x: ng.concat((x,), -4), X),
        (lambda x: ng.pad(x, 2), np.pad(X, [(0, 0), (2, 2), (2, 2), (0, 0)])),
        (lambda x: ng.pad(x, (0, 1, 2, 3)), np.pad(X, [(0, 0), (0, 1), (2, 3), (0, 0)])),
        (lambda x: ng.pad(x, "SAME"), X),
        (lambda x: ng.slice_(x, (0, 1, 0, 2), (2, 3, 4, 5), (1, 1, 1, 1)), X[:, 1:, :, 2:]),
        (lambda x: ng.slice_(x, [0, -2, 0, 1], [9, -1, 4, -1], [1, 1, 3, 2]), X[:, -2:-1, ::3, 1:-1:2]),
        (lambda x: ng.upsampling2d(x, (1, 2, 3, 1)), X.repeat(2, 1).repeat(3, 2)),
        (lambda x: ng.cast(x, ng.int16), X),
        (lambda x: ng.cast(x, ng.uint8), np.maximum(X, 0)),
        (lambda x: ng.cast(x, ng.int4), np.clip(X, -8, 7)),
        (lambda x: ng.transpose(x, dtype=ng.int4), np.clip(X, -8, 7).T),
        (lambda x: ng.concat([x, x], 0, dtype=ng.uint8), np.maximum(np.concatenate([X, X]), 0)),
    ],
)
def test_as_numpy(make, expected):
    np.testing.assert_array_equal(result(make, x=X), expected)


def test_a_row_is_transposed_to_a_column():
    assert result(ng.transpose, x=np.arange(3)).tolist() == [[0], [1], [2]]


def test_concatenation_of_several():
    y = X[:, :1]
    found = result(lambda x, y: ng.concat([x, y, x], 1), x=X, y=y)
    np.testing.assert_array_equal(found, np.concatenate([X, y, X], 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: ng.reshape(x, (7, -1)), r"shape must have 120 elements, not \(7, -1\)"),
        (lambda x: ng.reshape(x, (-1, -1)), r"shape must have 120 elements, not \(-1, -1\)"),
        (lambda x: ng.transpose(x, (0, 1, 2)), r"perm must order the axes 0\.\.3, not \(0, 1, 2\)"),
        (lambda x: ng.concat([x, ng.cast(x, ng.int16)], 0), "values must have the same type, not <dtype int16>"),
        (lambda x: ng.concat([x, ng.transpose(x)], 0), "values must have the same shape except along axis 0"),
        (lambda x: ng.concat([], 0), "values must be at least one tensor"),
        (lambda x: ng.concat([x], 4), r"axis must be -4\.\.3, not 4"),
        (lambda x: ng.slice_(x, (0,), (1,), (1,)), r"begins must be 4 numbers, not \(0,\)"),
        (lambda x: ng.slice_(x, (0,) * 4, (9,) * 4, (1, 1, 1, -1)), r"strides must be positive, not \(1, 1, 1, -1\)"),
        (lambda x: ng.slice_(x, (0,) * 4, (0,) * 4, (1,) * 4), "a slice must not be empty"),
        (lambda x: ng.slice_(x, (0,) * 4, (9,) * 4, (1, 1, 1, 2), par=2), "par must be 1 where the last stride is 2"),
        (lambda x: ng.pad(x, (1, 2)), "padding must be 'SAME', 'VALID', a number, or"),
        (lambda x: ng.upsampling2d(x, (2, 2, 2, 1)), r"factors must be \(1, rows, columns, 1\)"),
        (lambda x: ng.expand_dims(x, 5), r"axis must be -5\.\.4, not 5"),
    ],
)
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make(ng.placeholder(ng.int8, X.shape, name="x"))
