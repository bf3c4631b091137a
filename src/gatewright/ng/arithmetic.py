"""Arithmetic of each element with its counterpart. Operands broadcast; results saturate at the range of their type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright import ir
from gatewright.ir import Rounding
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Elementwise, Numeric
from gatewright.ng.shapes import clip_threshold

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["add", "clip", "multiply", "rshift", "rshift_round", "scaled_add", "scaled_multiply", "sub"]


@dataclass(eq=False, repr=False)
class _Binary(Elementwise):
    """An operator of x and y."""

    x: Numeric
    y: Numeric
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        self._elementwise(self.x, self.y)


class add(_Binary):
    """`z = x + y`."""

    def lower(self, draft: Draft) -> str:
        return _sum(draft, self, (1, 1), 0, _range(draft, self))


class sub(_Binary):
    """`z = x - y`."""

    def lower(self, draft: Draft) -> str:
        return _sum(draft, self, (1, -1), 0, _range(draft, self))


class multiply(_Binary):
    """`z = x · y`."""

    def lower(self, draft: Draft) -> str:
        return _product(draft, self, 0, _range(draft, self))


class _Shifted(_Binary):
    """`x / 2^y`, y within 0..63."""

    rounding: Rounding

    def lower(self, draft: Draft) -> str:
        x, y = self.args
        dtype, amounts = draft.integer(self), draft.array(y)
        if amounts is not None and not 0 <= int(amounts.min()) <= int(amounts.max()) <= ir.numerics.MAX_SHIFT:
            raise ArgumentError(f"{self.title}: y must be 0..63, not {int(amounts.min())}..{int(amounts.max())}")
        if amounts is not None and y.shape in ((1,), self.shape[-1:]):
            op = ir.Requantise(0, dtype.min, dtype.max, self.rounding, dtype)
            factors = draft.factor([1], 32, "mul"), draft.factor(amounts, 8, "shift")
            return draft.add(op, draft.broadcast(x, self.shape, "x"), *factors)
        each = ir.Shift(0, 0, 0, dtype.min, dtype.max, self.rounding, dtype)
        return draft.add(each, draft.broadcast(x, self.shape, "x"), draft.broadcast(y, self.shape, "y"))


class rshift(_Shifted):
    """`z = x / 2^y`, towards minus infinity."""

    rounding = Rounding.FLOOR


class rshift_round(_Shifted):
    """`z = x / 2^y`, half away from zero."""

    rounding = Rounding.HALF_AWAY


@dataclass(eq=False, repr=False)
class clip(Elementwise):
    """`y = x` within the range of `dtype`; signed types symmetrically unless `asymmetric_clip`."""

    x: Numeric
    asymmetric_clip: bool = False
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        self._elementwise(self.x)

    def lower(self, draft: Draft) -> str:
        low, high = _clip(draft, self, self.asymmetric_clip)
        return draft.resized(draft.value(self.args[0]), draft.integer(self), low, high)


@dataclass(eq=False, repr=False)
class scaled_add(Elementwise):
    """`y = clip((a · a_scale + b · b_scale) >> shamt)`, towards minus infinity."""

    a: Numeric
    b: Numeric
    a_scale: int
    b_scale: int
    shamt: int
    asymmetric_clip: bool = False
    dtype: dtype_info | None = None
    sum_dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        _expect_whole(self, "a_scale", "b_scale", "shamt")
        self._elementwise(self.a, self.b)

    def lower(self, draft: Draft) -> str:
        scales = int(self.a_scale), int(self.b_scale)
        types = [draft.integer(arg) for arg in self.args]
        if self.sum_dtype is not None:
            ends = [sorted((type.min * scale, type.max * scale)) for type, scale in zip(types, scales, strict=True)]
            _expect_range(self, "sum_dtype", self.sum_dtype, ends[0][0] + ends[1][0], ends[0][1] + ends[1][1])
        return _sum(draft, self, scales, int(self.shamt), _clip(draft, self, self.asymmetric_clip))


@dataclass(eq=False, repr=False)
class scaled_multiply(Elementwise):
    """`y = clip((a · b) >> shamt)`, towards minus infinity."""

    a: Numeric
    b: Numeric
    shamt: int
    asymmetric_clip: bool = False
    dtype: dtype_info | None = None
    mul_dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        _expect_whole(self, "shamt")
        self._elementwise(self.a, self.b)

    def lower(self, draft: Draft) -> str:
        if self.mul_dtype is not None:
            a, b = (draft.integer(arg) for arg in self.args)
            products = [x * y for x in (a.min, a.max) for y in (b.min, b.max)]
            _expect_range(self, "mul_dtype", self.mul_dtype, min(products), max(products))
        return _product(draft, self, int(self.shamt), _clip(draft, self, self.asymmetric_clip))


def _sum(draft: Draft, record: Elementwise, scales: tuple[int, int], shift: int, bounds: tuple[int, int]) -> str:
    """The scaled sum of both operands, shifted towards minus infinity."""
    op = ir.Add(*scales, shift, 0, 0, 0, *bounds, Rounding.FLOOR, draft.integer(record))
    names = zip(record.args, "ab", strict=True)
    return draft.add(op, *(draft.broadcast(arg, record.shape, name) for arg, name in names))


def _product(draft: Draft, record: Elementwise, shift: int, bounds: tuple[int, int]) -> str:
    """The product of both operands, shifted towards minus infinity. One number a channel or one in all stays short."""
    op = ir.Multiply(1, shift, 0, 0, 0, *bounds, Rounding.FLOOR, draft.integer(record))
    short = ((1,), record.shape[-1:])
    a, b = record.args if record.args[1].shape in short else record.args[::-1]
    if b.shape in short:
        return draft.add(op, draft.broadcast(a, record.shape, "a"), draft.value(b))
    return draft.add(op, *(draft.broadcast(arg, record.shape, f"x{index}") for index, arg in enumerate(record.args)))


def _range(draft: Draft, record: Numeric) -> tuple[int, int]:
    dtype = draft.integer(record)
    return dtype.min, dtype.max


def _clip(draft: Draft, record: Numeric, asymmetric: bool) -> tuple[int, int]:
    """Least and greatest value of a clip."""
    dtype = draft.dtype(record)
    high, low = clip_threshold(dtype.width, dtype.signed, asymmetric)
    return low, high


def _expect_whole(record: Any, *names: str) -> None:
    """Raise `ArgumentError` unless these numbers are whole, and shifts 0..63."""
    for name in names:
        number = getattr(record, name)
        if not isinstance(number, int | np.integer):
            raise ArgumentError(f"{name} must be a whole number, not {number!r}")
        if name == "shamt" and not 0 <= number <= ir.numerics.MAX_SHIFT:
            raise ArgumentError(f"shamt must be 0..{ir.numerics.MAX_SHIFT}, not {number!r}")


def _expect_range(record: Numeric, name: str, dtype: dtype_info, low: int, high: int) -> None:
    if not dtype.integer.holds(low, high):
        raise ArgumentError(f"{record.title}: {name} must hold {low}..{high}, not be {dtype.to_str()}")
