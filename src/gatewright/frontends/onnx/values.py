"""What a value of the model is while it is imported.

Integers are graph values as they are. Floating-point values never exist in the graph: a `Real` remembers which integers
it comes from and what was done to them, until a QuantizeLinear says how to round the result. Each kind of real has one
method, `quantise`, that adds the operators for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View
from gatewright.ir import Clip, HostStep, IntType, Requantise, Rounding, numerics

__all__ = [
    "Bounds",
    "Constant",
    "Deferred",
    "Host",
    "Integer",
    "Origin",
    "QuantisedConstant",
    "Real",
    "Scaled",
    "Target",
    "Value",
    "add_requantise",
    "multipliers",
    "same_scale",
]

_SAME_SCALE = 2.0**-20  # relative difference below which two scales mean the same integers


@dataclass(frozen=True)
class Bounds:
    """A range that real values are clipped to."""

    low: float = -np.inf
    high: float = np.inf

    def within(self, low: float, high: float) -> Bounds:
        """These bounds, then `low` and `high`."""
        return Bounds(min(max(self.low, low), high), max(min(self.high, high), low))

    @property
    def free(self) -> bool:
        return self == Bounds()


@dataclass(frozen=True)
class Target:
    """What a real is rounded to: `clip(round(r / scale) + zero, low, high)` of type `dtype`.

    `rounding` is that of integer sums; the numbers of tables and bounds are rounded to nearest even. An `exact` target
    allows no multiplier that is off by as much as one integer.
    """

    exact: ClassVar[bool] = False

    scale: float
    zero: int
    dtype: IntType
    low: int
    high: int
    rounding: Rounding

    def code(self, real: float) -> int:
        """The integer for one real number."""
        if np.isinf(real):
            return self.high if real > 0 else self.low
        return int(self.codes(np.asarray(real)))

    def codes(self, numbers: np.ndarray) -> np.ndarray:
        """The integers for real numbers."""
        return numerics.quantise(numbers, self.scale, self.zero, self.low, self.high)

    def bounded(self, bounds: Bounds) -> Target:
        """The target for a real clipped to `bounds`: rounding is monotonic, so clipping may follow it."""
        return replace(self, low=self.code(bounds.low), high=self.code(bounds.high))

    def rescale(self, context: Context, x: Scaled, name: str) -> str:
        """Add what makes these integers of those of another scale: nothing, a Clip, a Requantise."""
        bounded, value = self.bounded(x.bounds), x.view.value
        dtype = context.type_of(value).dtype
        if not x.matches(self, dtype):
            return add_requantise(context, value, x.scale, x.zero, bounded, name)
        if bounded.low > dtype.min or bounded.high < dtype.max:
            return context.add(Clip(bounded.low, bounded.high), value, name=name)
        return value


@dataclass(frozen=True, eq=False)
class Constant:
    """A value known at import."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)


@dataclass(frozen=True, eq=False)
class QuantisedConstant:
    """A constant `integers · scale`, zero point already subtracted; `scale` has the shape of `integers`."""

    integers: np.ndarray
    scale: np.ndarray
    dtype: IntType

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.integers.shape)

    @property
    def array(self) -> np.ndarray:
        return self.integers.astype(np.float32) * self.scale.astype(np.float32)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> QuantisedConstant:
        return replace(self, integers=function(self.integers), scale=function(self.scale))


@dataclass(frozen=True, eq=False)
class Origin:
    """That an integer tensor was looked up in a table: `codes` for each value of the type of `view`, ascending."""

    view: View
    codes: np.ndarray


@dataclass(frozen=True, eq=False)
class Integer:
    """An integer tensor of the graph. `scale` and `zero` are those it was quantised with, where that is known."""

    view: View
    scale: float | None = None
    zero: int = 0
    origin: Origin | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.view.shape

    def moved_to(self, view: View) -> Integer:
        """Other integers of the same scale."""
        return replace(self, view=view, origin=None)


