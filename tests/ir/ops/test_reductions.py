"""Maxima over the last axis, where they stand, and repetition."""

import numpy as np
import pytest

from gatewright import ir


def value(shape, dtype=ir.I8, seed=0):
    array = np.random.default_rng(seed).integers(dtype.min, dtype.max + 1, shape).astype(dtype.storage)
    return array, ir.TensorType(shape, dtype)


@pytest.mark.parametrize("shape", [(7,), (3, 1), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [ir.I8, ir.U8, ir.I4])
def test_largest_of_each_row(shape, dtype):
    x, type = value(shape, dtype)
    op = ir.ReduceMax()
    assert op.infer(type) == ir.TensorType((*shape[:-1], 1), dtype)
    result = op.evaluate(x, types=[type])
    assert result.dtype == dtype.storage
    assert result.ravel().tolist() == [max(row) for row in x.reshape(-1, shape[-1]).tolist()]


@pytest.mark.parametrize("zero", [0, -5])
def test_the_first_of_equal_values_is_found(zero):
    x = np.array([[1, 3, 3, 0], [2, 2, 2, 2], [-9, -8, -7, -7]], np.int8)
    op = ir.ArgMax(ir.I8, zero)
    assert op.infer(ir.TensorType((3, 4), ir.I8)) == ir.TensorType((3, 1), ir.I8)
    result = op.evaluate(x, types=[ir.TensorType((3, 4), ir.I8)])
    assert result.tolist() == [[1 + zero], [zero], [2 + zero]]
    assert result.dtype == np.int8


def test_indices_must_fit():
    ir.ArgMax(ir.I8).infer(ir.TensorType((1, 128), ir.I16))
    with pytest.raises(ir.GraphError, match=r"dtype must hold 0\.\.128, not be i8"):
        ir.ArgMax(ir.I8).infer(ir.TensorType((1, 129), ir.I16))


def test_repetition():
    x, type = value((1, 3, 1, 2))
    op = ir.Broadcast((2, 3, 4, 2))
    assert op.infer(type) == ir.TensorType((2, 3, 4, 2), ir.I8)
    result = op.evaluate(x, types=[type])
    assert result.flags.c_contiguous
    for index in np.ndindex(2, 3, 4, 2):
        assert result[index] == x[0, index[1], 0, index[3]]


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 2), (4,)])
def test_only_axes_of_size_1_repeat(shape):
    with pytest.raises(ir.GraphError, match=r"shape must repeat axes of size 1 of i8\[1,3\], not be"):
        ir.Broadcast(shape).infer(ir.TensorType((1, 3), ir.I8))


def test_ranges():
    b = ir.Builder("g")
    x = b.add(ir.Clip(-3, 9), b.input("x", ir.TensorType((2, 5), ir.I8)))
    largest = b.add(ir.ReduceMax(), x, name="largest")
    b.output(b.add(ir.Broadcast((2, 7)), largest, name="repeated"))
    b.output(b.add(ir.ArgMax(ir.U8, 3), x, name="place"))
    graph = b.build()
    assert [ir.value_range(graph, name) for name in ("largest", "repeated", "place")] == [(-3, 9), (-3, 9), (3, 7)]
