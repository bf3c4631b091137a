"""Activation functions, on their own or behind a convolution or product."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gatewright import ir
from gatewright.ir import Rounding
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Elementwise, Numeric

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["Activation", "get_leaky_relu_op", "leaky_relu", "leaky_relu_base", "relu", "relu6", "sigmoid"]

_TABLE_WIDTH = 8  # up to which a function is one table; beyond, arithmetic comes first
_GREATEST_MULTIPLIER = (1 << 31) - 1


@dataclass(eq=False, repr=False)
class Activation(Elementwise):
    """A function of each element. `act_func` of a convolution is such a class, applied to the convolution.

    `features_scale_factor` replaces the scale of the operand where the operand is a convolution whose own scale is that
    of its result.
    """

    features: Numeric

    def __post_init__(self) -> None:
        self.features_scale_factor: float | None = None
        self._elementwise(self.features)

    @property
    def factor(self) -> float:
        """The integer that stands for 1.0 in the operand."""
        return self.args[0].scale_factor if self.features_scale_factor is None else self.features_scale_factor

    @abstractmethod
    def bounds(self, low: int, high: int) -> tuple[int, int] | None:
        """The bounds that do the same to a value within low..high; None where bounds cannot."""

    def activate(self, draft: Draft, value: str) -> str:
        """Add the function to the graph, in the type of this record."""
        dtype = draft.integer(self)
        bounds = self.bounds(dtype.min, dtype.max)
        assert bounds is not None
        return draft.resized(value, dtype, *bounds)

    def lower(self, draft: Draft) -> str:
        return self.activate(draft, draft.value(self.args[0]))


@dataclass(eq=False, repr=False)
class _Simple(Activation):
    """A function without numbers of its own."""

    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1


class relu(_Simple):
    """`y = max(x, 0)`."""

    def bounds(self, low: int, high: int) -> tuple[int, int] | None:
        return max(low, 0), max(high, 0)


class relu6(relu):
    """`y = min(max(x, 0), 6 · round(scale_factor of x))`."""

    def bounds(self, low: int, high: int) -> tuple[int, int] | None:
        return max(low, 0), max(min(high, round(self.factor) * 6), 0)


class leaky_relu_base(_Simple):
    """`y = x` where x is at least 0, else `x · slope / 2^rshift`, half away from zero."""

    slope: ClassVar[int]
    rshift: ClassVar[int]

    def __post_init__(self) -> None:
        if not hasattr(self, "slope"):
            raise ArgumentError("leaky_relu_base must be given a slope: see get_leaky_relu_op")
        super().__post_init__()

    @property
    def negative_shift(self) -> int | None:
        """k where the slope is 2^-k."""
        slope, rshift = self.slope, self.rshift
        if slope <= 0 or slope & (slope - 1) or slope > 1 << rshift:
            return None
        return rshift - slope.bit_length() + 1

    def bounds(self, low: int, high: int) -> tuple[int, int] | None:
        return (max(low, 0), max(high, 0)) if self.slope == 0 else None

    def activate(self, draft: Draft, value: str) -> str:
        dtype, old = draft.integer(self), draft.builder.type_of(value).dtype
        if self.slope == 0:
            return super().activate(draft, value)
        if self.negative_shift is not None:
            op = ir.Requantise(0, dtype.min, dtype.max, Rounding.HALF_AWAY, dtype, self.negative_shift)
            return draft.add(op, value, draft.factor([1], 32, "mul"), draft.factor([0], 8, "shift"))
        exact = ir.LeakyRelu(self.slope, self.rshift, 0, 0, dtype.min, dtype.max, Rounding.HALF_AWAY, dtype)
        if old.width > _TABLE_WIDTH:
            return draft.add(exact, value)
        table = exact.evaluate(_levels(old), types=[ir.TensorType((1 << old.width,), old)])
        return draft.add(ir.Lut(dtype), value, draft.constant(table, dtype, "table"))


@cache
def get_leaky_relu_op(slope: int, rshift: int | None = None, dtype: dtype_info | None = None) -> type[leaky_relu_base]:
    """The class of leaky ReLUs with this slope; `rshift` is one less than the width of `dtype` (32) by default."""
    rshift = (31 if dtype is None else dtype.width - 1) if rshift is None else rshift
    if not isinstance(slope, int) or not isinstance(rshift, int) or not 0 <= rshift <= ir.numerics.MAX_SHIFT:
        raise ArgumentError(f"slope and rshift must be whole numbers, rshift 0..63, not {slope!r} and {rshift!r}")
    return type(f"leaky_relu_{slope}_{rshift}", (leaky_relu_base,), {"slope": slope, "rshift": rshift})


def leaky_relu(
    features: Numeric,
    slope: int,
    rshift: int | None = None,
    dtype: dtype_info | None = None,
    name: str | None = None,
    par: int = 1,
) -> leaky_relu_base:
    """A leaky ReLU of slope `slope / 2^rshift`."""
    return get_leaky_relu_op(slope, rshift, dtype)(features, dtype, name, par)


@dataclass(eq=False, repr=False)
class sigmoid(Activation):
    """`y = round(s / (1 + e^(-m · lut_clip / 2^(lut_addrwidth - 1))))` with `m = (x · mul) >> shift`.

    s is `range_rate` of the positive range of the result; m beyond the range of `lut_addrwidth` bits gives s or 0.
    `mul / 2^shift` takes the scale of x to that of m, in which 1.0 is `2^(lut_addrwidth - 1) / lut_clip`.
    """

    lut_addrwidth: int = 8
    lut_clip: float = 6.0
    range_rate: float = 0.95
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        width = self.args[0].dtype.width if self.args[0].dtype else 32
        self.lut_addrwidth = min(self.lut_addrwidth, width) if width < 8 else self.lut_addrwidth
        if not 2 <= self.lut_addrwidth < ir.MAX_LUT_WIDTH:
            raise ArgumentError(f"lut_addrwidth must be 2..{ir.MAX_LUT_WIDTH - 1}, not {self.lut_addrwidth!r}")
        for name in ("lut_clip", "range_rate"):
            number = getattr(self, name)
            if not isinstance(number, int | float) or not number > 0:
                raise ArgumentError(f"{name} must be a positive number, not {number!r}")

    @property
    def greatest(self) -> int:
        """The integer that stands for 1.0 in the result."""
        width, signed = (self.dtype.width, self.dtype.signed) if self.dtype else (32, True)
        return round(2 ** (width - signed) * self.range_rate)

    def multiplier(self) -> tuple[int, int]:
        """`mul` and `shift` as NNgen finds them: in steps of 1.414, until rounding `mul` costs at most 1 %.

        The shift is the nearest whole one to such a step: the scale of m may be off by a factor up to 2^0.5.
        """
        wanted = 2 ** (self.lut_addrwidth - 1) / self.lut_clip / self.factor
        grown = previous = min(1.0, _GREATEST_MULTIPLIER / wanted)
        while abs(round(wanted * grown) - wanted * grown) / (wanted * grown + 1e-7) > 0.01:
            previous, grown = grown, grown * 1.414
            if round(wanted * grown) > _GREATEST_MULTIPLIER:
                grown = previous
                break
        mul, shift = round(wanted * grown), round(math.log2(grown))
        if not 0 <= shift <= ir.numerics.MAX_SHIFT:
            raise ArgumentError(f"{self.title}: scale factor of x must be larger, not {self.factor!r}")
        return mul, shift

    def bounds(self, low: int, high: int) -> tuple[int, int] | None:
        return None

    def activate(self, draft: Draft, value: str) -> str:
        dtype, old = draft.integer(self), draft.builder.type_of(value).dtype
        mul, shift = self.multiplier()
        if old.width > _TABLE_WIDTH:
            edge, old = 1 << (self.lut_addrwidth - 1), ir.IntType(self.lut_addrwidth + 1)
            op = ir.Requantise(0, -edge, edge, Rounding.FLOOR, old)
            factors = draft.factor([mul], 32, "mul"), draft.factor([shift], 8, "shift")
            value = draft.add(op, value, *factors, part="place")
            mul, shift = 1, 0
        table = self._table((_levels(old).astype(np.int64) * mul) >> shift)
        return draft.add(ir.Lut(dtype), value, draft.constant(np.minimum(table, dtype.max), dtype, "table"))

    def _table(self, m: np.ndarray) -> np.ndarray:
        edge = 2 ** (self.lut_addrwidth - 1)
        inside = np.clip(m, -edge, edge)
        curve = np.around(self.greatest / (1 + np.exp(-inside * (self.lut_clip / edge)))).astype(np.int64)
        return np.where(m >= edge, self.greatest, np.where(m <= -edge, 0, curve))


def _levels(dtype: ir.IntType) -> np.ndarray:
    """Every value of a type, ascending."""
    return np.arange(dtype.min, dtype.max + 1).astype(dtype.storage)
