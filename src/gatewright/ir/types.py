"""Integer and tensor types: what a value may hold, and its shape."""

import re
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from gatewright.errors import GraphError

__all__ = ["I4", "I8", "I16", "I32", "I64", "U4", "U8", "U16", "U32", "IntType", "TensorType"]


@dataclass(frozen=True)
class IntType:
    """A two's complement (`i8`) or unsigned (`u8`) integer of 1 to 64 bits."""

    width: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 64:
            raise GraphError(f"integer width must be between 1 and 64, not {self.width!r}")

    def __str__(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.width}"

    @property
    def min(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        return (1 << (self.width - 1)) - 1 if self.signed else (1 << self.width) - 1

    @cached_property
    def storage(self) -> np.dtype:
        """The smallest NumPy type that holds every value."""
        width = next(size for size in (8, 16, 32, 64) if self.width <= size)
        return np.dtype(f"{'int' if self.signed else 'uint'}{width}")

    def holds(self, low: int, high: int) -> bool:
        """Whether every value between `low` and `high` is of this type."""
        return self.min <= low and high <= self.max

    @classmethod
    def parse(cls, text: str) -> "IntType":
        match = re.fullmatch(r"([iu])([1-9][0-9]?)", text)
        if match is None:
            raise GraphError(f"integer type must be written like i8 or u8, not {text!r}")
        return cls(int(match[2]), match[1] == "i")


I4, I8, I16, I32, I64 = (IntType(width) for width in (4, 8, 16, 32, 64))
U4, U8, U16, U32 = (IntType(width, signed=False) for width in (4, 8, 16, 32))


@dataclass(frozen=True)
class TensorType:
    """A dense tensor: shape and element type. Four-dimensional activations are NHWC."""

    shape: tuple[int, ...]
    dtype: IntType

    def __post_init__(self) -> None:
        shape = tuple(int(size) for size in self.shape)
        if any(size < 1 for size in shape):
            raise GraphError(f"every dimension of a shape must be at least 1, not {shape!r}")
        object.__setattr__(self, "shape", shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @classmethod
    def parse(cls, text: str) -> "TensorType":
        match = re.fullmatch(r"(\w+)\[((?:\d+(?:,\d+)*)?)\]", text)
        if match is None:
            raise GraphError(f"tensor type must be written like i8[1,32,32,3], not {text!r}")
        return cls(tuple(int(size) for size in match[2].split(",") if size), IntType.parse(match[1]))
