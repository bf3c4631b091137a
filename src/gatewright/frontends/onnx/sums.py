"""Reals made of several integers, or of none yet: sums, means, functions of one integer, and floating-point inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.exact import MOST_VALUES, ExactTarget, first_exact
from gatewright.frontends.onnx.layout import View, port_order
from gatewright.frontends.onnx.values import Bounds, Integer, Origin, Real, Scaled, Target
from gatewright.ir import Add, AveragePool, Clip, HostStep, IntType, Lut, Port, TensorType, numerics
from gatewright.ir.ops.lut import MAX_LUT_WIDTH

__all__ = ["FloatInput", "Mean", "Sum", "Table", "Window"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(Real):
    """`a + sign · b`, two activations of one shape, each with a scale of its own; one rounding."""

    a: Scaled
    b: Scaled
    sign: int = 1

    @property
    def producer(self) -> str:
        return "Add" if self.sign > 0 else "Sub"

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        bounded = target.bounded(self.bounds)
        factors = (self.a.single_scale / target.scale, self.sign * self.b.single_scale / target.scale)
        bits = min(context.options.multiplier_bits, context.options.add_bits)
        if isinstance(bounded, ExactTarget):
            bits = self._exact_width(context, bounded, factors, bits, name)
        (mul_a, mul_b), shift = _together(bits, factors)
        a, b, axes = _aligned(context, self.a.view, self.b.view)
        op = Add(
            mul_a=mul_a,
            mul_b=mul_b,
            shift=shift,
            a_zero=self.a.zero,
            b_zero=self.b.zero,
            zero=target.zero,
            low=bounded.low,
            high=bounded.high,
            rounding=target.rounding,
            dtype=target.dtype,
        )
        value = context.add(op, a, b, name=name)
        view = self.a.view.at(value) if axes is None else View.of(value, self.shape, axes)
        return Integer(view, target.scale, target.zero)

    def _exact_width(
        self, context: Context, target: ExactTarget, factors: tuple[float, float], most: int, name: str
    ) -> int:
        """The least width of multipliers that gives every sum of two integers its code."""
        types = [context.type_of(one.view.value).dtype for one in (self.a, self.b)]
        if 1 << sum(dtype.width for dtype in types) > MOST_VALUES:
            raise Unsupported(f"its operands must have at most {MOST_VALUES.bit_length() - 1} bits together")
        a, b = (np.arange(dtype.min, dtype.max + 1) for dtype in types)
        a, b = a[:, None] - self.a.zero, b[None, :] - self.b.zero
        reals = a * self.a.single_scale + self.sign * (b * self.b.single_scale)
        wanted = target.codes(reals.clip(self.bounds.low, self.bounds.high))
        ends = (0, 0, target.zero, target.low, target.high, target.rounding)

        def alike(bits: int) -> bool:
            (mul_a, mul_b), shift = _together(bits, factors)
            return bool((numerics.rescaled_add(a, b, mul_a, mul_b, shift, *ends) == wanted).all())

        return first_exact(context, alike, most, name)


@dataclass(frozen=True)
class Window:
    """A pooling window over height and width; `include_pad` divides by the kernel's size at the borders too."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    include_pad: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Real):
    """The mean of each window of `x`, stored [N, H, W, C] once its tensor is transposed by `axes`."""

    x: Scaled
    axes: tuple[int, ...]
    window: Window

    @property
    def producer(self) -> str:
        return "AveragePool"

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        bounded = target.bounded(self.bounds)
        value = context.materialise(self.x.view, self.axes)
        op = AveragePool(
            kernel=self.window.kernel,
            strides=self.window.strides,
            pads=self.window.pads,
            x_zero=self.x.zero,
            multipliers=(),
            shift=0,
            zero=target.zero,
            low=bounded.low,
            high=bounded.high,
            rounding=target.rounding,
            dtype=target.dtype,
            count_include_pad=self.window.include_pad,
        )
        divisors = np.unique(op.divisors(context.type_of(value))).tolist()
        factors = [self.x.single_scale / target.scale / divisor for divisor in divisors]
        bits = context.options.multiplier_bits
        if isinstance(bounded, ExactTarget):
            bits = self._exact_width(context, bounded, divisors, factors, name)
        muls, shift = _together(bits, factors)
        op = replace(op, multipliers=tuple(zip(divisors, muls, strict=True)), shift=shift)
        result = context.add(op, value, name=name)
        stored = context.type_of(result).shape
        pooled = View.of(result, [stored[axis] for axis in np.argsort(self.axes)], self.axes)
        return Integer(context.reshape(pooled, self.shape), target.scale, target.zero)

    def _exact_width(
        self, context: Context, target: ExactTarget, divisors: Sequence[int], factors: Sequence[float], name: str
    ) -> int:
        """The least width of multipliers that gives every sum of a window its code."""
        dtype = context.type_of(self.x.view.value).dtype
        if max(divisors) << dtype.width > MOST_VALUES:
            raise Unsupported(f"its operand must have fewer bits than {dtype}, or the window fewer pixels")
        every = [np.arange(n * (dtype.min - self.x.zero), n * (dtype.max - self.x.zero) + 1) for n in divisors]
        bounds = self.bounds
        means = [sums * self.x.single_scale / n for sums, n in zip(every, divisors, strict=True)]
        wanted = [target.codes(mean.clip(bounds.low, bounds.high)) for mean in means]
        ends = (target.zero, target.low, target.high, target.rounding)

        def alike(bits: int) -> bool:
            muls, shift = _together(bits, factors)
            found = [numerics.requantise(sums, mul, shift, *ends) for sums, mul in zip(every, muls, strict=True)]
            return all((one == codes).all() for one, codes in zip(found, wanted, strict=True))

        return first_exact(context, alike, context.options.multiplier_bits, name)


