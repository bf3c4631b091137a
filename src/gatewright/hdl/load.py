"""Load DMA: memory to scratchpads."""

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import BURST, Beat
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
from gatewright.hdl.core_port import ScratchWrite
from gatewright.hdl.runs import RunCursor
from gatewright.hdl.stream_queue import StreamQueue

__all__ = ["LoadUnit"]

_OUTPUT_DEPTH = 2  # enough for one beat a cycle


class LoadUnit(wiring.Component):
    """Executes LOAD instructions in order, up to `outstanding` bursts at once.

    Bursts of an instruction are requested while data of those before it is still to come: back-to-back loads keep the
    bus busy. `completed` is high for one cycle when the core takes the last beat of an instruction. While `halt` is
    high no burst is requested; `quiet` says that none is outstanding.

    Timing: an instruction accepted in cycle t offers its first request in cycle t + `REQUEST_LATENCY`; a beat taken
    from the bus in cycle t is offered to the core in cycle t + `WRITE_LATENCY`.
    """

    REQUEST_LATENCY = BurstPlanner.LATENCY
    WRITE_LATENCY = 1

    def __init__(self, bus_bits: int, outstanding: int = 8, space: AddressSpace | None = None) -> None:
        self.bus_bits = bus_bits
        self.space = space or AddressSpace()
        self.outstanding = outstanding
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND)),
                "bases": In(RegionBases(self.space.regions)),
                "halt": In(1),
                "requests": Out(stream.Signature(BURST)),
                "beats": In(stream.Signature(Beat(bus_bits))),
                "write": Out(stream.Signature(ScratchWrite(bus_bits))),
                "completed": Out(1),
                "quiet": Out(1),
                "fault": Out(FAULT),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bus_bytes = self.bus_bits // 8
        m.submodules.planner = planner = BurstPlanner(bus_bytes, self.space)
        m.submodules.expected = expected = StreamQueue(BurstPlan(bus_bytes, self.space), self.outstanding)
        output_layout = data.StructLayout({"write": ScratchWrite(self.bus_bits), "last": 1})
        m.submodules.output = output = StreamQueue(output_layout, _OUTPUT_DEPTH)
        wiring.connect(m, wiring.flipped(self.commands), planner.commands)
        wiring.connect(m, wiring.flipped(self.bases), planner.bases)

        # a burst goes to the bus and to the list of expected ones in the same cycle
        planned = planner.bursts
        go = planned.valid & ~self.halt
        m.d.comb += [
            self.requests.valid.eq(go & expected.i.ready),
            self.requests.p.address.eq(planned.p.address),
            self.requests.p.length.eq(planned.p.length),
            expected.i.valid.eq(go & self.requests.ready),
            expected.i.p.eq(planned.p),
            planned.ready.eq(self.requests.ready & expected.i.ready & ~self.halt),
        ]

        # the oldest expected burst says where the beat on the bus belongs
        burst = expected.o.p
        beat = Signal(range(self.space.beats))
        first = beat == 0
        last = beat == burst.length
        taken = self.beats.valid & self.beats.ready
        m.d.comb += [
            self.beats.ready.eq(output.i.ready),
            output.i.valid.eq(self.beats.valid),
            output.i.p.write.memory.eq(burst.memory),
            output.i.p.write.address.eq(burst.scratch + beat * bus_bytes),
            output.i.p.write.data.eq(self.beats.p.data),
            output.i.p.write.mask.eq(lane_mask(burst, first, last, bus_bytes)),
            output.i.p.last.eq(last & burst.last),
            expected.o.ready.eq(taken & last),
            self.fault.valid.eq(taken & self.beats.p.error),
            self.fault.index.eq(burst.index),
            self.fault.address.eq(burst.address),
            self.quiet.eq(~expected.o.valid),
        ]
        if self.space.unsigned:
            flip = sign_flip(burst.is_unsigned, bus_bytes)
            m.d.comb += output.i.p.write.data.eq(self.beats.p.data ^ flip)
        if self.space.runs:
            m.submodules.cursor = cursor = RunCursor(bus_bytes, self.space)
            m.d.comb += [cursor.plan.eq(burst), cursor.opens.eq(first), cursor.step.eq(taken)]
            with m.If(burst.is_run):
                m.d.comb += [output.i.p.write.address.eq(cursor.address), output.i.p.write.mask.eq(cursor.mask)]
        with m.If(taken):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))

        m.d.comb += [
            self.write.valid.eq(output.o.valid),
            self.write.p.eq(output.o.p.write),
            output.o.ready.eq(self.write.ready),
            self.completed.eq(output.o.valid & self.write.ready & output.o.p.last),
        ]
        return m
