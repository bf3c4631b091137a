import numpy as np
import pytest

from gatewright import ir


@pytest.mark.parametrize(
    ("text", "low", "high", "storage"),
    [
        ("i1", -1, 0, np.int8),
        ("u1", 0, 1, np.uint8),
        ("i8", -128, 127, np.int8),
        ("u8", 0, 255, np.uint8),
        ("i9", -256, 255, np.int16),
        ("i32", -(1 << 31), (1 << 31) - 1, np.int32),
        ("u33", 0, (1 << 33) - 1, np.uint64),
        ("i64", -(1 << 63), (1 << 63) - 1, np.int64),
    ],
)
def test_integer_types(text, low, high, storage):
    dtype = ir.IntType.parse(text)
    assert (str(dtype), dtype.min, dtype.max, dtype.storage) == (text, low, high, np.dtype(storage))


@pytest.mark.parametrize("text", ["x8", "i", "i08", "8", "int8"])
def test_other_texts_are_no_types(text):
    with pytest.raises(ir.GraphError, match="integer type must be written like i8 or u8, not"):
        ir.IntType.parse(text)


@pytest.mark.parametrize("width", [0, 65])
def test_width_is_limited(width):
    with pytest.raises(ir.GraphError, match=f"integer width must be between 1 and 64, not {width}"):
        ir.IntType(width)


@pytest.mark.parametrize("text", ["i8[1,32,32,3]", "u4[7]", "i32[]"])
def test_tensor_types_print_and_parse(text):
    assert str(ir.TensorType.parse(text)) == text


def test_size_counts_elements():
    assert ir.TensorType((2, 3, 4), ir.I8).size == 24
    assert ir.TensorType((), ir.I8).size == 1


def test_dimensions_are_positive():
    with pytest.raises(ir.GraphError, match="every dimension of a shape must be at least 1"):
        ir.TensorType((1, 0), ir.I8)
