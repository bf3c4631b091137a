"""The program in the machine itself: what a machine made for one network has instead of fetch."""

from collections.abc import Sequence

from amaranth.hdl import *
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatewright.hdl.csr_map import INDEX_WIDTH
from gatewright.hdl.instruction import INSTRUCTION_BITS
from gatewright.hdl.stream_queue import StreamQueue

__all__ = ["ProgramRom"]

_QUEUE_DEPTH = 2


class ProgramRom(wiring.Component):
    """Gives the instructions of a program in order, one every cycle when nothing holds them up.

    `start` begins anew; `exhausted` says that all have been taken. Timing: the first instruction is offered three
    cycles after `start`.
    """

    def __init__(self, program: Sequence[int]) -> None:
        self.program = tuple(program)
        super().__init__(
            {
                "start": In(1),
                "instructions": Out(stream.Signature(INSTRUCTION_BITS)),
                "exhausted": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        length = len(self.program)
        m.submodules.rom = rom = Memory(shape=INSTRUCTION_BITS, depth=length, init=self.program)
        queue = StreamQueue(unsigned(INSTRUCTION_BITS), _QUEUE_DEPTH + 1)
        m.submodules.queue = ResetInserter(self.start)(queue)
        wiring.connect(m, queue.o, wiring.flipped(self.instructions))

        port = rom.read_port()
        place = Signal(INDEX_WIDTH, init=length)  # of the next instruction to read
        arriving = Signal()  # an instruction comes out of the memory
        reserved = Signal(range(_QUEUE_DEPTH + 2))  # read, and not yet taken
        taken = self.instructions.valid & self.instructions.ready
        read = Signal()
        m.d.comb += [
            read.eq((place != length) & (reserved != _QUEUE_DEPTH + 1) & ~self.start),
            port.addr.eq(place),
            port.en.eq(read),
            queue.i.valid.eq(arriving),
            queue.i.payload.eq(port.data),
            self.exhausted.eq((place == length) & (reserved == 0)),
        ]
        m.d.sync += [arriving.eq(read), reserved.eq(reserved + read - taken)]
        with m.If(read):
            m.d.sync += place.eq(place + 1)
        with m.If(self.start):
            m.d.sync += [place.eq(0), reserved.eq(0), arriving.eq(0)]
        return m
