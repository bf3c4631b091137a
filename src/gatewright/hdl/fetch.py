"""Fetch: reads the program from memory."""

from amaranth.hdl import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import ADDRESS_WIDTH, BURST, Beat
from gatewright.hdl.burst import FAULT
from gatewright.hdl.csr_map import INDEX_WIDTH
from gatewright.hdl.instruction import INSTRUCTION_BITS, INSTRUCTION_BYTES
from gatewright.hdl.stream_queue import StreamQueue

__all__ = ["FetchUnit"]

BURST_INSTRUCTIONS = 8
QUEUE_DEPTH = 16
TAKEN_CYCLES = 2
"""From the dispatch of an instruction until another one may be requested in its place."""


class FetchUnit(wiring.Component):
    """Reads `length` instructions from the base address on, in order, ahead of their use.

    `start` begins anew and forgets what is queued; it may come only when `quiet`. Bursts are of up to 8 instructions
    and end at multiples of 8 instructions in memory; one is requested when the queue of 16 has room for 8 more. The
    base is a multiple of the instruction's size (lower bits are ignored). While `halt` is high no burst is requested;
    `quiet` says that none is outstanding; `exhausted`, that all instructions have been taken.

    Timing: the first request is offered one cycle after `start`, an instruction one cycle after its last beat.
    """

    def __init__(self, bus_bits: int) -> None:
        self.bus_bits = bus_bits
        super().__init__(
            {
                "start": In(1),
                "halt": In(1),
                "base_low": In(32),
                "base_high": In(32),
                "length": In(INDEX_WIDTH),
                "requests": Out(stream.Signature(BURST)),
                "beats": In(stream.Signature(Beat(bus_bits))),
                "instructions": Out(stream.Signature(INSTRUCTION_BITS)),
                "exhausted": Out(1),
                "quiet": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        queue = StreamQueue(unsigned(INSTRUCTION_BITS), QUEUE_DEPTH)
        m.submodules.queue = ResetInserter(self.start)(queue)
        wiring.connect(m, queue.o, wiring.flipped(self.instructions))
        beats_each = INSTRUCTION_BITS // self.bus_bits

        # requests
        base = Cat(self.base_low, self.base_high)
        address_low = INSTRUCTION_BYTES.bit_length() - 1
        boundary_bits = BURST_INSTRUCTIONS.bit_length() - 1
        block = Signal(ADDRESS_WIDTH - address_low - boundary_bits)  # of 8 instructions in memory ...
        place = Signal(boundary_bits)  # ... and place in it of the next instruction to request
        to_request = Signal(INDEX_WIDTH)
        reserved = Signal(range(QUEUE_DEPTH + 1))  # requested, and not yet taken from the queue
        until_boundary = Signal(boundary_bits + 1)
        few = to_request[:boundary_bits]
        count = Signal(boundary_bits + 1)
        last_beat = Signal(range(BURST_INSTRUCTIONS * beats_each))
        requested = self.requests.valid & self.requests.ready
        taken = Signal()  # one cycle late, since the whole of the decoder comes before it: see `TAKEN_CYCLES`
        m.d.comb += [
            until_boundary.eq(BURST_INSTRUCTIONS - place),
            count.eq(Mux(~to_request[boundary_bits:].any() & (few < until_boundary), few, until_boundary)),
            self.requests.valid.eq((to_request != 0) & (reserved <= QUEUE_DEPTH - BURST_INSTRUCTIONS) & ~self.halt),
            self.requests.p.address.eq(Cat(Const(0, address_low), place, block)),
            last_beat.eq(count * beats_each - 1),
            self.requests.p.length.eq(last_beat),
        ]
        with m.If(requested):
            # a burst that does not reach the boundary is the last one
            m.d.sync += [block.eq(block + 1), place.eq(0), to_request.eq(to_request - count)]
        m.d.sync += taken.eq(self.instructions.valid & self.instructions.ready)
        m.d.sync += reserved.eq(reserved + Mux(requested, count, 0) - taken)

        # data
        received = Signal(INDEX_WIDTH)
        outstanding = Signal(range(QUEUE_DEPTH + 1))
        arrived = self.beats.valid & self.beats.ready
        complete = self._assemble(m, queue.i, beats_each)
        m.d.comb += [
            self.beats.ready.eq(1),  # there is room for all that was requested
            self.quiet.eq(outstanding == 0),
            self.exhausted.eq((to_request == 0) & self.quiet & ~queue.o.valid),
            self.fault.valid.eq(arrived & self.beats.p.error),
            self.fault.index.eq(received),
            self.fault.address.eq(base + (received << address_low)),
        ]
        m.d.sync += outstanding.eq(outstanding + Mux(requested, count, 0) - complete)
        with m.If(complete):
            m.d.sync += received.eq(received + 1)
        with m.If(self.start):
            m.d.sync += [
                Cat(place, block).eq(base[address_low:]),
                to_request.eq(self.length),
                reserved.eq(0),
                taken.eq(0),
                received.eq(0),
            ]
        return m

    def _assemble(self, m: Module, instructions: stream.Interface, beats_each: int) -> Value:
        """Put beats together; returns whether an instruction is complete in this cycle."""
        if beats_each == 1:
            m.d.comb += [instructions.valid.eq(self.beats.valid), instructions.payload.eq(self.beats.p.data)]
            return self.beats.valid
        held = Signal(INSTRUCTION_BITS - self.bus_bits, reset_less=True)
        beat = Signal(range(beats_each))
        word = Cat(held, self.beats.p.data)
        complete = Signal()
        m.d.comb += [
            complete.eq(self.beats.valid & (beat == beats_each - 1)),
            instructions.valid.eq(complete),
            instructions.payload.eq(word),
        ]
        with m.If(self.beats.valid):
            m.d.sync += [held.eq(word[self.bus_bits :]), beat.eq(beat + 1)]
        return complete
