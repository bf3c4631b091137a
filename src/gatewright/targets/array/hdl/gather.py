"""From a point to the bytes of a tap word: im2col, one word a cycle."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of
from gatewright.targets.array.hdl.sequencer import STEP
from gatewright.targets.array.isa import COMPUTE, CONFIG_TAPS

__all__ = ["FRAME", "TILE_FRAME", "Gather"]

FRAME = fields_of(CONFIG_TAPS, "row_bytes", "pitch", "pad")
TILE_FRAME = fields_of(COMPUTE, "base", "height")


class Gather(wiring.Component):
    """Reads the tap word of each step; bytes outside the tile are `pad`.

    The word comes `GATHER_LATENCY` + `READ_LATENCY` cycles after the step. `frame` and `tile` are used in the cycle
    after the step, and must hold for it.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        address_width = exact_log2(config.activation_bytes)
        super().__init__(
            {
                "frame": In(FRAME),
                "tile": In(TILE_FRAME),
                "step": In(STEP),
                "read_enable": Out(1),
                "read_address": Out(address_width),
                "read_data": In(8 * config.word_length),
                "word": Out(8 * config.word_length),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        step, frame, tile = self.step, self.frame, self.tile
        width = len(self.read_address)
        y = delayed(m, step.pixel.y + step.tap.y, 1, "y")
        x = delayed(m, step.pixel.x + step.tap.x, 1, "x")
        # The product is a register of its own, the address the sum behind it: one DSP.
        product = delayed(m, (y * frame.pitch[:width])[:width], 1, "product")
        offset = delayed(m, (x + tile.base)[:width], 1, "offset")
        address = delayed(m, (product + offset)[:width], 1, "address")
        m.d.comb += [self.read_enable.eq(delayed(m, step.read, 3, "read")), self.read_address.eq(address)]

        inside = delayed(m, (y >= 0) & (y < tile.height), 1, "inside")
        room = delayed(m, frame.row_bytes - x, 1, "room")
        before = self._bytes_before(m, delayed(m, x, 1, "x_of_room"))
        up_to = self._bytes_up_to(m, room, inside)
        self._pad(m, delayed(m, before, 1 + READ_LATENCY, "before"), delayed(m, up_to, 1 + READ_LATENCY, "up_to"))
        return m

    # How many bytes of a word lie before some place is kept as what is missing to a whole word: the mask of these bytes
    # is then a shift of ones.

    def _bytes_before(self, m: Module, x: Value) -> Value:
        """Bytes of the word that lie before the row."""
        size = self.config.word_length
        missing = Signal(range(size + 1), name="missing_before")
        with m.If(x >= 0):
            m.d.comb += missing.eq(size)
        with m.Elif(x > -size):
            m.d.comb += missing.eq(size + x)
        return missing

    def _bytes_up_to(self, m: Module, room: Value, inside: Value) -> Value:
        """Bytes of the word that lie before the end of the row; none in a row that does not exist."""
        size = self.config.word_length
        missing = Signal(range(size + 1), name="missing_up_to")
        with m.If(~inside | (room <= 0)):
            m.d.comb += missing.eq(size)
        with m.Elif(room < size):
            m.d.comb += missing.eq(size - room)
        return missing

    def _pad(self, m: Module, missing_before: Value, missing_up_to: Value) -> None:
        width = 8 * self.config.word_length
        ones = Const((1 << width) - 1, width)
        inside = Signal(width)
        pad = delayed(m, self.frame.pad, 2 + READ_LATENCY, "pad")
        m.d.comb += [
            inside.eq((ones >> Cat(Const(0, 3), missing_up_to)) & ~(ones >> Cat(Const(0, 3), missing_before))),
            self.word.eq((self.read_data & inside) | (pad.replicate(self.config.word_length) & ~inside)),
        ]
