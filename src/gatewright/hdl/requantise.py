"""The way from a sum to an activation: multiply, shift and round, move to the zero point, clip. One lane each.

All components are pipelines without stalls: what goes in during cycle t comes out in cycle t + `LATENCY`. `apply` is
the reference, by way of `gatewright.ir.numerics`.
"""

from typing import Any

import numpy as np
from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.pipeline import delayed
from gatewright.ir import Rounding, numerics

__all__ = [
    "CONVERSION",
    "RESULT",
    "ROUNDING_CODES",
    "Requantiser",
    "ResidualAdder",
    "ShiftRoundClip",
    "bias_width",
    "conversion_layout",
    "result_shape",
]

ROUNDING_CODES = {Rounding.FLOOR: 0, Rounding.HALF_UP: 1, Rounding.HALF_EVEN: 2, Rounding.HALF_AWAY: 3}


def result_shape(width: int) -> Shape:
    """Holds a result of `width` bits of either sign convention."""
    return signed(width + 1)


def conversion_layout(width: int) -> data.StructLayout:
    """How a quotient becomes a result of `width` bits: `clip(round(quotient) + zero, low, high)`."""
    result = result_shape(width)
    return data.StructLayout({"rounding": 2, "zero": result, "low": result, "high": result})


RESULT = result_shape(8)
"""An activation, i8 or u8."""

CONVERSION = conversion_layout(8)


def bias_width(accumulator_width: int) -> int:
    """Bits of a bias: 32 unless sums have more."""
    return 32 if accumulator_width <= 32 else 64


def _largest_left_shift(width: int) -> int:
    """Any nonzero number shifted further left is clipped all the same to a result of `width` bits."""
    return (1 << (width - 1).bit_length() + 1) - 1


def convert(value: Any, shift: Any, conversion: dict[str, Any]) -> np.ndarray:
    """Reference of `ShiftRoundClip`; `conversion` holds the fields of CONVERSION, the rounding as a `Rounding`."""
    return numerics.requantise(value, 1, shift, **conversion)


