"""Store DMA: output scratchpad to memory."""

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import ADDRESS_WIDTH, BURST, WriteBeat
from gatewright.hdl.burst import (
    COMMAND,
    FAULT,
    AddressSpace,
    BurstPlan,
    BurstPlanner,
    RegionBases,
    lane_mask,
    sign_flip,
)
from gatewright.hdl.core_port import READ_LATENCY, SCRATCH_ADDRESS_WIDTH
from gatewright.hdl.csr_map import INDEX_WIDTH
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.runs import RunCursor
from gatewright.hdl.stream_queue import StreamQueue

__all__ = ["BeatReader", "StoreUnit"]

_AWAITED = data.StructLayout(
    {"address": unsigned(ADDRESS_WIDTH), "index": unsigned(INDEX_WIDTH), "last": unsigned(1)},
)


class BeatReader(wiring.Component):
    """Reads the beats of planned bursts from the scratchpad, one a cycle, also from one burst to the next.

    The scratchpad takes no back-pressure: a read is asked for only when `beats` will have room for it. A burst accepted
    in cycle t is first read in cycle t + 1, and that beat is offered `READ_LATENCY` + 1 cycles later.
    """

    _ROOM = READ_LATENCY + 5  # reads under way and beats waiting: what one beat a cycle needs, and some for stalls

    def __init__(self, bus_bits: int, depth: int, space: AddressSpace) -> None:
        self.bus_bits = bus_bits
        self.space = space
        self.depth = depth
        super().__init__(
            {
                "bursts": In(stream.Signature(BurstPlan(bus_bits // 8, space))),
                "beats": Out(stream.Signature(WriteBeat(bus_bits))),
                "read": Out(stream.Signature(data.StructLayout({"address": unsigned(SCRATCH_ADDRESS_WIDTH)}))),
                "read_data": In(bus_bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bus_bytes = self.bus_bits // 8
        m.submodules.bursts = bursts = StreamQueue(BurstPlan(bus_bytes, self.space), self.depth)
        m.submodules.output = output = StreamQueue(WriteBeat(self.bus_bits), self._ROOM)
        wiring.connect(m, wiring.flipped(self.bursts), bursts.i)
        wiring.connect(m, output.o, wiring.flipped(self.beats))

        burst = bursts.o.p
        beat = Signal(range(self.space.beats))
        last = beat == burst.length
        reserved = Signal(range(self._ROOM + 1))
        read = self.read.valid & self.read.ready
        sent = self.beats.valid & self.beats.ready
        m.d.comb += [
            self.read.valid.eq(bursts.o.valid & (reserved != self._ROOM)),
            self.read.p.address.eq(burst.scratch + beat * bus_bytes),
            bursts.o.ready.eq(read & last),
        ]
        m.d.sync += reserved.eq(reserved + read - sent)
        with m.If(read):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))

        # what belongs to the data travels beside the scratchpad's pipeline
        mask = Signal(bus_bytes)
        m.d.comb += mask.eq(lane_mask(burst, beat == 0, last, bus_bytes))
        if self.space.runs:
            m.submodules.cursor = cursor = RunCursor(bus_bytes, self.space)
            m.d.comb += [cursor.plan.eq(burst), cursor.opens.eq(beat == 0), cursor.step.eq(read)]
            with m.If(burst.is_run):
                m.d.comb += [self.read.p.address.eq(cursor.address), mask.eq(cursor.mask)]
        frame = Cat(mask, last)
        valid = delayed(m, read, READ_LATENCY, "valid", keep_reset=True)
        frame = delayed(m, frame, READ_LATENCY, "frame")
        m.d.comb += [
            output.i.valid.eq(valid),
            Cat(output.i.p.strb, output.i.p.last).eq(frame),
            output.i.p.data.eq(self.read_data),
        ]
        if self.space.unsigned:
            is_unsigned = delayed(m, burst.is_unsigned, READ_LATENCY, "is_unsigned")
            m.d.comb += output.i.p.data.eq(self.read_data ^ sign_flip(is_unsigned, bus_bytes))
        return m


class StoreUnit(wiring.Component):
    """Executes STORE instructions in order, up to `outstanding` bursts at once.

    Bursts follow each other without waiting for responses, within an instruction and beyond. `completed` is high for
    one cycle with the last response of an instruction. While `halt` is high no burst is requested; those that were are
    ended; `quiet` says that none is outstanding.

    Timing: an instruction accepted in cycle t offers its first request in cycle t + `REQUEST_LATENCY`; the first data
    of a burst are offered `DATA_LATENCY` cycles after its request.
    """

    REQUEST_LATENCY = BurstPlanner.LATENCY
    DATA_LATENCY = READ_LATENCY + 2

    def __init__(self, bus_bits: int, outstanding: int = 4, space: AddressSpace | None = None) -> None:
        self.bus_bits = bus_bits
        self.space = space or AddressSpace()
        self.outstanding = outstanding
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND)),
                "bases": In(RegionBases(self.space.regions)),
                "halt": In(1),
                "requests": Out(stream.Signature(BURST)),
                "beats": Out(stream.Signature(WriteBeat(bus_bits))),
                "responses": In(stream.Signature(data.StructLayout({"error": 1}), always_ready=True)),
                "read": Out(stream.Signature(data.StructLayout({"address": unsigned(SCRATCH_ADDRESS_WIDTH)}))),
                "read_data": In(bus_bits),
                "completed": Out(1),
                "quiet": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.planner = planner = BurstPlanner(self.bus_bits // 8, self.space)
        m.submodules.reader = reader = BeatReader(self.bus_bits, self.outstanding, self.space)
        m.submodules.awaited = awaited = StreamQueue(_AWAITED, self.outstanding)
        wiring.connect(m, wiring.flipped(self.commands), planner.commands)
        wiring.connect(m, reader.beats, wiring.flipped(self.beats))
        wiring.connect(m, reader.read, wiring.flipped(self.read))
        m.d.comb += reader.read_data.eq(self.read_data)
        wiring.connect(m, wiring.flipped(self.bases), planner.bases)

        # a burst goes to the bus, to the reader (which has room for all that are outstanding) and to the awaited ones
        planned = planner.bursts
        go = planned.valid & ~self.halt & awaited.i.ready
        m.d.comb += [
            self.requests.valid.eq(go),
            self.requests.p.address.eq(planned.p.address),
            self.requests.p.length.eq(planned.p.length),
            reader.bursts.valid.eq(go & self.requests.ready),
            reader.bursts.p.eq(planned.p),
            awaited.i.valid.eq(go & self.requests.ready),
            awaited.i.p.address.eq(planned.p.address),
            awaited.i.p.index.eq(planned.p.index),
            awaited.i.p.last.eq(planned.p.last),
            planned.ready.eq(~self.halt & awaited.i.ready & self.requests.ready),
        ]

        m.d.comb += [
            awaited.o.ready.eq(self.responses.valid),
            self.completed.eq(self.responses.valid & awaited.o.p.last),
            self.quiet.eq(~awaited.o.valid),
            self.fault.valid.eq(self.responses.valid & self.responses.p.error),
            self.fault.index.eq(awaited.o.p.index),
            self.fault.address.eq(awaited.o.p.address),
        ]
        return m
