"""From a point to the bytes of a tap word: im2col, one word a cycle."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of, narrowed
from gatewright.targets.array.hdl.sequencer import STEP
from gatewright.targets.array.isa import COMPUTE, CONFIG_TAPS

__all__ = ["TILE_FRAME", "Frame", "Gather", "element_width"]

TILE_FRAME = fields_of(COMPUTE, "base", "height")


def element_width(config: ArrayConfig) -> int:
    """Bits of an element of a tap word."""
    return max(8, config.activation_width)


def Frame(config: ArrayConfig) -> data.StructLayout:
    """What a layer's CONFIG_TAPS says of its image."""
    names = ("row_bytes", "pitch", "pad", *(("wide",) if config.activation_element_bytes > 1 else ()))
    return narrowed(fields_of(CONFIG_TAPS, *names), pad=signed(element_width(config)))


class Gather(wiring.Component):
    """Reads the tap word of each step; elements outside the tile are `pad`.

    The word comes `GATHER_LATENCY` + `READ_LATENCY` cycles after the step. `frame` and `tile` are used in the cycle
    after the step, and must hold for it.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        address_width = exact_log2(config.activation_bytes)
        super().__init__(
            {
                "frame": In(Frame(config)),
                "tile": In(TILE_FRAME),
                "step": In(STEP),
                "read_enable": Out(1),
                "read_address": Out(address_width),
                "read_data": In(8 * config.activation_element_bytes * config.word_length),
                "word": Out(element_width(config) * config.word_length),
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
        room = delayed(m, self._in_elements(frame.row_bytes - x), 1, "room")
        before = self._elements_before(m, delayed(m, self._in_elements(x), 1, "x_of_room"))
        up_to = self._elements_up_to(m, room, inside)
        self._pad(m, delayed(m, before, 1 + READ_LATENCY, "before"), delayed(m, up_to, 1 + READ_LATENCY, "up_to"))
        return m

    def _in_elements(self, length: Value) -> Value:
        """A length in bytes, in the cycle after the step, in elements."""
        return Mux(self.frame.wide, length >> 1, length) if self.config.activation_element_bytes > 1 else length

    # How many elements of a word lie before some place is kept as what is missing to a whole word: the mask of these
    # elements is then a shift of ones.

    def _elements_before(self, m: Module, x: Value) -> Value:
        """Elements of the word that lie before the row."""
        size = self.config.word_length
        missing = Signal(range(size + 1), name="missing_before")
        with m.If(x >= 0):
            m.d.comb += missing.eq(size)
        with m.Elif(x > -size):
            m.d.comb += missing.eq(size + x)
        return missing

    def _elements_up_to(self, m: Module, room: Value, inside: Value) -> Value:
        """Elements of the word that lie before the end of the row; none in a row that does not exist."""
        size = self.config.word_length
        missing = Signal(range(size + 1), name="missing_up_to")
        with m.If(~inside | (room <= 0)):
            m.d.comb += missing.eq(size)
        with m.Elif(room < size):
            m.d.comb += missing.eq(size - room)
        return missing

    def _pad(self, m: Module, missing_before: Value, missing_up_to: Value) -> None:
        count, unit = self.config.word_length, element_width(self.config)
        if unit > 8:
            self._pad_wide(m, missing_before, missing_up_to)
            return
        width = unit * count
        ones = Const((1 << width) - 1, width)
        inside = Signal(width)
        pad = delayed(m, self.frame.pad, 2 + READ_LATENCY, "pad")
        m.d.comb += [
            inside.eq((ones >> Cat(Const(0, 3), missing_up_to)) & ~(ones >> Cat(Const(0, 3), missing_before))),
            self.word.eq((self.read_data & inside) | (pad.replicate(count) & ~inside)),
        ]

    def _pad_wide(self, m: Module, missing_before: Value, missing_up_to: Value) -> None:
        """The same for elements that are not a byte each in the word, of one byte or two in memory."""
        count, unit = self.config.word_length, element_width(self.config)
        ones = Const((1 << count) - 1, count)
        inside = Signal(count)
        pad = delayed(m, self.frame.pad, 2 + READ_LATENCY, "pad")
        wide = delayed(m, self.frame.wide, 2 + READ_LATENCY, "wide")
        m.d.comb += inside.eq((ones >> missing_up_to) & ~(ones >> missing_before))
        for index in range(count):
            element = Signal(signed(unit), name=f"element_{index}")
            byte = self.read_data.word_select(index, 8).as_signed()
            both = self.read_data.word_select(index, 16).as_signed()
            m.d.comb += [
                element.eq(Mux(wide, both, byte)),
                self.word.word_select(index, unit).eq(Mux(inside[index], element, pad)),
            ]
