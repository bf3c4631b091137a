"""From a transfer instruction to AXI bursts: the part that load and store DMA share."""

from dataclasses import dataclass

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import ADDRESS_WIDTH, BURST_BEATS
from gatewright.hdl.core_port import SCRATCH_ADDRESS_WIDTH
from gatewright.hdl.csr_map import INDEX_WIDTH
from gatewright.hdl.instruction import INSTRUCTION_BITS, REGION_COUNT, RUN_PITCH_WIDTH, TRANSFER

__all__ = [
    "COMMAND",
    "FAULT",
    "AddressSpace",
    "BurstPlan",
    "BurstPlanner",
    "BurstSplitter",
    "RegionBases",
    "SegmentWalker",
    "lane_mask",
    "longest_burst",
    "sign_flip",
]

LENGTH_WIDTH = 20

COMMAND = data.StructLayout({"word": unsigned(INSTRUCTION_BITS), "index": unsigned(INDEX_WIDTH)})
"""An instruction on its way from a queue to its unit, with its place in the program."""

FAULT = data.StructLayout(
    {"valid": unsigned(1), "index": unsigned(INDEX_WIDTH), "address": unsigned(ADDRESS_WIDTH)},
)
"""An error in this cycle: the instruction to blame, and the address if it met it on the bus."""

_ORIGIN = {"memory": unsigned(3), "index": unsigned(INDEX_WIDTH), "last": unsigned(1)}


@dataclass(frozen=True)
class AddressSpace:
    """What a machine sees of memory: so many regions, addresses of so many bits, bursts of so many beats at most."""

    regions: int = REGION_COUNT
    bits: int = ADDRESS_WIDTH
    beats: int = BURST_BEATS
    runs: bool = False
    """Rows of segments can be moved in one go; without it, each by itself."""
    unsigned: int = 0
    """Regions (bit n: region n) of unsigned bytes: the machine has them less 128."""


_UNSIGNED = {"is_unsigned": unsigned(1)}

_RUN = {
    "is_run": unsigned(1),
    "piece": unsigned(RUN_PITCH_WIDTH),
    "pitch": unsigned(RUN_PITCH_WIDTH),
    "first": unsigned(1),
}


