"""The fusion unit: 2-bit multipliers that act as one of 8 x 8, as sixteen of 2 x 2, or as what lies between."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatewright.ir.packing import stored_width, unpack
from gatewright.targets.bitfusion.operands import promoted
from gatewright.targets.bitfusion.packing import lanes_of, weight_place

__all__ = ["PAIR", "SUM_WIDTH", "BitBrick", "FusionUnit", "InputCode", "Quad", "WeightCode", "pair_word"]

SUM_WIDTH = 17
"""Bits of a unit's sum: an unsigned 8 x 8 product, or any sum of narrower ones, with a sign."""

STEP_BITS = 32
"""Most bits of inputs, and of weights, that a unit takes a step."""


class InputCode(IntEnum):
    WIDTH_8 = 0
    WIDTH_4 = 1
    WIDTH_2 = 2
    WIDTH_6 = 3


class WeightCode(IntEnum):
    WIDTH_8 = 0
    WIDTH_4 = 1
    WIDTH_2 = 2


PAIR = data.StructLayout({"input": 2, "weight": 2, "input_signed": 1, "weight_signed": 1})
"""The operand pair: `InputCode`, `WeightCode` (6-bit weights come as 8-bit ones), and which of them carry a sign."""


def pair_word(input_width: int, weight_width: int, *, input_signed: bool, weight_signed: bool) -> int:
    """A `PAIR` for operands of up to 8 bits."""
    code = InputCode[f"WIDTH_{stored_width(input_width)}"] | WeightCode[f"WIDTH_{promoted(weight_width)}"] << 2
    return code | input_signed << 4 | weight_signed << 5


