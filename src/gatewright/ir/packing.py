"""Integers narrower than a byte, packed into bytes: as buses, buffers and programs carry them.

Dense, least significant bits first. Four 6-bit integers take three bytes: byte k holds integer k and, above it, bits
2k and 2k + 1 of integer 3, so that each byte can be read by itself.
"""

import numpy as np

__all__ = ["group_of", "pack", "packed_bytes", "stored_width", "unpack"]

_GROUPS = {32: (1, 4), 16: (1, 2), 8: (1, 1), 6: (4, 3), 4: (2, 1), 2: (4, 1)}


def stored_width(width: int) -> int:
    """The width at which integers of up to 8 bits are packed: 2, 4, 6 or 8."""
    return (max(width, 2) + 1) // 2 * 2


def group_of(width: int) -> tuple[int, int]:
    """The least number of integers that fill whole bytes, and how many bytes."""
    return _GROUPS[width]


def packed_bytes(count: int, width: int) -> int:
    """Bytes of `count` integers of `width` bits, 2, 4, 6, 8, 16 or 32: whole groups."""
    integers, size = group_of(width)
    return -(-count // integers) * size


def pack(values: np.ndarray, width: int) -> np.ndarray:
    """Integers [.., count] as bytes [.., packed_bytes], uint8; the rest of a group is 0."""
    integers, size = group_of(width)
    *outer, count = values.shape
    groups = -(-count // integers)
    whole = np.zeros((*outer, groups * integers), np.int64)
    whole[..., :count] = values
    fields = whole.reshape(*outer, groups, integers) & ((1 << width) - 1)
    if width > 8:
        data = fields >> np.arange(0, width, 8)
    elif width == 6:
        data = fields[..., :3] | ((fields[..., 3:] >> np.array([0, 2, 4])) & 3) << 6
    else:
        data = (fields << np.arange(integers) * width).sum(axis=-1, keepdims=True)
    return data.reshape(*outer, groups * size).astype(np.uint8)


def unpack(data: np.ndarray, width: int, count: int, *, signed: bool) -> np.ndarray:
    """Inverse of `pack`: the first `count` integers, int64."""
    integers, size = group_of(width)
    *outer, length = data.shape
    raw = data.astype(np.int64).reshape(*outer, length // size, size)
    if width > 8:
        fields = (raw << np.arange(0, width, 8)).sum(axis=-1, keepdims=True)
    elif width == 6:
        last = (raw >> 6 << np.array([0, 2, 4])).sum(axis=-1, keepdims=True)
        fields = np.concatenate([raw & 63, last], axis=-1)
    else:
        fields = raw >> np.arange(integers) * width & ((1 << width) - 1)
    if signed:
        fields = fields - ((fields >> (width - 1)) << width)
    return fields.reshape(*outer, -1)[..., :count]
