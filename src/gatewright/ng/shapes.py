"""Arithmetic of shapes, axes, padding and ranges: NNgen's utility functions."""

from collections.abc import Sequence

import numpy as np

from gatewright.ng.errors import ArgumentError

__all__ = [
    "Padding",
    "aligned_size",
    "clip_threshold",
    "expect_axis",
    "expect_power_of_two",
    "join_shapes",
    "pad_size",
    "pad_size_split",
    "pix_size",
    "resolve_padding",
    "to_axis",
    "to_reduce_shape",
    "to_shape",
    "whole_numbers",
]

Padding = str | int | Sequence[int]
"""'SAME', 'VALID', one number for all four sides, or (top, bottom, left, right)."""


def to_shape(shape: object) -> tuple[int, ...]:
    """A shape from an int or a sequence of ints of at least 1."""
    if isinstance(shape, int | np.integer):
        shape = (shape,)
    if not isinstance(shape, Sequence | np.ndarray) or isinstance(shape, str):
        raise ArgumentError(f"shape must be an int, a tuple or a list, not {shape!r}")
    sizes = whole_numbers("shape", shape)
    if any(size < 1 for size in sizes):
        raise ArgumentError(f"every size of a shape must be at least 1, not {sizes!r}")
    return sizes


def whole_numbers(name: str, values: object) -> tuple[int, ...]:
    """The integers of a sequence; a fraction is refused, not cut off."""
    if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str):
        numbers = list(values)
        if all(isinstance(number, int | np.integer) or _is_whole(number) for number in numbers):
            return tuple(int(number) for number in numbers)
    raise ArgumentError(f"{name} must be a sequence of whole numbers, not {values!r}")


def _is_whole(number: object) -> bool:
    return isinstance(number, float | np.floating) and float(number).is_integer()


def join_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to: leading axes may be missing, axes of size 1 repeat."""
    try:
        return tuple(int(size) for size in np.broadcast_shapes(*shapes))
    except ValueError:
        raise ArgumentError(f"shapes must agree except in axes of size 1, not {', '.join(map(str, shapes))}") from None


def expect_axis(axis: object, rank: int) -> int:
    """An axis counted from the front."""
    if not isinstance(axis, int | np.integer) or not -rank <= axis < rank:
        raise ArgumentError(f"axis must be {-rank}..{rank - 1}, not {axis!r}")
    return int(axis) % rank


def expect_power_of_two(name: str, value: object) -> int:
    """The value itself if it is 1, 2, 4, ..."""
    if not isinstance(value, int | np.integer) or value < 1 or value & (value - 1):
        raise ArgumentError(f"{name} must be a power of 2, not {value!r}")
    return int(value)


def to_axis(axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...] | None:
    """One axis or several as a tuple, counted from the front; None stays None."""
    if axis is None:
        return None
    several = [axis] if isinstance(axis, int | np.integer) else list(axis)
    return tuple(expect_axis(each, rank) for each in several)


def to_reduce_shape(
    input_shape: Sequence[int], axis: Sequence[int] | None = None, keep_dims: bool = False
) -> tuple[int, ...]:
    """The shape after a reduction over these axes (None: all); never empty."""
    reduced = range(len(input_shape)) if axis is None else axis
    if keep_dims:
        return tuple(1 if index in reduced else size for index, size in enumerate(input_shape))
    return tuple(size for index, size in enumerate(input_shape) if index not in reduced) or (1,)


def pix_size(size: int, ksize: int, stride: int, padding: str = "SAME") -> int:
    """How many windows there are along one axis."""
    if padding == "SAME":
        return -(-size // stride)
    if padding == "VALID":
        return -(-(size - ksize + 1) // stride)
    raise ArgumentError(f"padding must be 'SAME' or 'VALID', not {padding!r}")


def pad_size(size: int, ksize: int, stride: int) -> int:
    """How many elements 'SAME' adds along one axis."""
    return max(ksize - (size % stride or stride), 0)


def pad_size_split(size: int, ksize: int, stride: int) -> tuple[int, int, int]:
    """`pad_size`, and the same in two halves, the smaller first."""
    total = pad_size(size, ksize, stride)
    return total, total // 2, total - total // 2


def resolve_padding(
    padding: Padding, sizes: tuple[int, int], ksize: tuple[int, int], strides: tuple[int, int], odd_first: bool
) -> tuple[int, int, int, int]:
    """Padding as (top, left, bottom, right).

    Where 'SAME' needs an odd number of elements, the larger half goes before the image if `odd_first` (convolutions),
    else after it (pools).
    """
    if padding == "VALID":
        return 0, 0, 0, 0
    if padding == "SAME":
        halves = [pad_size_split(*axis)[1:] for axis in zip(sizes, ksize, strides, strict=True)]
        (top, bottom), (left, right) = (half[::-1] if odd_first else half for half in halves)
        return top, left, bottom, right
    if isinstance(padding, int | np.integer):
        padding = (int(padding),) * 4
    if not isinstance(padding, list | tuple | np.ndarray) or len(padding) != 4 or min(padding) < 0:
        legal = "'SAME', 'VALID', a number, or (top, bottom, left, right), of at least 0"
        raise ArgumentError(f"padding must be {legal}, not {padding!r}")
    top, bottom, left, right = whole_numbers("padding", padding)
    return top, left, bottom, right


def clip_threshold(width: int, signed: bool, asymmetric_clip: bool = False) -> tuple[int, int]:
    """Greatest and least value of a clip to this width: symmetric for signed types unless asked otherwise."""
    if not signed:
        return (1 << width) - 1, 0
    greatest = (1 << (width - 1)) - 1
    return greatest, -greatest - 1 if asymmetric_clip else -greatest


def aligned_size(size: int, chunk_size: int) -> int:
    """Rounded up to whole chunks."""
    if not isinstance(chunk_size, int | np.integer) or chunk_size < 1:
        raise ArgumentError(f"chunk_size must be a whole number of at least 1, not {chunk_size!r}")
    return -(-size // chunk_size) * chunk_size
