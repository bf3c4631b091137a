"""The array of fusion units: the output-stationary array, with a unit in place of each multiplier."""

from amaranth.hdl import *
from amaranth.lib import data

from gatewright.targets.array.hdl.array import Array, ArrayParameters, ProcessingElement
from gatewright.targets.bitfusion.hdl.unit import PAIR, STEP_BITS, FusionUnit

__all__ = ["STEP_INPUT", "FusionArray", "FusionElement", "fusion_parameters"]

STEP_INPUT = data.StructLayout({"bytes": STEP_BITS, "phase": 2, "pair": PAIR, "high": 2, "part": 2})
"""What moves along a row: a step's inputs, and how to read them, so that a new pair follows the old one's last step.

`part` is the byte at which this row's weights start in a column's, other than 0 only where chunks are split. `high`
counts the operands of 16 bits of which these are the upper bytes; each byte comes in a step of its own.
"""


class FusionElement(ProcessingElement):
    """A processing element whose operands are a step's inputs (`STEP_INPUT`) and weights."""

    def _multiply(self, m: Module, activation: Value, weight: Value) -> Value:
        step = data.View(STEP_INPUT, activation.as_unsigned())
        m.submodules.unit = unit = FusionUnit()
        m.d.comb += [
            unit.pair.eq(step.pair),
            unit.phase.eq(step.phase),
            unit.inputs.eq(step.bytes),
            unit.weights.eq(self._part(weight, step.part)),
        ]
        return Mux(step.high[1], unit.sum << 16, Mux(step.high[0], unit.sum << 8, unit.sum))

    @staticmethod
    def _part(weight: Value, part: Value) -> Value:
        """Weights from byte `part` on, as far as parts of split chunks reach: a byte, or two from an even one on."""
        return Cat(weight.word_select(part, 8), Mux(part[1], weight[24:], weight[8:16]), weight[16:])


class FusionArray(Array):
    """`rows` x `columns` fusion units; ports and timing are those of `Array`."""

    Element = FusionElement


def fusion_parameters(rows: int, columns: int, accumulator_width: int = 32, registers: int = 0) -> ArrayParameters:
    """Widths of what moves along rows and columns."""
    return ArrayParameters(rows, columns, STEP_INPUT.size, STEP_BITS, accumulator_width, registers=registers)