class ShiftRoundClip(wiring.Component):
    """`clip(round(value / 2^shift) + zero, low, high)` for values of `width` bits and shifts 0..63.

    The result has `result_width` bits, of either sign convention.
    """

    LATENCY = 3

    def __init__(self, width: int, result_width: int = 8) -> None:
        self.width = width
        self.quotient_width = result_width + 2  # a quotient that has more bits is clipped whatever the zero point
        super().__init__(
            {
                "value": In(signed(width)),
                "shift": In(6),
                "conversion": In(conversion_layout(result_width)),
                "result": Out(result_shape(result_width)),
            }
        )

    apply = staticmethod(convert)

    def elaborate(self, platform) -> Module:
        m = Module()
        quotient, half, rest, outside = self._divide(m)
        rounded = self._round(m, quotient, half, rest)
        below, above = (
            delayed(m, flag, 1, name)
            for flag, name in ((outside & quotient[-1], "below"), (outside & ~quotient[-1], "above"))
        )
        moved = Signal(signed(self.quotient_width + 1))
        result = Signal.like(self.result, reset_less=True)
        m.d.comb += [moved.eq(rounded + self.conversion.zero), self.result.eq(result)]
        with m.If(below | ((moved < self.conversion.low) & ~above)):
            m.d.sync += result.eq(self.conversion.low)
        with m.Elif(above | (moved > self.conversion.high)):
            m.d.sync += result.eq(self.conversion.high)
        with m.Else():
            m.d.sync += result.eq(moved)
        return m

    def _divide(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """Quotient, the first bit shifted out, whether any bit after it is set; and whether the quotient has more bits.

        The shift goes by two of its bits at a time, the high ones first: each level keeps no more than the later ones
        need, and notes what it drops at either end.
        """
        negative = self.value[-1]
        bits = Signal(self.width + 1, name="doubled")
        m.d.comb += bits.eq(self.value << 1)
        dropped_low: list[Value] = []
        dropped_high: list[Value] = []
        for low in (4, 2, 0):
            step = 1 << low
            kept = min(
                self.quotient_width + step - 1, len(bits)
            )  # the quotient without its sign, the half, what is to shift
            level = Signal(kept, name=f"shifted_by_{step}")
            lost = Signal(name=f"lost_by_{step}")
            over = Signal(name=f"over_by_{step}")
            with m.Switch(self.shift[low : low + 2]):
                for turns in range(4):
                    start = turns * step
                    end = start + kept
                    part = bits[start:end]
                    with m.Case(turns):
                        m.d.comb += [
                            level.eq(Cat(part, negative.replicate(kept - len(part)))),
                            lost.eq(bits[:start].any()),
                            over.eq((bits[end:] ^ negative.replicate(len(bits) - end)).any() if end < len(bits) else 0),
                        ]
            dropped_low.append(lost)
            dropped_high.append(over)
            bits = level
        quotient = Signal(signed(self.quotient_width), reset_less=True)
        half = Signal(reset_less=True)
        rest = Signal(reset_less=True)
        outside = Signal(reset_less=True)
        m.d.sync += [
            quotient.eq(Cat(bits[1:], negative.replicate(self.quotient_width + 1 - len(bits)))),
            half.eq(bits[0]),
            rest.eq(Cat(*dropped_low).any()),
            outside.eq(Cat(*dropped_high).any()),
        ]
        return quotient, half, rest, outside

    def _round(self, m: Module, quotient: Value, half: Value, rest: Value) -> Value:
        rounding = self.conversion.rounding
        negative = quotient[-1]
        up = Signal()
        rounded = Signal(signed(self.quotient_width + 1), reset_less=True)
        up_at_tie = Mux(rounding == ROUNDING_CODES[Rounding.HALF_EVEN], quotient[0], ~negative)
        m.d.comb += up.eq(half & (rounding != ROUNDING_CODES[Rounding.FLOOR]))
        with m.If((rounding != ROUNDING_CODES[Rounding.HALF_UP]) & ~rest & ~up_at_tie):
            m.d.comb += up.eq(0)
        m.d.sync += rounded.eq(quotient + up)
        return rounded


class Requantiser(wiring.Component):
    """`clip(round((sum + bias) · multiplier / 2^shift) + zero, low, high)`; negative sums: `shift + negative_shift`.

    The sum with its bias wraps at `accumulator_width`. Total shifts beyond 63 count as 63. With a `multiplier_width` of
    0 there is no multiplier (the port stays, unused), and a negative shift is one to the left. Results have
    `result_width` bits, of either sign convention.
    """

    LATENCY = 3 + ShiftRoundClip.LATENCY

    def __init__(self, accumulator_width: int, multiplier_width: int, result_width: int = 8) -> None:
        self.accumulator_width = accumulator_width
        self.multiplier_width = multiplier_width
        self.result_width = result_width
        self.largest_left_shift = _largest_left_shift(result_width)
        super().__init__(
            {
                "sum": In(signed(accumulator_width)),
                "bias": In(signed(bias_width(accumulator_width))),
                "multiplier": In(24),
                "shift": In(signed(8)),
                "negative_shift": In(5),
                "conversion": In(conversion_layout(result_width)),
                "result": Out(result_shape(result_width)),
            }
        )

    def apply(
        self, sum: Any, bias: Any, multiplier: Any, shift: Any, negative_shift: int, conversion: dict[str, Any]
    ) -> np.ndarray:
        total = np.asarray(sum, np.int64) + bias
        wrap = 64 - self.accumulator_width
        total = total << wrap >> wrap
        shift = np.asarray(shift, np.int64) + np.where(total < 0, negative_shift, 0)
        if self.multiplier_width == 0:
            multiplier = 1 << np.clip(-shift, 0, self.largest_left_shift).astype(object)
        return numerics.requantise(total, multiplier, np.clip(shift, 0, numerics.MAX_SHIFT), **conversion)

    def elaborate(self, platform) -> Module:
        m = Module()
        biased = Signal(signed(self.accumulator_width), reset_less=True)
        m.d.sync += biased.eq(self.sum + self.bias)
        shift = Signal(signed(10))
        m.d.comb += shift.eq(delayed(m, self.shift, 1, "shift") + Mux(biased < 0, self.negative_shift, 0))
        right = Signal(6)
        with m.If(shift > numerics.MAX_SHIFT):
            m.d.comb += right.eq(numerics.MAX_SHIFT)
        with m.Elif(shift >= 0):
            m.d.comb += right.eq(shift)
        scaled = self._shift_left(m, biased, shift) if self.multiplier_width == 0 else self._multiply(m, biased)
        m.submodules.convert = tail = ShiftRoundClip(len(scaled), self.result_width)
        m.d.comb += [
            tail.value.eq(scaled),
            tail.shift.eq(delayed(m, right, 2, "right")),
            tail.conversion.eq(self.conversion),
            self.result.eq(tail.result),
        ]
        return m

    def _multiply(self, m: Module, biased: Value) -> Value:
        """The product, registered twice, so that it fits a cascade of DSPs."""
        width = self.accumulator_width + self.multiplier_width
        factor = delayed(m, self.multiplier[: self.multiplier_width], 1, "multiplier")
        product = Signal(signed(width), reset_less=True)
        m.d.sync += product.eq(biased * factor)
        return delayed(m, product, 1, "product")

    def _shift_left(self, m: Module, biased: Value, shift: Value) -> Value:
        most = self.largest_left_shift
        left = Signal(range(most + 1))
        with m.If(shift < -most):
            m.d.comb += left.eq(most)
        with m.Elif(shift < 0):
            m.d.comb += left.eq(-shift)
        scaled = Signal(signed(self.accumulator_width + most), reset_less=True)
        m.d.sync += scaled.eq(delayed(m, biased, 1, "biased") << delayed(m, left, 1, "left"))
        return scaled


class ResidualAdder(wiring.Component):
    """`clip(round((a · multiplier_a + b · multiplier_b + bias) / 2^shift) + zero, low, high)`, one rounding.

    Operands and result have `width` bits; a and the result of either sign convention.
    """

    LATENCY = 2 + ShiftRoundClip.LATENCY

    def __init__(self, width: int = 8) -> None:
        self.width = width
        super().__init__(
            {
                "a": In(result_shape(width)),
                "b": In(signed(width)),
                "multiplier_a": In(signed(18)),
                "multiplier_b": In(signed(18)),
                "bias": In(signed(width + 20)),
                "shift": In(6),
                "conversion": In(conversion_layout(width)),
                "result": Out(result_shape(width)),
            }
        )

    @staticmethod
    def apply(
        a: Any, b: Any, multiplier_a: int, multiplier_b: int, bias: int, shift: int, conversion: dict[str, Any]
    ) -> np.ndarray:
        return convert(np.asarray(a, np.int64) * multiplier_a + np.asarray(b) * multiplier_b + bias, shift, conversion)

    def elaborate(self, platform) -> Module:
        m = Module()
        product_a = Signal(signed(self.width + 1 + 18), reset_less=True)
        product_b = Signal(signed(self.width + 18), reset_less=True)
        total = Signal(signed(self.width + 22), reset_less=True)
        m.submodules.convert = tail = ShiftRoundClip(len(total), self.width)
        m.d.sync += [
            product_a.eq(self.a * self.multiplier_a),
            product_b.eq(self.b * self.multiplier_b),
            total.eq(product_a + product_b + self.bias),
        ]
        m.d.comb += [
            tail.value.eq(total),
            tail.shift.eq(self.shift),
            tail.conversion.eq(self.conversion),
            self.result.eq(tail.result),
        ]
        return m
