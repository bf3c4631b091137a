"""Operators that move elements without computing."""

import numpy as np
import pytest

from gatewright import ir

X = np.arange(24, dtype=np.int8).reshape(1, 2, 3, 4)
TYPE = ir.TensorType(X.shape, ir.I8)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (ir.Reshape((2, 12)), X.reshape(2, 12)),
        (ir.Transpose((0, 3, 1, 2)), X.transpose(0, 3, 1, 2)),
        (ir.Pad(((0, 0), (1, 0), (0, 2), (0, 0)), -5), np.pad(X, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=-5)),
        (ir.Slice((0, 1, 0, 0), (1, 2, 3, 4), (1, 1, 2, 3)), X[0:1, 1:2, 0:3:2, 0:4:3]),
        (ir.Upsample((2, 3)), X.repeat(2, axis=1).repeat(3, axis=2)),
    ],
)
def test_result(op, expected):
    y = op.evaluate(X, types=[TYPE])
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == np.int8
    assert op.infer(TYPE) == ir.TensorType(expected.shape, ir.I8)


def test_concat():
    op = ir.Concat(3)
    y = op.evaluate(X, X[..., :1], types=[TYPE, ir.TensorType((1, 2, 3, 1), ir.I8)])
    np.testing.assert_array_equal(y, np.concatenate([X, X[..., :1]], axis=3))
    assert op.infer(TYPE, ir.TensorType((1, 2, 3, 1), ir.I8)).shape == (1, 2, 3, 5)


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (ir.Reshape((5, 5)), [TYPE], r"shape must have 24 elements, not 25 \(i8\[1,2,3,4\] to i8\[5,5\]\)"),
        (ir.Transpose((0, 1, 1, 2)), [TYPE], r"permutation must order the axes 0\.\.3 of .*, not \(0, 1, 1, 2\)"),
        (ir.Pad(((0, 0),)), [TYPE], r"pads must be 4 pairs \(before, after\) of at least 0"),
        (ir.Pad(((0, 1),) * 4, 128), [TYPE], "value must be within i8, not 128"),
        (ir.Slice((0,) * 4, (1, 2, 3, 5), (1,) * 4), [TYPE], r"axis 3 must have 0 <= start < stop <= 4 .*, not 0:5:1"),
        (ir.Slice((0,), (1,), (1,)), [TYPE], r"starts must have 4 entries for i8\[1,2,3,4\], not \(0,\)"),
        (ir.Upsample((0, 1)), [TYPE], r"factors must be two numbers of at least 1, not \(0, 1\)"),
        (ir.Concat(4), [TYPE, TYPE], r"axis must be 0\.\.3 for i8\[1,2,3,4\], not 4"),
        (ir.Concat(1), [TYPE, ir.TensorType((1, 2, 3, 4), ir.U8)], "operands must agree with .* except along axis 1"),
    ],
)
def test_impossible_types_are_refused(op, types, message):
    with pytest.raises(ir.GraphError, match=message):
        op.infer(*types)


def test_attributes_become_plain_tuples_and_integers():
    op = ir.Transpose([np.int64(0), np.int64(1)])
    assert op == ir.Transpose((0, 1))
    assert hash(op) == hash(ir.Transpose((0, 1)))
