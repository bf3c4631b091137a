"""Element types."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gatewright.ir import IntType
from gatewright.ng.errors import ArgumentError, NotThereError

__all__ = [
    "dtype_info",
    "dtype_int",
    "get_max_dtype",
    "int2",
    "int4",
    "int8",
    "int16",
    "int32",
    "int64",
    "max_dtype",
    "uint1",
    "uint2",
    "uint4",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


@dataclass(frozen=True, repr=False)
class dtype_info:
    """An integer type of 1 to 64 bits. `base` is "int": fixed point ("fixed", `point`) is not there yet."""

    base: str
    width: int
    point: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if self.base == "fixed":
            raise NotThereError("fixed point types are not in gatewright.ng yet")
        if self.base != "int":
            raise ArgumentError(f"base must be 'int', not {self.base!r}")
        if self.point != 0:
            raise ArgumentError(f"point of an integer type must be 0, not {self.point!r}")
        if not isinstance(self.width, int) or not 1 <= self.width <= 64:
            raise ArgumentError(f"width must be between 1 and 64, not {self.width!r}")

    def __repr__(self) -> str:
        return f"<dtype {self.to_str()}>"

    def to_str(self) -> str:
        """As in "int8" and "uint8"."""
        return f"{'' if self.signed else 'u'}{self.base}{self.width}"

    @property
    def wordsize(self) -> int:
        """Whole bytes that hold one element."""
        return -(-self.width // 8)

    @property
    def integer(self) -> IntType:
        """The graph's name for this type."""
        return IntType(self.width, bool(self.signed))


def dtype_int(width: int = 32, signed: bool = True) -> dtype_info:
    """The integer type of this width."""
    return dtype_info("int", width, 0, signed)


int64, int32, int16, int8, int4, int2 = (dtype_int(width) for width in (64, 32, 16, 8, 4, 2))
uint64, uint32, uint16, uint8, uint4, uint2, uint1 = (dtype_int(width, False) for width in (64, 32, 16, 8, 4, 2, 1))


class _Typed(Protocol):
    @property
    def dtype(self) -> dtype_info | None: ...


def get_max_dtype(*objs: _Typed) -> dtype_info | None:
    """The type of the greatest width, signed if any is; objects without a type do not count, None without any."""
    if wrong := [obj for obj in objs if not hasattr(obj, "dtype")]:
        raise ArgumentError(f"objects must be tensors of gatewright.ng, not {wrong[0]!r}")
    return max_dtype(obj.dtype for obj in objs)


def max_dtype(dtypes: Iterable[dtype_info | None]) -> dtype_info | None:
    """As `get_max_dtype`, of the types themselves."""
    known = [dtype for dtype in dtypes if dtype is not None]
    if not known:
        return None
    return dtype_int(max(dtype.width for dtype in known), any(dtype.signed for dtype in known))
