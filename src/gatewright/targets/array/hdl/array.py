"""The output-stationary array: activations move right, weights move down, sums stay where they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl import emit_verilog
from gatewright.hdl.bits import choose
from gatewright.hdl.netlist import one_of_many
from gatewright.hdl.pipeline import delayed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.timing import CHOICE, choice_registers

__all__ = ["TAP", "Array", "ArrayParameters", "ProcessingElement", "emit_core"]

TAP = data.StructLayout({"valid": 1, "first": 1, "last": 1})
"""What an element does with the operands that come with it: nothing, start a sum, end one (`last` implies `valid`)."""


@dataclass(frozen=True)
class ArrayParameters:
    rows: int
    columns: int
    activation_width: int = 8
    weight_width: int = 8
    accumulator_width: int = 32
    preload: bool = False
    """Sums start from what the result registers hold, not from 0, and these can be written."""
    registers: int = 0
    """Registers on the way of a result to its column's output, each after a choice of up to `CHOICE` rows."""

    @classmethod
    def of(cls, config: ArrayConfig, *, preload: bool = False) -> "ArrayParameters":
        names = ("rows", "columns", "activation_width", "weight_width", "accumulator_width")
        registers = choice_registers(config.rows, 1 if preload else config.lane_groups)
        return cls(**{name: getattr(config, name) for name in names}, preload=preload, registers=registers)


class ProcessingElement(wiring.Component):
    """Multiplies, accumulates, and passes its operands on, one cycle later.

    The last product of a sum moves the sum to the result register, where it stays until the next one comes. The next
    sum may start in the cycle after the last one ended. With preloading, `load` puts `start` there instead.
    """

    def __init__(self, parameters: ArrayParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "tap_i": In(TAP),
                "activation_i": In(signed(p.activation_width)),
                "weight_i": In(signed(p.weight_width)),
                "tap_o": Out(TAP),
                "activation_o": Out(signed(p.activation_width)),
                "weight_o": Out(signed(p.weight_width)),
                "result": Out(signed(p.accumulator_width)),
            }
            | ({"load": In(1), "start": In(signed(p.accumulator_width))} if p.preload else {})
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        p = self.parameters
        # Operands, product and sum are registers of their own: the three stages of a DSP.
        tap = Signal(TAP, reset_less=True)
        activation = Signal(signed(p.activation_width), reset_less=True)
        weight = Signal(signed(p.weight_width), reset_less=True)
        sum = Signal(signed(p.accumulator_width), reset_less=True)
        result = Signal(signed(p.accumulator_width), reset_less=True)
        m.d.comb += [
            self.tap_o.eq(tap),
            self.activation_o.eq(activation),
            self.weight_o.eq(weight),
            self.result.eq(result),
        ]
        m.d.sync += [tap.eq(self.tap_i), activation.eq(self.activation_i), weight.eq(self.weight_i)]
        product = delayed(m, self._multiply(m, activation, weight), 1, "product")
        tap_of_product = delayed(m, tap, 1, "tap_of_product")
        last = delayed(m, tap_of_product.last, 1, "last")
        with m.If(tap_of_product.valid):
            m.d.sync += sum.eq(Mux(tap_of_product.first, result if p.preload else 0, sum) + product)
        with m.If(last):
            m.d.sync += result.eq(sum)
        if p.preload:
            with m.Elif(self.load):
                m.d.sync += result.eq(self.start)
        return m

    def _multiply(self, m: Module, activation: Value, weight: Value) -> Value:
        """What one step adds to the sum."""
        return activation * weight


class Array(wiring.Component):
    """`rows` x `columns` processing elements.

    Operands come skewed: what `tap` says of the operands of row 0 and column 0 in cycle t holds for row i in cycle
    t + i and column j in cycle t + j. Row i's operand for column 0 is `activation[i]`, column j's for row 0 is
    `weight[j]`. With `valid` low the array holds its sums.

    The result of row i and column j is in its register `timing.RESULT_LATENCY` + i + j cycles after `last`, until the
    next one comes. `result[j]` is column j's in row `row`, `registers` cycles later; the row's lower bits count in the
    first of them. If the parameters ask for it, `load[j]` writes `preload[j]` to the result of row `row` in column j:
    element (i, j) reads it as its start value `RESULT_LATENCY` - 2 + i + j cycles after `first`.
    """

    Element: type[ProcessingElement] = ProcessingElement

    def __init__(self, parameters: ArrayParameters) -> None:
        self.parameters = p = parameters
        sums = signed(p.accumulator_width)
        super().__init__(
            {
                "tap": In(TAP),
                "activation": In(signed(p.activation_width)).array(p.rows),
                "weight": In(signed(p.weight_width)).array(p.columns),
                "row": In(range(p.rows)),
                "result": Out(sums).array(p.columns),
            }
            | ({"load": In(1).array(p.columns), "preload": In(sums).array(p.columns)} if p.preload else {})
        )

    def apply(self, activations: Any, weights: Any, start: Any = 0) -> np.ndarray:
        """Sums [rows, columns] of activations [rows, taps] and weights [taps, columns], wrapped as in hardware."""
        wrap = 64 - self.parameters.accumulator_width
        return (np.asarray(activations, np.int64) @ np.asarray(weights, np.int64) + start) << wrap >> wrap

    def elaborate(self, platform) -> Module:
        m = Module()
        p = self.parameters
        grid = [[self.Element(p) for _ in range(p.columns)] for _ in range(p.rows)]
        tap = self.tap
        for row, elements in enumerate(grid):
            for column, element in enumerate(elements):
                m.submodules[f"element_{row}_{column}"] = one_of_many(element, "element", (self.Element, p))
                left = elements[column - 1] if column else None
                above = grid[row - 1][column] if row else None
                m.d.comb += [
                    element.tap_i.eq(left.tap_o if left else tap),
                    element.activation_i.eq(left.activation_o if left else self.activation[row]),
                    element.weight_i.eq(above.weight_o if above else self.weight[column]),
                ]
                if p.preload:
                    m.d.comb += element.load.eq(self.load[column] & (self.row == row))
                    m.d.comb += element.start.eq(self.preload[column])
            tap = delayed(m, tap, 1, f"tap_{row + 1}") if row + 1 < p.rows else tap
        for column, chosen in enumerate(self._chosen(m, grid)):
            m.d.comb += self.result[column].eq(chosen)
        return m

    def _chosen(self, m: Module, grid: list[list[ProcessingElement]]) -> list[Value]:
        """Each column's result in row `row`."""
        columns = [[elements[column].result for elements in grid] for column in range(self.parameters.columns)]
        row: Value = self.row
        bits = exact_log2(CHOICE)
        for level in range(self.parameters.registers):
            columns = [
                [
                    delayed(
                        m, choose(results[first : first + CHOICE], row[:bits]), 1, f"chosen_{level}_{column}_{place}"
                    )
                    for place, first in enumerate(range(0, len(results), CHOICE))
                ]
                for column, results in enumerate(columns)
            ]
            row = delayed(m, row[bits:], 1, f"row_{level}")
        return [choose(results, row) for results in columns]


def emit_core(config: ArrayConfig, name: str = "gatewright_systolic_array") -> str:
    """Verilog of the array on its own, with preloading, for users who have everything else."""
    return emit_verilog(Array(ArrayParameters.of(config, preload=True)), name)
