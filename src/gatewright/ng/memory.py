"""How a tensor lies in memory: elements of 8, 16, 32 or 64 bits, rows padded to the alignment, little-endian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright.ng.dtypes import dtype_info, int32
from gatewright.ng.errors import ArgumentError

if TYPE_CHECKING:
    from gatewright.ng.records import Numeric

__all__ = ["aligned_shape", "memory_size", "pack", "ram_width", "set_memory", "unpack", "word_alignment"]


def ram_width(dtype: dtype_info | None) -> int:
    """Bits of one element in memory: the next power of two, a byte at least."""
    width = (dtype or int32).width
    return max(8, 1 << (width - 1).bit_length())


def word_alignment(record: Numeric, maxi_datawidth: int) -> int:
    """Elements that a row is a multiple of: a word of the bus, or more where parallelism asks for it."""
    return max(-(-maxi_datawidth // ram_width(record.dtype)), record.word_alignment)


def aligned_shape(record: Numeric, maxi_datawidth: int) -> tuple[int, ...]:
    """The shape with its last axis rounded up to the alignment."""
    *rows, last = record.shape
    words = word_alignment(record, maxi_datawidth)
    return *rows, -(-last // words) * words


def memory_size(record: Numeric, maxi_datawidth: int) -> int:
    """Bytes of the aligned tensor."""
    elements = int(np.prod(aligned_shape(record, maxi_datawidth), dtype=object))
    return elements * ram_width(record.dtype) // 8


def pack(array: Any, dtype: dtype_info, alignment: int) -> np.ndarray:
    """The bytes of a tensor: rows padded with zeros to `alignment` elements."""
    array = np.asarray(array)
    if alignment < 1:
        raise ArgumentError(f"alignment must be at least 1, not {alignment!r}")
    if array.ndim == 0 or array.dtype.kind not in "biuf" or array.size == 0:
        raise ArgumentError("array must be numbers of at least one axis")
    array, bits = array.astype(np.int64), ram_width(dtype)
    if array.min() < -(1 << (bits - 1)) or array.max() >= 1 << bits:
        raise ArgumentError(f"array must fit {bits} bits, not be {array.min()}..{array.max()}")
    last = array.shape[-1]
    rows = np.pad(array.reshape(-1, last), [(0, 0), (0, -last % alignment)])
    return rows.astype(f"<i{ram_width(dtype) // 8}").reshape(-1).view(np.uint8)


def unpack(data: Any, shape: tuple[int, ...], dtype: dtype_info, alignment: int) -> np.ndarray:
    """The tensor in the bytes that `pack` made of it; more bytes may follow."""
    *outer, last = shape
    row = -(-last // alignment) * alignment
    count, size = int(np.prod(outer, dtype=np.int64)) * row, ram_width(dtype) // 8
    data = np.ascontiguousarray(np.frombuffer(bytes(data), np.uint8) if isinstance(data, bytes) else data, np.uint8)
    if data.size < count * size:
        raise ArgumentError(f"data must hold {count * size} bytes, not {data.size}")
    elements = data[: count * size].view(f"<{'i' if dtype.signed else 'u'}{size}").astype(np.int64)
    return elements.reshape(-1, row)[:, :last].reshape(shape)


def set_memory(
    mem: np.ndarray, src: Any, mem_datawidth: int, src_datawidth: int, offset: int, num_align_words: int | None = None
) -> None:
    """Write a tensor of `src_datawidth` bits an element into a memory image, as NNgen's test benches do.

    `mem` holds bytes here, whatever `mem_datawidth` says; `offset` is a byte address, `num_align_words` the elements
    that rows are aligned to.
    """
    data = pack(src, dtype_info("int", src_datawidth), num_align_words or 1)
    if not isinstance(mem, np.ndarray) or mem.dtype != np.uint8:
        raise ArgumentError("mem must be an array of numpy.uint8")
    if not 0 <= offset <= mem.size - data.size:
        raise ArgumentError(f"offset must be 0..{mem.size - data.size} for {data.size} bytes, not {offset}")
    mem[offset : offset + data.size] = data
