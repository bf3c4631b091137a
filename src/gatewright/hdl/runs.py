"""Runs: rows of segments that cross the bus in one go, and are dense in the scratchpad."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.burst import AddressSpace, BurstPlan
from gatewright.hdl.core_port import SCRATCH_ADDRESS_WIDTH

__all__ = ["RunCursor"]


class RunCursor(wiring.Component):
    """Follows runs beat by beat: which lanes are meant, and the scratchpad address of lane 0.

    `plan` is the burst of this beat, `opens` says that it is the burst's first; `step` goes on to the next beat.
    """

    def __init__(self, bus_bytes: int, space: AddressSpace) -> None:
        self.bus_bytes = bus_bytes
        super().__init__(
            {
                "plan": In(BurstPlan(bus_bytes, space)),
                "opens": In(1),
                "step": In(1),
                "address": Out(SCRATCH_ADDRESS_WIDTH),
                "mask": Out(bus_bytes),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        plan, bus_bytes = self.plan, self.bus_bytes
        piece_left = Signal.like(plan.piece, reset_less=True)  # bytes of this segment that are to come
        pitch_left = Signal.like(plan.pitch, reset_less=True)  # bytes to the next segment
        address = Signal(SCRATCH_ADDRESS_WIDTH, reset_less=True)
        piece, pitch = Signal.like(piece_left), Signal.like(pitch_left)
        count = Signal(range(bus_bytes + 1))
        begins = self.opens & plan.begins
        m.d.comb += [
            piece.eq(Mux(begins, plan.piece, piece_left)),
            pitch.eq(Mux(begins, plan.pitch, pitch_left)),
            self.address.eq(Mux(begins & plan.first, plan.scratch, address)),
            count.eq(Mux(piece >= bus_bytes, bus_bytes, piece)),
            self.mask.eq(Cat(piece > lane for lane in range(bus_bytes))),
        ]
        with m.If(self.step):
            m.d.sync += address.eq(self.address + count)
            with m.If(pitch == bus_bytes):
                m.d.sync += [piece_left.eq(plan.piece), pitch_left.eq(plan.pitch)]
            with m.Else():
                m.d.sync += [piece_left.eq(piece - count), pitch_left.eq(pitch - bus_bytes)]
        return m
