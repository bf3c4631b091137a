"""From a point to the bytes of a word of taps: im2col, one word a cycle."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.hdl.sequencer import STEP
from gatewright.targets.bitfusion.hdl.state import STATE_LAYOUT, width_is

__all__ = ["FusionGather"]


class FusionGather(wiring.Component):
    """Reads the word of each step; bytes outside the image are the bytes of `pad` in turn.

    The word comes `targets.array.timing.GATHER_LATENCY` + `READ_LATENCY` cycles after the step. `state` must hold for
    the two cycles after the step.
    """

    def __init__(self, config: FusionConfig) -> None:
        self.config = config
        self.size = config.feed_window
        super().__init__(
            {
                "state": In(STATE_LAYOUT),
                "step": In(STEP),
                "read_enable": Out(1),
                "read_address": Out(exact_log2(config.ibuf_bytes)),
                "read_data": In(8 * self.size),
                "word": Out(8 * self.size),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        step, state = self.step, self.state
        width = len(self.read_address)
        y = delayed(m, step.pixel.y + step.tap.y, 1, "y")
        x = delayed(m, step.pixel.x + step.tap.x, 1, "x")
        # The product is a register of its own, the address the sum behind it: one DSP.
        product = delayed(m, (y * state.pitch[:width])[:width], 1, "product")
        offset = delayed(m, (x + state.ibuf_base)[:width], 1, "offset")
        m.d.comb += [
            self.read_enable.eq(delayed(m, step.read, 3, "read")),
            self.read_address.eq(delayed(m, (product + offset)[:width], 1, "address")),
        ]
        inside = delayed(m, (y >= 0) & (y < state.height), 1, "inside")
        room = delayed(m, state.row_bytes - x, 1, "room")
        before = self._missing(m, -delayed(m, x, 1, "x_of_room"), Const(0), "before")
        up_to = self._missing(m, room, ~inside, "up_to")
        pad = delayed(m, self._pads(), 2, "pad_of_word")
        latency = 1 + READ_LATENCY
        self._fill(m, *(delayed(m, value, latency, name) for value, name in ((before, "b"), (up_to, "u"), (pad, "p"))))
        return m

    def _pads(self) -> Value:
        """Bytes of the pad value, up to where they repeat."""
        if not self.config.composable:
            return self.state.pad
        two, three = self.state.pad[:16].replicate(3), self.state.pad.as_unsigned().replicate(2)
        return Mux(width_is(self.state.input, 16), two, three)

    def _missing(self, m: Module, count: Value, none: Value, name: str) -> Value:
        """What `count` bytes lack to a whole word, within 0 and a word; a whole word where there are `none`."""
        missing = Signal(range(self.size + 1), name=f"missing_{name}")
        with m.If(none | (count <= 0)):
            m.d.comb += missing.eq(self.size)
        with m.Elif(count < self.size):
            m.d.comb += missing.eq(self.size - count)
        return missing

    def _fill(self, m: Module, before: Value, up_to: Value, pad: Value) -> None:
        """Bytes from `before` up to `up_to` are the image's; both come as what is missing to a whole word."""
        width = 8 * self.size
        ones = Const((1 << width) - 1, width)
        inside = Signal(width)
        m.d.comb += [
            inside.eq((ones >> Cat(Const(0, 3), up_to)) & ~(ones >> Cat(Const(0, 3), before))),
            self.word.eq((self.read_data & inside) | (pad.replicate(-(-width // len(pad)))[:width] & ~inside)),
        ]
