"""The conformance cases at other operand widths: the same graphs with narrower activations and weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.conformance.cases import U8, Maker

from gatewright import ir

__all__ = ["NarrowMaker"]


class NarrowMaker(Maker):
    """Builds a case whose activations and weights have these widths, weights with or without a sign."""

    def __init__(self, name: str, widths: tuple[int, int], *, dyadic: bool = False, unsigned: bool = False) -> None:
        super().__init__(name, dyadic=dyadic, seed=sum(widths))
        self.activation = ir.IntType(widths[0])
        self.weight = ir.IntType(widths[1], signed=not unsigned)
        self.accumulator = ir.I64 if max(widths) > 8 else ir.I32

    def input(self, *shape: int, name: str = "x") -> str:
        return self.builder.input(name, ir.TensorType(shape, self.activation))

    def _weights(self, shape: tuple[int, ...]) -> str:
        """Of mean 0 where they have a sign, extremes among them, so that sums do not all end at a bound."""
        low, high = (-self.weight.max, self.weight.max) if self.weight.signed else (0, self.weight.max)
        values = self.random.integers(low, high + 1, shape)
        values.reshape(-1)[:: max(values.size // 3, 2)] = self.weight.min
        return self.builder.constant(values, self.weight)

    def _clip(self, value: int) -> int:
        return int(np.clip(value, self.activation.min, self.activation.max))

    def conv(self, x, filters, kernel, *, bias=True, groups=1, **attributes) -> str:
        channels = self.shape(x)[3] // groups
        attributes["x_zero"] = self._clip(attributes.get("x_zero", 0))
        operands = [x, self._weights((filters, *kernel, channels))]
        if bias:
            operands.append(self.builder.constant(self.random.integers(-50, 50, filters), ir.I32))
        return self.builder.add(ir.Conv2d(groups=groups, accumulator=self.accumulator, **attributes), *operands)

    def requantise(
        self,
        value,
        *,
        depth,
        per_channel=True,
        rounding=ir.Rounding.HALF_EVEN,
        zero=0,
        low=0,
        high=0,
        negative_shift=None,
    ) -> str:
        count = self.shape(value)[-1] if per_channel else 1
        size = 2.0 ** (self.activation.width + self.weight.width - 2) / 3 * np.sqrt(depth)
        spread = max(int(np.log2(size / (2.0 ** (self.activation.width - 1) / 2.5))), 0)
        if self.dyadic:
            mul, shift = np.ones(count, np.int64), self.random.integers(spread, spread + 2, count)
        else:
            mul = self.random.integers(1 << 16, 1 << 17, count)
            shift = self.random.integers(spread + 16, spread + 18, count)
        kind = self.activation
        op = ir.Requantise(self._clip(zero), kind.min, kind.max, rounding, kind, negative_shift)
        return self.builder.add(op, value, self.builder.constant(mul, ir.U32), self.builder.constant(shift, U8))

    def product(self, x: str, features: int) -> str:
        depth = self.shape(x)[-1]
        sums = self.builder.add(
            ir.MatMul(x_zero=self._clip(4), accumulator=self.accumulator), x, self._weights((features, depth))
        )
        return self.requantise(sums, depth=depth)

    def op(self, op: ir.Operator, *values: str) -> str:
        kind = self.activation
        if isinstance(op, ir.Pad):
            op = replace(op, value=self._clip(op.value))
        if isinstance(op, ir.Clip):
            op = ir.Clip(self._clip(op.low), self._clip(op.high))
        if isinstance(op, ir.Requantise):
            op = replace(op, zero=0, low=kind.min, high=kind.max, dtype=kind, x_zero=self._clip(op.x_zero))
        return super().op(op, *values)

    def add(self, a: str, b: str, *, subtract: bool = False, rounding: ir.Rounding = ir.Rounding.HALF_EVEN) -> str:
        mul_a, mul_b = (int(value) for value in self.random.integers(1 << 14, 1 << 17, 2))
        kind = self.activation
        sign = -1 if subtract else 1
        op = ir.Add(mul_a, sign * mul_b, 17, self._clip(-3), 1, 0, kind.min, kind.max, rounding, kind)
        return self.builder.add(op, a, b)

    def average(self, x, kernel, strides, pads=(0,) * 4) -> str:
        taps = kernel[0] * kernel[1]
        counts = {n: 1 if self.dyadic else round((1 << 16) / n) for n in range(1, taps + 1)}
        shift = int(np.log2(taps)) if self.dyadic else 16
        kind = self.activation
        bounds = (shift, 0, kind.min, kind.max, ir.Rounding.HALF_EVEN, kind)
        return self.builder.add(ir.AveragePool(kernel, strides, pads, 0, tuple(counts.items()), *bounds), x)
