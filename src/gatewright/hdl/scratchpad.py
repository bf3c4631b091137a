"""On-chip memories between DMA and core: one read and one write port, block RAM inside, fixed latencies.

A read that is requested in cycle t has its data in cycle t + `READ_LATENCY`. A write that is requested in cycle t is
seen by reads requested in cycle t + `WRITE_LATENCY` or later. Both ports take one request a cycle, always. Contents
are undefined until written.
"""

from amaranth.hdl import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.bits import first_units, rotate_left, rotate_right
from gatewright.hdl.core_port import READ_LATENCY
from gatewright.hdl.pipeline import delayed

__all__ = ["READ_LATENCY", "WRITE_LATENCY", "ByteScratchpad", "WordScratchpad"]

WRITE_LATENCY = 2


class ByteScratchpad(wiring.Component):
    """Memory of `size` bytes with windows of `window` bytes at any byte address, modulo `size`.

    Even words of `window` bytes lie in one bank and odd ones in the other, so that a window takes at most one word of
    each. Both parameters are powers of two, `size` at least four windows. Byte lane j of a write is written where
    `write_mask[j]` is set.
    """

    def __init__(self, size: int, window: int) -> None:
        self.size = size
        self.window = window
        address_width = exact_log2(size)
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(address_width),
                "read_data": Out(8 * window),
                "write_enable": In(1),
                "write_address": In(address_width),
                "write_data": In(8 * window),
                "write_mask": In(window),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.even = even = memory.Memory(shape=unsigned(8 * self.window), depth=self._depth, init=[])
        m.submodules.odd = odd = memory.Memory(shape=unsigned(8 * self.window), depth=self._depth, init=[])
        self._read(m, even.read_port(), odd.read_port())
        self._write(m, even.write_port(granularity=8), odd.write_port(granularity=8))
        return m

    @property
    def _depth(self) -> int:
        return self.size // (2 * self.window)

    def _split(self, address: Value) -> tuple[Value, Value, Value]:
        """Byte within a word, whether the word is an odd one, and index of the pair of words."""
        byte_width = exact_log2(self.window)
        return address[:byte_width], address[byte_width], address[byte_width + 1 :]

    def _in_odd_bank(self, m: Module, byte: Value, odd_first: Value, unit: int, name: str) -> Value:
        """For each byte of a word, whether the window has it in the odd bank, in `unit` bits."""
        second = Signal(self.window * unit, name=f"{name}_second")
        lanes = Signal.like(second, name=name)
        m.d.comb += [
            second.eq(
                first_units(byte, self.window, unit)
            ),  # before the window's start lie bytes of the word after the first
            lanes.eq(Mux(odd_first, ~second, second)),
        ]
        return lanes

    def _read(self, m: Module, even: memory.ReadPort, odd: memory.ReadPort) -> None:
        byte, odd_first, pair = self._split(self.read_address)
        byte_2 = delayed(m, byte, 2, "read_byte")
        odd_first_2 = delayed(m, odd_first, 2, "read_odd_first")
        m.d.comb += [
            Cat(even.en, odd.en).eq(delayed(m, self.read_enable, 1, "read_enable").replicate(2)),
            even.addr.eq(delayed(m, (pair + odd_first)[: len(pair)], 1, "read_even_pair")),
            odd.addr.eq(delayed(m, pair, 1, "read_odd_pair")),
        ]
        from_odd = self._in_odd_bank(m, byte_2, odd_first_2, 8, "read_odd")
        word = Signal(8 * self.window, name="read_word")
        m.d.comb += [
            word.eq((even.data & ~from_odd) | (odd.data & from_odd)),
            self.read_data.eq(delayed(m, rotate_right(m, word, byte_2, 8, "read_turn"), 1, "read_window")),
        ]

    def _write(self, m: Module, even: memory.WritePort, odd: memory.WritePort) -> None:
        address = delayed(m, self.write_address, 1, "write_address")
        data = delayed(m, self.write_data, 1, "write_data")
        mask = delayed(m, self.write_mask & self.write_enable.replicate(self.window), 1, "write_mask")
        byte, odd_first, pair = self._split(address)
        to_odd = self._in_odd_bank(m, byte, odd_first, 1, "write_odd")
        word = delayed(m, rotate_left(m, data, byte, 8, "write_turn"), 1, "write_word")
        lanes = rotate_left(m, mask, byte, 1, "mask_turn")
        m.d.comb += [
            even.addr.eq(delayed(m, (pair + odd_first)[: len(pair)], 1, "write_even_pair")),
            even.en.eq(delayed(m, lanes & ~to_odd, 1, "write_even_lanes")),
            even.data.eq(word),
            odd.addr.eq(delayed(m, pair, 1, "write_odd_pair")),
            odd.en.eq(delayed(m, lanes & to_odd, 1, "write_odd_lanes")),
            odd.data.eq(word),
        ]


class WordScratchpad(wiring.Component):
    """Memory of `size` bytes, read `read_bytes` at a time and written `write_bytes` at a time, both aligned.

    All three are powers of two. The address of a read counts words of `read_bytes`, that of a write words of
    `write_bytes`. Byte lane j of a write is written where `write_mask[j]` is set.
    """

    def __init__(self, size: int, read_bytes: int, write_bytes: int) -> None:
        self.size = size
        self.read_bytes = read_bytes
        self.write_bytes = write_bytes
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(exact_log2(size // read_bytes)),
                "read_data": Out(8 * read_bytes),
                "write_enable": In(1),
                "write_address": In(exact_log2(size // write_bytes)),
                "write_data": In(8 * write_bytes),
                "write_mask": In(write_bytes),
            }
        )

    @property
    def row_bytes(self) -> int:
        return max(self.read_bytes, self.write_bytes)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rows = rows = memory.Memory(
            shape=unsigned(8 * self.row_bytes), depth=self.size // self.row_bytes, init=[]
        )
        self._read(m, rows.read_port())
        self._write(m, rows.write_port(granularity=8))
        return m

    def _read(self, m: Module, port: memory.ReadPort) -> None:
        part_width = exact_log2(self.row_bytes // self.read_bytes)
        address = delayed(m, self.read_address, 1, "read_address")
        m.d.comb += [
            port.en.eq(delayed(m, self.read_enable, 1, "read_enable")),
            port.addr.eq(address[part_width:]),
        ]
        word = port.data
        if part_width:
            word = word.word_select(delayed(m, address[:part_width], 1, "read_part"), 8 * self.read_bytes)
        m.d.comb += self.read_data.eq(delayed(m, word, 1, "read_word"))

    def _write(self, m: Module, port: memory.WritePort) -> None:
        parts = self.row_bytes // self.write_bytes
        part_width = exact_log2(parts)
        mask = self.write_mask & self.write_enable.replicate(self.write_bytes)
        part = self.write_address[:part_width]
        lanes = Cat(mask & (part == index).replicate(self.write_bytes) for index in range(parts))
        m.d.comb += [
            port.addr.eq(delayed(m, self.write_address[part_width:], 1, "write_address")),
            port.data.eq(delayed(m, self.write_data, 1, "write_data").replicate(parts)),
            port.en.eq(delayed(m, lanes, 1, "write_lanes")),
        ]