@dataclass(frozen=True, eq=False, kw_only=True)
class Table(Real):
    """A function of one integer: the real number for each value of the view's type, ascending from its minimum.

    `source` and `step` say how the host computes the same at the end of the network, where it can.
    """

    view: View
    numbers: np.ndarray
    kind: str
    source: Scaled | None = None
    step: HostStep | None = None

    @property
    def producer(self) -> str:
        return self.kind

    @classmethod
    def of(cls, context: Context, x: Scaled, first: bool = False) -> "Table":
        """The numbers a scaled integer stands for, in float32 as DequantizeLinear computes them.

        With `first`, integers that come from a table are traced back to the operand of that table.
        """
        view = x.table.view if first and x.table is not None else x.view
        dtype = context.type_of(view.value).dtype
        if dtype.width > MAX_LUT_WIDTH:
            raise Unsupported(f"its operand must have at most {MAX_LUT_WIDTH} bits for a table, not {dtype}")
        codes = x.table.codes if first and x.table is not None else np.arange(dtype.min, dtype.max + 1)
        numbers = numerics.dequantise(codes, x.single_scale, x.zero).clip(x.bounds.low, x.bounds.high)
        numbers = numbers.astype(np.float32)
        return cls(shape=x.shape, view=view, numbers=numbers, kind="DequantizeLinear")

    def tabulated(self) -> "Table":
        """The same function with its bounds in the numbers."""
        numbers = self.numbers.clip(self.bounds.low, self.bounds.high).astype(np.float32)
        return replace(self, numbers=numbers, bounds=Bounds(), source=None, step=None)

    def on_host(self, source: Scaled, step: HostStep) -> "Table":
        """The same function, with how the host computes it."""
        return replace(self, source=source, step=step)

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        numbers = self.tabulated().numbers
        if np.isnan(numbers).any():
            raise Unsupported(f"{self.kind} must give a number for every value of its operand, not NaN")
        codes = target.codes(numbers)
        value = self._look_up(context, codes, target, name)
        return Integer(self.view.at(value), target.scale, target.zero, Origin(self.view, codes))

    def _look_up(self, context: Context, codes: np.ndarray, target: Target, name: str) -> str:
        value = self.view.value
        dtype = context.type_of(value).dtype
        low, high = int(codes.min()), int(codes.max())
        if dtype == target.dtype and (codes == np.arange(dtype.min, dtype.max + 1).clip(low, high)).all():
            return value if (low, high) == (dtype.min, dtype.max) else context.add(Clip(low, high), value, name=name)
        return context.add(Lut(target.dtype), value, context.constant(codes, target.dtype, f"{name}.table"), name=name)


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatInput(Real):
    """`x · factor + offset` for a floating-point input x of the model: the host quantises it."""

    name: str
    axes: tuple[int, ...]
    model_dtype: str
    factor: float = 1.0
    offset: float = 0.0

    @property
    def producer(self) -> str:
        return "input"

    def affine(self, factor: float, offset: float) -> "FloatInput":
        """The input times `factor` plus `offset`."""
        return replace(self, factor=self.factor * factor, offset=self.offset * factor + offset)

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        bounded = target.bounded(self.bounds)
        if isinstance(bounded, ExactTarget):
            return self._quantise_exactly(context, bounded)
        scale, steps = target.scale / self.factor, self.offset / target.scale
        if abs(steps - round(steps)) > 1e-4:
            raise Unsupported(f"the offset {self.offset:g} must be a whole number of steps of {target.scale:g}")
        value = self._input(context, target.dtype, scale, target.zero + round(steps))
        if bounded.low > target.dtype.min or bounded.high < target.dtype.max:
            value = context.add(Clip(bounded.low, bounded.high), value, name=name)
        return Integer(View.of(value, self.shape, self.axes), target.scale, target.zero)

    def _quantise_exactly(self, context: Context, target: ExactTarget) -> Integer:
        """The host does to the input what the model does, and quantises; nothing is left to the machine."""
        if target.mode != "ROUND":
            raise Unsupported(f"the rounding_mode of a model input must be ROUND, not {target.mode}")
        head = [] if (self.factor, self.offset) == (1.0, 0.0) else [HostStep.affine([self.factor], [self.offset])]
        head += [HostStep("sign")] if target.bipolar else []
        bounds = {"low": target.low, "high": target.high}
        value = self._input(context, target.dtype, target.scale, target.zero, head=tuple(head), **bounds)
        return Integer(View.of(value, self.shape, self.axes), target.scale, target.zero)

    def _input(self, context: Context, dtype: IntType, scale: float, zero: int, **port: Any) -> str:
        """The graph's input; `port` says what else the host does."""
        stored = TensorType(tuple(self.shape[axis] for axis in self.axes), dtype)
        order = port_order(self.axes)
        model = Port(self.name, self.model_dtype, self.shape, order, scale, zero, zero, **port)
        return context.input(self.name, stored, model)


def _together(bits: int, factors: Sequence[float]) -> tuple[tuple[int, ...], int]:
    try:
        muls, shift = numerics.quantise_multipliers_together(factors, bits)
    except ValueError as error:
        raise Unsupported(f"its scales cannot be carried by a multiplier: {error}") from error
    while shift and not any(mul & 1 for mul in muls):
        muls, shift = tuple(mul >> 1 for mul in muls), shift - 1
    return muls, shift


def _aligned(context: Context, a: View, b: View) -> tuple[str, str, tuple[int, ...] | None]:
    """Two values of one type with the elements of a and b side by side, and the order of axes (None: that of a)."""
    if a.factors == b.factors and context.type_of(a.value).shape == context.type_of(b.value).shape:
        return a.value, b.value, None
    axes = a.permutation() or tuple(range(len(a.shape)))
    return context.materialise(a, axes), context.materialise(b, axes), axes
