"""Tensors as bytes."""

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.ng import memory

DTYPES = [ng.dtype_int(width, signed) for width in (1, 2, 3, 4, 7, 8, 12, 16, 24, 32, 64) for signed in (True, False)]


def bits(array, dtype, alignment):
    """The bytes, a bit at a time."""
    width = max(8, 1 << (dtype.width - 1).bit_length())
    text = ""
    for row in np.asarray(array).reshape(-1, np.shape(array)[-1]).tolist():
        row = row + [0] * (-len(row) % alignment)
        text += "".join(format(int(value) & ((1 << width) - 1), f"0{width}b")[::-1] for value in row)
    return [int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "alignment"), [((3,), 1), ((2, 3, 5), 4), ((4, 8), 8), ((7,), 16)])
def test_bytes_are_what_they_should_be_and_come_back(dtype, shape, alignment):
    low, high = dtype.integer.min, min(dtype.integer.max, (1 << 63) - 1)
    array = np.random.default_rng(0).integers(low, high, shape, endpoint=True)
    data = memory.pack(array, dtype, alignment)
    assert data.dtype == np.uint8
    assert data.tolist() == bits(array, dtype, alignment)
    np.testing.assert_array_equal(memory.unpack(data, shape, dtype, alignment), array)
    np.testing.assert_array_equal(memory.unpack(data.tobytes() + b"rest", shape, dtype, alignment), array)


def test_too_few_bytes():
    with pytest.raises(ValueError, match="data must hold 8 bytes, not 7"):
        memory.unpack(np.zeros(7, np.uint8), (5,), ng.int8, 8)


@pytest.mark.parametrize(
    ("dtype", "shape", "request_words", "bus", "words", "aligned", "size"),
    [
        (ng.int8, (1, 32, 32, 3), 0, 32, 4, (1, 32, 32, 4), 4096),
        (ng.int8, (1, 32, 32, 3), 16, 32, 16, (1, 32, 32, 16), 16384),
        (ng.int32, (64,), 2, 32, 2, (64,), 256),
        (ng.int32, (5,), 2, 32, 2, (6,), 24),
        (ng.int4, (3, 3), 0, 32, 4, (3, 4), 12),
        (ng.int16, (10,), 0, 128, 8, (16,), 32),
        (ng.int64, (3,), 0, 32, 1, (3,), 24),
        (ng.dtype_int(12), (3,), 0, 32, 2, (4,), 8),
    ],
)
def test_alignment(dtype, shape, request_words, bus, words, aligned, size):
    tensor = ng.placeholder(dtype, shape)
    tensor.add_alignment_request(request_words)
    assert memory.word_alignment(tensor, bus) == words
    assert memory.aligned_shape(tensor, bus) == aligned
    assert memory.memory_size(tensor, bus) == size


def test_images_by_hand():
    memory_image = np.zeros(32, np.uint8)
    ng.set_memory(memory_image, [[1, -2, 3], [4, 5, -6]], 32, 8, 8, 4)
    assert memory_image[8:16].tolist() == [1, 254, 3, 0, 4, 5, 250, 0]
    ng.set_memory(memory_image, [258, 3], 32, 16, 0)
    assert memory_image[:4].tolist() == [2, 1, 3, 0]
    with pytest.raises(ValueError, match=r"offset must be 0\.\.24 for 8 bytes, not 28"):
        ng.set_memory(memory_image, [1, 2], 32, 32, 28)
    with pytest.raises(ValueError, match=r"mem must be an array of numpy\.uint8"):
        ng.set_memory([0] * 32, [1, 2], 32, 32, 0)
