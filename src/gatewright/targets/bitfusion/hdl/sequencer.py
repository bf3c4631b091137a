"""The order of a `compute`: filter tiles, then tiles of pixels, then words of taps, then the steps of a word."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatewright.targets.array.hdl.sequencer import TILE
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.bitfusion.blocks import FIRST, LAST, PIXEL_LOOPS, TAP_LOOPS
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.hdl.loops import LoopNest
from gatewright.targets.bitfusion.hdl.state import STATE_LAYOUT, STEP_INFO, pair_of, width_is
from gatewright.targets.bitfusion.hdl.unit import InputCode
from gatewright.targets.bitfusion.packing import chunk_bytes, chunk_steps
from gatewright.targets.bitfusion.slots import SHARED_DISTANCES
from gatewright.targets.bitfusion.timing import switch_cycles

__all__ = ["STEP", "FusionSequencer"]

_Y_WIDTH, _X_WIDTH, _COUNT_WIDTH = 14, 20, 14
_ADDRESS_WIDTH = 20

POINT = data.StructLayout({"y": signed(_Y_WIDTH), "x": signed(_X_WIDTH)})

STEP = data.StructLayout(
    {
        "valid": 1,  # this cycle is a step
        "slot": 1,  # the first of a word
        "read": 1,  # a row wants its word, which starts
        "pixel": POINT,  # ... here
        "tap": POINT,  # ... plus this far
        "first": 1,  # the sum starts from 0 with this step
        "last": 1,  # the sum is complete with this step
        "info": STEP_INFO,
        "weight_address": _ADDRESS_WIDTH,  # of the chunk that this step uses
    }
)


class FusionSequencer(wiring.Component):
    """Issues the steps of a `compute` from two cycles after `start` on, as `targets.array.timing` says.

    Time is cut into slots of `slot` steps, one word of taps each; in step i of a slot, row i's word is read; with
    `share`, those of the first rows alone, one for each turn of loop 0. In the first slot of a tile pixels are made,
    one a step; the later ones use them again, from registers.
    """

    def __init__(self, config: FusionConfig) -> None:
        self.config = config
        super().__init__(
            {
                "state": In(STATE_LAYOUT),
                "flags": In(2),  # of the `compute`; holds from the cycle after `start` on, as `state` does
                "start": In(1),
                "opening": In(1),  # the next tile is the first one with other settings of the post unit
                "idle": Out(1),
                "step": Out(STEP),
                "tile": Out(TILE),
                "tile_end": Out(1),
                "draining": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        pixels, taps = self._nests(m)
        setup, running, step, slot_end = Signal(), Signal(), Signal(), Signal()
        phase = Signal(self.state.slot.shape())
        m.d.comb += [
            self.idle.eq(~running & ~setup),
            self.draining.eq(running & (phase == 0) & taps.last & self._too_early(m)),
            step.eq(running & ~self.draining),
            slot_end.eq(step & (phase == self.state.slot - 1)),
            self.tile_end.eq(slot_end & taps.last),
            taps.advance.eq(slot_end),
            Cat(pixels.restart, taps.restart).eq(setup.replicate(2)),
        ]
        m.d.sync += setup.eq(self.start)
        with m.If(setup):
            m.d.sync += running.eq(1)
        with m.If(step):
            m.d.sync += phase.eq(Mux(slot_end, 0, phase + 1))
        with m.If(self.tile_end & self.tile.filter_done & self.tile.last_filter):
            m.d.sync += running.eq(0)
        reads = step & (phase < Mux(self.state.share.any(), self.state.count0, self.state.rows))
        self._tiles(m, pixels, reads & taps.first)
        self._weights(m, setup, step, slot_end)
        self._filters(m, setup)
        m.d.comb += [
            self.step.valid.eq(step),
            self.step.slot.eq(phase == 0),
            self.step.read.eq(reads),
            self.step.tap.y.eq(taps.y),
            self.step.tap.x.eq(taps.x),
            self.step.first.eq(step & taps.first & (phase == 0) & (self.flags & FIRST).any()),
            self.step.last.eq(self.tile_end & (self.flags & LAST).any()),
        ]
        self._points(m, pixels, taps.first, phase, reads)
        return m

    def _nests(self, m: Module) -> tuple[LoopNest, LoopNest]:
        state = self.state
        nests = []
        for name, loops in (("pixels", PIXEL_LOOPS), ("taps", TAP_LOOPS)):
            m.submodules[name] = nest = LoopNest([_COUNT_WIDTH] * len(loops), _Y_WIDTH, _X_WIDTH)
            for level, loop in enumerate(loops):
                m.d.comb += [
                    getattr(nest, f"count{level}").eq(state[f"count{loop}"]),
                    nest.dy[level].eq(state[f"dy{loop}"]),
                    nest.dx[level].eq(state[f"dx{loop}"]),
                ]
            nests.append(nest)
        m.d.comb += [nests[0].y0.eq(state.origin_row), nests[0].x0.eq(state.origin)]
        return nests[0], nests[1]

    def _too_early(self, m: Module) -> Value:
        """Whether a tile whose last slot starts now would end while results of the one before it are in its way."""
        array = self.config.array()
        wait = switch_cycles(array)
        later = Mux(self.opening, 0, wait - drain_cycles(array))
        left = Signal(range(wait + 1))  # of the longer one of both distances
        with m.If(self.tile_end):
            m.d.sync += left.eq(wait)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return left > self.state.slot + later

    def _tiles(self, m: Module, pixels: LoopNest, may_take: Value) -> None:
        """Count the pixels of the tile, and note when they were the last ones."""
        state = self.state
        rows = Signal(range(self.config.rows + 1))
        rows_now = Signal.like(rows)
        exhausted = Signal()
        shared = Mux(pixels.last_turn[1], state.last_rows, state.rows)
        m.d.comb += [
            pixels.advance.eq(may_take & ~exhausted),
            rows_now.eq(Mux(pixels.advance, Mux(state.share.any(), shared, rows + 1), rows)),
            self.tile.rows.eq(Mux((self.flags & LAST).any(), rows_now, 0)),
            self.tile.filter_done.eq(exhausted | (pixels.advance & pixels.last)),
        ]
        m.d.sync += [rows.eq(rows_now), exhausted.eq(self.tile.filter_done)]
        with m.If(self.tile_end):
            m.d.sync += [rows.eq(0), exhausted.eq(0)]

    def _points(self, m: Module, pixels: LoopNest, first_slot: Value, phase: Value, reads: Value) -> None:
        """The pixel of the row whose turn it is: new in the first slot, kept for those after it."""
        rows = self.config.rows
        kept = Array(Signal(POINT, name=f"pixel_{row}", reset_less=True) for row in range(rows))
        row = phase[: max((rows - 1).bit_length(), 1)]
        new = Signal(POINT)
        m.d.comb += [new.y.eq(pixels.y), new.x.eq(pixels.x), self.step.pixel.eq(Mux(first_slot, new, kept[row]))]
        with m.If(reads & first_slot):
            m.d.sync += kept[row].eq(new)

    def _weights(self, m: Module, setup: Value, step: Value, slot_end: Value) -> None:
        """Chunk after chunk, the same ones again for each tile of pixels of a filter tile."""
        state, config = self.state, self.config
        chunk, chunk_end = Signal(3), Signal()
        address, tile_address = Signal(_ADDRESS_WIDTH, reset_less=True), Signal(_ADDRESS_WIDTH, reset_less=True)
        following = Signal.like(address)
        packed = width_is(state.weight, 6) if config.composable else Const(0)
        pair = pair_of(m, state, config.composable)
        assert chunk_bytes(6) == chunk_bytes(8) - 1
        size = state.tile_columns * chunk_bytes(8) - Mux(packed, state.tile_columns, 0)
        last_step = Signal(3)
        two_bytes = width_is(state.input, 16) if config.composable else Const(0)
        with m.Switch(pair.input):
            for code in InputCode:
                with m.Case(code):
                    m.d.comb += last_step.eq(chunk_steps(int(code.name.removeprefix("WIDTH_"))) - 1)
        with m.If(two_bytes):
            m.d.comb += last_step.eq(chunk_steps(16) - 1)
        with m.If(state.split):
            m.d.comb += last_step.eq(Mux(two_bytes, chunk_steps(16, split=True) - 1, 0))
        m.d.comb += [
            chunk_end.eq(step & ((chunk == last_step) | slot_end)),
            following.eq(address + size),
            self.step.weight_address.eq(address),
            self.step.info.pair.eq(pair),
            self.step.info.chunk_step.eq(chunk),
            self.step.info.packed_weights.eq(packed),
            self.step.info.two_bytes.eq(two_bytes),
            self.step.info.weight_high.eq(state.weight_high),
            self.step.info.split.eq(state.split),
            self.step.info.shared.eq(state.share.any()),
            self.step.info.distance.eq(sum(Mux(state.share == d, i, 0) for i, d in enumerate(SHARED_DISTANCES))),
            self.step.info.in_turn.eq(state.share.any() & state.count0[1]),
        ]
        with m.If(step):
            m.d.sync += chunk.eq(Mux(chunk_end, 0, chunk + 1))
        with m.If(chunk_end):
            m.d.sync += address.eq(following)
        with m.If(self.tile_end):
            with m.If(self.tile.filter_done):
                m.d.sync += tile_address.eq(following)
            with m.Else():
                m.d.sync += address.eq(tile_address)
        with m.If(setup):
            m.d.sync += [address.eq(state.wbuf_base), tile_address.eq(state.wbuf_base)]

    def _filters(self, m: Module, setup: Value) -> None:
        left = Signal(_COUNT_WIDTH, reset_less=True)
        m.d.comb += self.tile.last_filter.eq(left == 0)
        with m.If(setup):
            m.d.sync += left.eq(self.state.count7 - 1)
        with m.Elif(self.tile_end & self.tile.filter_done):
            m.d.sync += left.eq(left - 1)