@dataclass(frozen=True, eq=False)
class Host:
    """A result of the host: an integer tensor of the graph and the steps after it."""

    root: Integer
    steps: tuple[HostStep, ...]
    shape: tuple[int, ...]
    dtype: str

    def then(self, step: HostStep, shape: Sequence[int] | None = None, dtype: str | None = None) -> Host:
        new_shape = self.shape if shape is None else tuple(shape)
        return Host(self.root, (*self.steps, step), new_shape, dtype or self.dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class Real(ABC):
    """A floating-point tensor; `bounds` are applied last."""

    shape: tuple[int, ...]
    bounds: Bounds = field(default_factory=Bounds)

    def bounded(self, low: float, high: float) -> Real:
        return replace(self, bounds=self.bounds.within(low, high))

    @abstractmethod
    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        """Add the operators that compute these numbers, rounded to `target`; raises `Unsupported`."""

    @property
    @abstractmethod
    def producer(self) -> str:
        """What computes these numbers, for messages."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaled(Real):
    """`(view - zero) · scale`; a scale with more than one entry belongs to the last axis in memory."""

    view: View
    scale: np.ndarray
    zero: int = 0
    table: Origin | None = None  # where the integers come from a table: its operand

    @classmethod
    def of(cls, view: View, scale: float | np.ndarray, zero: int = 0, table: Origin | None = None) -> Scaled:
        scale = np.atleast_1d(np.asarray(scale, np.float64))
        scale = scale if np.ptp(scale) else scale[:1]
        return cls(shape=view.shape, view=view, scale=scale, zero=zero, table=table)

    @property
    def producer(self) -> str:
        return "DequantizeLinear"

    @property
    def single_scale(self) -> float:
        if self.scale.size > 1:
            raise Unsupported("its operand must have one scale, not one a channel")
        return float(self.scale[0])

    def plain(self, context: Context) -> Scaled:
        """The same numbers without bounds, which become a Clip of the integers where they are integers themselves."""
        if self.bounds.free:
            return self
        scale, dtype = self.single_scale, context.type_of(self.view.value).dtype
        target = Target(scale, self.zero, dtype, dtype.min, dtype.max, Rounding.HALF_EVEN)
        for bound in (self.bounds.low, self.bounds.high):
            exact = np.isinf(bound) or abs(bound / scale - round(bound / scale)) < 1e-4
            if not exact:
                raise Unsupported(f"its operand is clipped at {bound:g}, which is no multiple of its scale {scale:g}")
        integer = self.quantise(context, target, f"{self.view.value}.clipped")
        return Scaled.of(integer.view, scale, self.zero)

    def matches(self, target: Target, dtype: IntType) -> bool:
        """Whether the integers are those of the target already."""
        same = self.scale.size == 1 and same_scale(self.scale[0], target.scale)
        return same and (self.zero, dtype) == (target.zero, target.dtype)

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        return Integer(self.view.at(target.rescale(context, self, name)), target.scale, target.zero)


@dataclass(frozen=True, eq=False, kw_only=True)
class Deferred(Real):
    """Reals whose elements are only moved or compared: they are quantised first, and `action` moves the integers."""

    sources: tuple[Real, ...]
    action: Callable[[Context, Sequence[View], Target], View]
    kind: str

    @property
    def producer(self) -> str:
        return self.kind

    def map(self, function: Callable[[Real], Any]) -> Deferred:
        """The same movement of other reals."""
        return replace(self, sources=tuple(function(source) for source in self.sources))

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        bounded = target.bounded(self.bounds)
        count = len(self.sources)
        names = [name if count == 1 else f"{name}.{index}" for index in range(count)]
        parts = [source.quantise(context, bounded, part) for source, part in zip(self.sources, names, strict=True)]
        return Integer(self.action(context, [part.view for part in parts], target), target.scale, target.zero)


Value = Constant | QuantisedConstant | Integer | Host | Real


def same_scale(a: float, b: float) -> bool:
    """Whether two scales are so close that no integer of up to 16 bits rounds differently."""
    return abs(a - b) <= _SAME_SCALE * abs(b)


def add_requantise(
    context: Context,
    value: str,
    scale: np.ndarray,
    zero: int,
    target: Target,
    name: str,
    negative_shift: int | None = None,
) -> str:
    """Add `target(scale · (value - zero))`; factors that are powers of two keep a multiplier of 1."""
    mul, shift = multipliers(context, scale / target.scale)
    op = Requantise(
        zero=target.zero,
        low=target.low,
        high=target.high,
        rounding=target.rounding,
        dtype=target.dtype,
        negative_shift=negative_shift,
        x_zero=zero,
    )
    return context.requantise(op, value, mul, shift, name)


def multipliers(context: Context, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(mul, shift)` for each factor, as the options say."""
    pairs = []
    for factor in np.atleast_1d(factors):
        try:
            mul, shift = numerics.quantise_multiplier(float(factor), context.options.multiplier_bits)
        except ValueError as error:
            raise Unsupported(f"its scales cannot be carried by a multiplier: {error}") from error
        dyadic = mul & (mul - 1) == 0
        pairs.append(numerics.reduce_multiplier(mul, shift) if dyadic else (mul, shift))
    pairs = pairs[:1] if len(set(pairs)) == 1 else pairs
    return np.array([mul for mul, _ in pairs]), np.array([shift for _, shift in pairs])
