"""From a step to the place of the first operand of its lanes, and to which of them lie inside the tile."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.core_port import READ_LATENCY
from gatewright.hdl.pipeline import delayed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of
from gatewright.targets.array.hdl.vector_sequencer import VECTOR_STEP
from gatewright.targets.array.isa_vector import VECTOR_COMPUTE, VECTOR_TAPS
from gatewright.targets.array.timing import GATHER_LATENCY
from gatewright.targets.array.timing_vector import OPERAND_LATENCY

__all__ = ["FRAME", "TILE_FRAME", "VectorGather"]

FRAME = fields_of(VECTOR_TAPS, "row_bytes", "pitch", "pad")
TILE_FRAME = fields_of(VECTOR_COMPUTE, "base", "height")


class VectorGather(wiring.Component):
    """Requests the window of a `GATHER_LATENCY` cycles after a step; `inside` and `pad` come with its data.

    `frame` and `tile` are used in the cycle after the step, `wide` (elements have two bytes) two cycles after it.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "frame": In(FRAME),
                "tile": In(TILE_FRAME),
                "step": In(VECTOR_STEP),
                "wide": In(1),
                "read_enable": Out(1),
                "read_address": Out(exact_log2(config.activation_bytes)),
                "inside": Out(config.vector_lanes),
                "pad": Out(signed(8 * config.vector_operand_bytes)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        step, frame, tile = self.step, self.frame, self.tile
        width = len(self.read_address)
        y = delayed(m, step.y, 1, "y")
        x = delayed(m, step.x, 1, "x")
        # The product is a register of its own, the address the sum behind it: one DSP.
        product = delayed(m, (y * frame.pitch[:width])[:width], 1, "product")
        offset = delayed(m, (x + tile.base)[:width], 1, "offset")
        m.d.comb += [
            self.read_enable.eq(delayed(m, step.valid, GATHER_LATENCY, "read")),
            self.read_address.eq(delayed(m, (product + offset)[:width], 1, "address")),
            self.pad.eq(delayed(m, frame.pad[: len(self.pad)].as_signed(), OPERAND_LATENCY - 1, "pad")),
        ]
        row = delayed(m, (y >= 0) & (y < tile.height), 1, "row")
        before = delayed(m, self._elements(m, delayed(m, -x, 1, "missing"), "before"), 1, "lanes_before")
        up_to = self._elements(m, delayed(m, frame.row_bytes - x, 1, "room"), "up_to")
        up_to = delayed(m, Mux(row, up_to, 0), 1, "lanes_up_to")
        lanes = range(self.config.vector_lanes)
        inside = Signal.like(self.inside, name="inside_now")
        m.d.comb += [
            inside.eq(Cat((before <= lane) & (up_to > lane) for lane in lanes)),
            self.inside.eq(delayed(m, inside, READ_LATENCY, "inside")),
        ]
        return m

    def _elements(self, m: Module, count: Value, name: str) -> Value:
        """Elements that start within so many bytes: none if it is negative, all lanes at most."""
        lanes = self.config.vector_lanes
        elements = Signal(signed(len(count)), name=f"{name}_elements")
        result = Signal(range(lanes + 1), name=name)
        m.d.comb += elements.eq(count)
        if self.config.vector_operand_bytes > 1:
            with m.If(self.wide):
                m.d.comb += elements.eq((count + 1) >> 1)
        with m.If(elements >= lanes):
            m.d.comb += result.eq(lanes)
        with m.Elif(elements > 0):
            m.d.comb += result.eq(elements)
        return result