class BitBrick(wiring.Component):
    """Product of two 2-bit operands, each with or without a sign: both are extended to 3 bits."""

    def __init__(self) -> None:
        super().__init__({"x": In(2), "x_signed": In(1), "y": In(2), "y_signed": In(1), "product": Out(signed(6))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, y = Signal(signed(3)), Signal(signed(3))
        m.d.comb += [
            x.eq(Cat(self.x, self.x[1] & self.x_signed)),
            y.eq(Cat(self.y, self.y[1] & self.y_signed)),
            self.product.eq(x * y),
        ]
        return m


class Quad(wiring.Component):
    """Four bricks (p, q): p says which half of an input (or which input) they take, q the same of weights.

    `x` and `y` are what the bricks share: two 4-bit operands or four 2-bit ones. `x_apart` and `y_apart` say that there
    are two different operands on the other side, so that four slices are in use instead of two. `x_shift[q][p]` and
    `y_shift` are in slices of two bits; `x_top[q][p]` and `y_top` mark slices that carry a sign.
    """

    def __init__(self) -> None:
        flags = In(1).array(2, 2)
        super().__init__(
            {
                "x": In(8),
                "y": In(8),
                "x_apart": In(1),
                "y_apart": In(1),
                "x_shift": In(2).array(2, 2),
                "y_shift": In(1),
                "x_top": flags,
                "y_top": In(1).array(2),
                "sum": Out(signed(SUM_WIDTH)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        total: Value = Const(0, signed(1))
        for p in range(2):
            for q in range(2):
                m.submodules[f"brick_{p}{q}"] = brick = BitBrick()
                m.d.comb += [
                    brick.x.eq(self.x.word_select(Mux(self.x_apart, 2 * q + p, p), 2)),
                    brick.y.eq(self.y.word_select(Mux(self.y_apart, 2 * p + q, q), 2)),
                    brick.x_signed.eq(self.x_top[q][p]),
                    brick.y_signed.eq(self.y_top[q]),
                ]
                placed = Signal(signed(10), name=f"placed_{p}{q}")
                with m.Switch(self.x_shift[q][p]):
                    with m.Case(0):
                        m.d.comb += placed.eq(brick.product)
                    with m.Case(1):
                        m.d.comb += placed.eq(brick.product << 2)
                    with m.Default():
                        m.d.comb += placed.eq(brick.product << 4)
                total = total + (Mux(self.y_shift, placed << 2, placed) if q else placed)
        m.d.comb += self.sum.eq(total)
        return m


class FusionUnit(wiring.Component):
    """Four quads and one sum: `sum` of the products of a step's `inputs` and `weights`, in the same cycle.

    `inputs` holds `lanes` bytes, `weights` what `packing.chunk_weights` puts there for a step; 6-bit inputs take two
    bytes of them: the weights of operands 0..2 of the groups, and those of operand 3. `phase` is then the place of the
    first byte in its group.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "pair": In(PAIR),
                "phase": In(2),
                "inputs": In(STEP_BITS),
                "weights": In(STEP_BITS),
                "sum": Out(signed(SUM_WIDTH)),
            }
        )

    @staticmethod
    def apply(
        inputs: Any, weights: Any, widths: tuple[int, int], signs: tuple[bool, bool], phase: int = 0
    ) -> np.ndarray:
        """Sums of steps: `inputs` and `weights` [.., 4] bytes, for (input, weight) `widths` and `signs`."""
        input_width, weight_width = stored_width(widths[0]), promoted(widths[1])
        lanes = lanes_of(weight_width)
        x = np.asarray(inputs, np.uint8)[..., :lanes]
        y = np.asarray(weights, np.uint8)
        if input_width == 6:
            return _apply_six(x, y, weight_width, signs, phase)
        count = 8 // input_width * lanes
        operands = unpack(x, input_width, count, signed=signs[0])
        fields = unpack(y, weight_width, 32 // weight_width, signed=signs[1])
        places = [weight_place(product, input_width, weight_width) for product in range(count)]
        return np.asarray((operands * fields[..., places]).sum(axis=-1))

    def elaborate(self, platform) -> Module:
        m = Module()
        pair = self.pair
        is_input = {code: pair.input == code for code in InputCode}
        is_weight = {code: pair.weight == code for code in WeightCode}
        six = is_input[InputCode.WIDTH_6]
        whole = six | is_input[InputCode.WIDTH_8]  # inputs reach over both quads p
        narrow = is_input[InputCode.WIDTH_2]
        phases = self._phases(m)
        total: Value = Const(0, signed(1))
        for p in range(2):
            for q in range(2):
                m.submodules[f"quad_{p}{q}"] = quad = Quad()
                self._route(m, quad, p, q, whole)
                m.d.comb += [
                    quad.x_apart.eq(is_weight[WeightCode.WIDTH_2]),
                    quad.y_apart.eq(narrow | (six if p else 0)),
                    quad.y_shift.eq(~is_weight[WeightCode.WIDTH_2]),
                ]
                for inner in range(2):
                    lane = self._lane(is_weight, q, inner)
                    phase = Signal(2, name=f"phase_{p}{q}{inner}")
                    m.d.comb += phase.eq(phases[lane] if isinstance(lane, int) else Array(phases)[lane])
                    m.d.comb += self._slices(quad, p, inner, phase, (six, whole, narrow))
                    m.d.comb += quad.y_top[inner].eq(pair.weight_signed & self._weight_top(is_weight, q, inner))
                shifted = Signal(signed(SUM_WIDTH), name=f"shifted_{p}{q}")
                by_input = is_input[InputCode.WIDTH_8] & p
                by_weight = is_weight[WeightCode.WIDTH_8] & q
                m.d.comb += shifted.eq(quad.sum)
                with m.If(by_input & by_weight):
                    m.d.comb += shifted.eq(quad.sum << 8)
                with m.Elif(by_input | by_weight):
                    m.d.comb += shifted.eq(quad.sum << 4)
                total = total + shifted
        m.d.comb += self.sum.eq(total)
        return m

    def _route(self, m: Module, quad: Quad, p: int, q: int, whole: Value) -> None:
        """Nibbles of the step's inputs and weights that a quad takes."""
        x, y = (value.as_unsigned() for value in (self.inputs, self.weights))

        def nibbles(value: Value, low: int, high: int) -> Value:
            return Cat(value.word_select(low, 4), value.word_select(high, 4))

        with m.Switch(self.pair.weight):
            with m.Case(WeightCode.WIDTH_8):
                m.d.comb += quad.x.eq(x.word_select(p, 4))
            with m.Case(WeightCode.WIDTH_4):
                m.d.comb += quad.x.eq(x.word_select(2 * q + p, 4))
            with m.Default():
                apart, together = nibbles(x, 4 * q + p, 4 * q + 2 + p), x.word_select(2 * q + p, 8)
                m.d.comb += quad.x.eq(Mux(whole, apart, together))
        with m.Switch(self.pair.input):
            with m.Case(InputCode.WIDTH_8):
                m.d.comb += quad.y.eq(y.word_select(q, 4))
            with m.Case(InputCode.WIDTH_6):
                m.d.comb += quad.y.eq(nibbles(y, q, 2 + q))
            with m.Case(InputCode.WIDTH_4):
                m.d.comb += quad.y.eq(y.word_select(2 * p + q, 4))
            with m.Default():
                apart, together = nibbles(y, 4 * p + q, 4 * p + 2 + q), y.word_select(2 * p + q, 8)
                m.d.comb += quad.y.eq(Mux(self.pair.weight == WeightCode.WIDTH_8, apart, together))

    def _phases(self, m: Module) -> list[Value]:
        """Phase of each lane: consecutive bytes of groups of three."""
        phases = []
        for lane in range(4):
            phase = Signal(2, name=f"lane_phase_{lane}")
            with m.Switch(self.phase):
                for first in range(3):
                    with m.Case(first):
                        m.d.comb += phase.eq((first + lane) % 3)
            phases.append(phase)
        return phases

    @staticmethod
    def _lane(is_weight: dict[WeightCode, Value], q: int, inner: int) -> Value | int:
        """Which byte of the inputs a brick column's weights belong to."""
        narrow = Mux(is_weight[WeightCode.WIDTH_2], 2 * q + inner, q)
        return Mux(is_weight[WeightCode.WIDTH_8], 0, narrow)

    def _slices(self, quad: Quad, p: int, inner: int, phase: Value, kind: tuple[Value, Value, Value]) -> list[Any]:
        """Shift and sign of the input slices of bricks (0, inner) and (1, inner) of a quad."""
        six, whole, narrow = kind
        sign = self.pair.input_signed
        low, high = quad.x_shift[inner]
        low_top, high_top = quad.x_top[inner]
        if p == 0:
            return [
                low.eq(0),
                high.eq(~narrow),
                low_top.eq(sign & narrow),
                high_top.eq(sign & ~whole),
            ]
        return [
            low.eq(Mux(six, 2, 0)),
            high.eq(Mux(six, phase, ~narrow)),
            low_top.eq(sign & (narrow | six)),
            high_top.eq(sign & Mux(six, phase == 2, 1)),
        ]

    @staticmethod
    def _weight_top(is_weight: dict[WeightCode, Value], q: int, inner: int) -> Value:
        """Whether weight slice `inner` of a quad is the top one of its operand."""
        top_of_four = is_weight[WeightCode.WIDTH_4] & inner
        top_of_eight = is_weight[WeightCode.WIDTH_8] & (inner & q)
        return is_weight[WeightCode.WIDTH_2] | top_of_four | top_of_eight


def _apply_six(x: np.ndarray, y: np.ndarray, weight_width: int, signs: tuple[bool, bool], phase: int) -> np.ndarray:
    """Steps of 6-bit inputs: a whole operand and a slice of another one in each byte."""
    lanes = x.shape[-1]
    first, fourth = (unpack(y[..., place : place + 1], weight_width, lanes, signed=signs[1]) for place in range(2))
    phases = (phase + np.arange(lanes)) % 3
    whole, piece = x.astype(np.int64) & 63, x.astype(np.int64) >> 6
    if signs[0]:
        whole = whole - (whole >> 5 << 6)
        piece = np.where(phases == 2, piece - (piece >> 1 << 2), piece)
    return np.asarray((whole * first + (piece << 2 * phases) * fourth).sum(axis=-1))