def Segment(space: AddressSpace) -> data.StructLayout:
    """Contiguous bytes; `last` of its instruction.

    With runs: a segment that is one (`is_run`) has `piece` bytes that are meant in every `pitch`; `first` of its
    instruction.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_WIDTH),
            "length": unsigned(LENGTH_WIDTH),
            "scratch": unsigned(SCRATCH_ADDRESS_WIDTH),
            **_ORIGIN,
            **(_UNSIGNED if space.unsigned else {}),
            **(_RUN if space.runs else {}),
        }
    )


def BurstPlan(bus_bytes: int, space: AddressSpace) -> data.StructLayout:
    """One burst, and which bytes of it count.

    `length` is beats minus 1. Of the first beat the lanes from `first_lane` on are meant, of the last one those up to
    and including `last_lane`. `scratch` is the scratchpad address of lane 0 of the first beat, meant or not. Of a run,
    whose first burst `begins`, `RunCursor` says which lanes are meant and where they belong.
    """
    lane = range(bus_bytes)
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_WIDTH),
            "length": range(space.beats),
            "first_lane": lane,
            "last_lane": lane,
            "scratch": unsigned(SCRATCH_ADDRESS_WIDTH),
            **_ORIGIN,
            **(_UNSIGNED if space.unsigned else {}),
            **({**_RUN, "begins": unsigned(1)} if space.runs else {}),
        }
    )


def lane_mask(plan: data.View, first: Value, last: Value, bus_bytes: int) -> Value:
    """The lanes of a beat that are meant, given whether it is the first or last beat of the planned burst."""
    every = Const((1 << bus_bytes) - 1, bus_bytes)
    from_first = (every << plan.first_lane)[:bus_bytes]
    to_last = every >> ~plan.last_lane
    return Mux(first, from_first, every) & Mux(last, to_last, every)


def sign_flip(is_unsigned: Value, bus_bytes: int) -> Value:
    """What makes bytes of a beat the machine's, or memory's again, by exclusive or."""
    return Cat(Const(0, 7), is_unsigned).replicate(bus_bytes)


def longest_burst(bus_bytes: int) -> int:
    """The most beats that AXI4 allows in bursts which end at multiples of their size."""
    return min(256, 4096 // bus_bytes)


class RegionBases(wiring.Signature):
    """Where each region lies, as the registers give it: low and high halves, and what is added to every low half."""

    def __init__(self, regions: int = REGION_COUNT) -> None:
        super().__init__({"low": Out(32).array(regions), "high": Out(32).array(regions), "offset": Out(32)})


class SegmentWalker(wiring.Component):
    """Walks the nest of transfer instructions; one segment a cycle.

    An instruction accepted in cycle t gives its first segment in cycle t + `LATENCY`, or in the cycle after the last
    segment of the one before it. One that is neither walked nor about to be can be accepted every other cycle.
    """

    LATENCY = 2

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND)),
                "bases": In(RegionBases(space.regions)),
                "segments": Out(stream.Signature(Segment(space))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        transfer = data.View(TRANSFER, self.commands.p.word)
        segment = self.segments.p

        take = Signal()
        pending, pending_transfer, pending_base, pending_index = self._pending(m, take)
        bits = self.space.bits

        # stage 2: the nest
        address = Signal(ADDRESS_WIDTH, reset_less=True)
        scratch = Signal(SCRATCH_ADDRESS_WIDTH, reset_less=True)
        segments_left = Signal.like(transfer.count0, reset_less=True)
        rows_left = Signal.like(transfer.count1, reset_less=True)
        row_address = Signal(ADDRESS_WIDTH, reset_less=True)
        kept = {
            "length": "length",
            "count0": "row_segments",
            "stride0": "stride0",
            "stride1": "stride1",
            "memory": "memory",
            **({"run": "run"} if self.space.runs else {}),
        }
        keep = {field: Signal.like(transfer[field], name=name, reset_less=True) for field, name in kept.items()}
        index = Signal(INDEX_WIDTH, reset_less=True)

        is_run = keep["run"].any() if self.space.runs else Const(0)
        row_done = (segments_left == 1) | is_run
        step = self.segments.valid & self.segments.ready
        start = (pending_base + pending_transfer.offset)[:bits]
        region = pending_transfer.region
        next_row = (row_address + keep["stride1"])[:bits]
        m.d.comb += [
            segment.address.eq(address),
            segment.length.eq(Mux(is_run, keep["run"], keep["length"]) if self.space.runs else keep["length"]),
            segment.scratch.eq(scratch),
            segment.memory.eq(keep["memory"]),
            segment.index.eq(index),
            segment.last.eq(row_done & (rows_left == 1)),
            take.eq(pending & (~self.segments.valid | (step & segment.last))),
        ]
        if self.space.unsigned:
            is_unsigned = Signal(reset_less=True)
            m.d.comb += segment.is_unsigned.eq(is_unsigned)
            with m.If(take):
                m.d.sync += is_unsigned.eq(Const(self.space.unsigned, self.space.regions).bit_select(region, 1))
        if self.space.runs:
            first = Signal(reset_less=True)
            m.d.sync += first.eq(take | (first & ~step))
            m.d.comb += [
                segment.is_run.eq(is_run),
                segment.piece.eq(keep["length"]),
                segment.pitch.eq(keep["stride0"]),
                segment.first.eq(first),
            ]
        with m.If(take):
            m.d.sync += [
                self.segments.valid.eq(1),
                address.eq(start),
                scratch.eq(pending_transfer.scratch),
                segments_left.eq(pending_transfer.count0),
                rows_left.eq(pending_transfer.count1),
                row_address.eq(start),
                *(register.eq(pending_transfer[field]) for field, register in keep.items()),
                index.eq(pending_index),
            ]
        with m.Elif(step):
            m.d.sync += [
                self.segments.valid.eq(~segment.last),
                address.eq(Mux(row_done, next_row, (address + keep["stride0"])[:bits])),
                scratch.eq(scratch + keep["length"]),
                segments_left.eq(Mux(row_done, keep["count0"], segments_left - 1)),
            ]
            with m.If(row_done):
                m.d.sync += [rows_left.eq(rows_left - 1), row_address.eq(next_row)]
        return m

    def _pending(self, m: Module, take: Signal) -> tuple[Signal, data.View, Signal, Signal]:
        """Stage 1: whether there is an instruction, it, where its region lies, and its index; `take` makes room."""
        transfer = data.View(TRANSFER, self.commands.p.word)
        pending = Signal()
        held = Signal(TRANSFER, name="pending_transfer", reset_less=True)
        held_base = Signal(ADDRESS_WIDTH, name="pending_base", reset_less=True)
        index = Signal(INDEX_WIDTH, name="pending_index", reset_less=True)
        low = (Array(self.bases.low)[transfer.region] + self.bases.offset)[:32]
        base = Cat(low, Array(self.bases.high)[transfer.region])[: self.space.bits]
        m.d.comb += self.commands.ready.eq(~pending)  # whatever else goes on: a queue's paths end here
        with m.If(take):
            m.d.sync += pending.eq(0)
        with m.If(self.commands.ready):
            m.d.sync += [
                pending.eq(self.commands.valid),
                held.eq(transfer),
                held_base.eq(base),
                index.eq(self.commands.p.index),
            ]
        return pending, held, held_base, index


class BurstSplitter(wiring.Component):
    """Cuts segments into bursts; one burst a cycle, also from one segment to the next.

    Bursts end at multiples of `space.beats` beats: so they are short enough, and 4 KiB boundaries are among these.
    A segment accepted in cycle t gives its first burst in cycle t + `LATENCY`.
    """

    LATENCY = 1

    def __init__(self, bus_bytes: int, space: AddressSpace) -> None:
        self.bus_bytes = bus_bytes
        self.space = space
        super().__init__(
            {
                "segments": In(stream.Signature(Segment(space))),
                "bursts": Out(stream.Signature(BurstPlan(bus_bytes, space))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        segment, burst = self.segments.p, self.bursts.p
        block = self.space.beats * self.bus_bytes
        lane_bits = self.bus_bytes.bit_length() - 1
        block_bits = block.bit_length() - 1

        # what is left of the segment: from `address` to `last_place` in the block that lies `blocks_left` further on
        address = Signal(ADDRESS_WIDTH, reset_less=True)
        place = address[:block_bits]
        last_place = Signal(block_bits, reset_less=True)
        blocks_left = Signal(LENGTH_WIDTH + 1 - block_bits, reset_less=True)
        scratch = Signal(SCRATCH_ADDRESS_WIDTH, reset_less=True)
        memory = Signal(3, reset_less=True)
        index = Signal(INDEX_WIDTH, reset_less=True)
        last_segment = Signal(reset_less=True)

        last_burst = Signal()
        until = Signal(block_bits)  # the last byte of this burst, within the block
        step = self.bursts.valid & self.bursts.ready
        m.d.comb += [
            last_burst.eq(blocks_left == 0),
            until.eq(Mux(last_burst, last_place, block - 1)),
            burst.address.eq(Cat(Const(0, lane_bits), address[lane_bits:])),
            burst.length.eq(until[lane_bits:] - place[lane_bits:]),
            burst.first_lane.eq(place[:lane_bits]),
            burst.last_lane.eq(until[:lane_bits]),
            burst.scratch.eq(scratch - place[:lane_bits]),
            burst.memory.eq(memory),
            burst.index.eq(index),
            burst.last.eq(last_segment & last_burst),
            self.segments.ready.eq(~self.bursts.valid | (step & last_burst)),
        ]
        if self.space.unsigned:
            is_unsigned = Signal(reset_less=True)
            m.d.comb += burst.is_unsigned.eq(is_unsigned)
            with m.If(self.segments.ready):
                m.d.sync += is_unsigned.eq(segment.is_unsigned)
        if self.space.runs:
            self._pass_run(m, step)
        with m.If(self.segments.ready):
            m.d.sync += [
                self.bursts.valid.eq(self.segments.valid),
                address.eq(segment.address),
                Cat(last_place, blocks_left).eq(segment.address[:block_bits] + segment.length - 1),
                scratch.eq(segment.scratch),
                memory.eq(segment.memory),
                index.eq(segment.index),
                last_segment.eq(segment.last),
            ]
        with m.Elif(step):
            m.d.sync += [
                address.eq(Cat(Const(0, block_bits), address[block_bits : self.space.bits] + 1)[: self.space.bits]),
                blocks_left.eq(blocks_left - 1),
                scratch.eq(scratch + (block - place)),
            ]
        return m

    def _pass_run(self, m: Module, step: Value) -> None:
        """What a segment says of its run goes along with each of its bursts."""
        begins = Signal(reset_less=True)
        m.d.sync += begins.eq(self.segments.ready | (begins & ~step))
        m.d.comb += self.bursts.p.begins.eq(begins)
        for name, shape in _RUN.items():
            held = Signal(shape, name=name, reset_less=True)
            m.d.comb += self.bursts.p[name].eq(held)
            with m.If(self.segments.ready):
                m.d.sync += held.eq(self.segments.p[name])


class BurstPlanner(wiring.Component):
    """Transfer instructions in, bursts out.

    An instruction accepted in cycle t gives its first burst in cycle t + `LATENCY`.
    """

    LATENCY = SegmentWalker.LATENCY + BurstSplitter.LATENCY

    def __init__(self, bus_bytes: int, space: AddressSpace | None = None) -> None:
        self.bus_bytes = bus_bytes
        self.space = space or AddressSpace()
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND)),
                "bases": In(RegionBases(self.space.regions)),
                "bursts": Out(stream.Signature(BurstPlan(bus_bytes, self.space))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.walker = walker = SegmentWalker(self.space)
        m.submodules.splitter = splitter = BurstSplitter(self.bus_bytes, self.space)
        wiring.connect(m, wiring.flipped(self.commands), walker.commands)
        wiring.connect(m, walker.segments, splitter.segments)
        wiring.connect(m, splitter.bursts, wiring.flipped(self.bursts))
        wiring.connect(m, wiring.flipped(self.bases), walker.bases)
        return m
