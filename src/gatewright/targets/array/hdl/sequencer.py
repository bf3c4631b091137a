"""The order of a COMPUTE: filter tiles, then tiles of pixels, then taps, then the bytes of a tap word."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of
from gatewright.targets.array.hdl.nest import Nest
from gatewright.targets.array.isa import COMPUTE, CONFIG_PIXELS, CONFIG_TAPS, PIXEL_LEVELS
from gatewright.targets.array.timing import drain_cycles

__all__ = ["ORDER", "PIXELS", "STEP", "TILE", "X_WIDTH", "Y_WIDTH", "Sequencer", "Taps"]

PIXELS = fields_of(
    CONFIG_PIXELS, *(f"{name}{level}" for level in range(PIXEL_LEVELS) for name in ("count", "dy", "dx"))
)
ORDER = fields_of(COMPUTE, "y0", "x0", "outer_count", "weight_base", "filter_tiles", "first", "last")

Y_WIDTH = 14
X_WIDTH = 20

POINT = data.StructLayout({"y": signed(Y_WIDTH), "x": signed(X_WIDTH)})

STEP = data.StructLayout(
    {
        "valid": 1,  # this cycle is a step
        "slot": 1,  # the first of a tap word
        "read": 1,  # a row wants its tap word, which starts
        "pixel": POINT,  # ... here
        "tap": POINT,  # ... plus this far
        "first": 1,  # the sum starts from 0 with this tap
        "last": 1,  # the sum is complete with this tap
    }
)

TILE = data.StructLayout({"rows": 7, "filter_done": 1, "last_filter": 1})
"""What has come to its end: a tile of `rows` pixels (0: nothing to drain), with it its filter tile, which is the last
one."""


def Taps(config: ArrayConfig) -> data.StructLayout:
    """What a layer's CONFIG_TAPS says of the order of taps."""
    names = ("words", "count_s", "dx_s", "count_r", "dy_r", "dx_r")
    return fields_of(CONFIG_TAPS, *names, *(("wide",) if config.activation_element_bytes > 1 else ()))


class Sequencer(wiring.Component):
    """Issues the steps of a COMPUTE from two cycles after `start` on; see `timing` for when exactly.

    Time is cut into slots of `word_length` steps, one tap word each; in step i of a slot, row i's tap word is read. In
    the first slot of a tile the pixels are made, one a step; the later ones use them again, from a ring of as many
    registers as a slot has steps. The row of the weight memory that a step needs comes as `weight_row`.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "pixels": In(PIXELS),
                "taps": In(Taps(config)),
                "order": In(ORDER),
                "start": In(1),  # `order` holds from the next cycle on
                "idle": Out(1),
                "step": Out(STEP),
                "weight_row": Out(exact_log2(config.weight_bytes // config.weight_word_bytes)),
                "tile": Out(TILE),
                "tile_end": Out(1),
                "draining": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        pixels, taps = self._nests(m)
        setup = Signal()
        running = Signal()
        phase = Signal(range(config.word_length))
        step = Signal()
        slot_end = Signal()
        m.d.comb += [
            self.idle.eq(~running & ~setup),
            self.draining.eq(running & (phase == 0) & taps.last & self._too_early(m)),
            step.eq(running & ~self.draining),
            slot_end.eq(step & (phase == config.word_length - 1)),
            self.tile_end.eq(slot_end & taps.last),
            taps.advance.eq(slot_end),
            Cat(pixels.restart, taps.restart).eq(setup.replicate(2)),
        ]
        m.d.sync += setup.eq(self.start)
        with m.If(setup):
            m.d.sync += running.eq(1)
        with m.If(step):
            m.d.sync += phase.eq(phase + 1 if self._wraps(phase) else Mux(slot_end, 0, phase + 1))
        with m.If(self.tile_end & self.tile.filter_done & self.tile.last_filter):
            m.d.sync += running.eq(0)
        self._tiles(m, pixels, step & taps.first & (phase < config.rows))
        self._weights(m, setup, step)
        self._filters(m, setup)
        m.d.comb += [
            self.step.valid.eq(step),
            self.step.slot.eq(phase == 0),
            self.step.read.eq(step & (phase < config.rows)),
            self.step.tap.y.eq(taps.y),
            self.step.tap.x.eq(taps.x),
            self.step.first.eq(step & taps.first & (phase == 0) & self.order.first),
            self.step.last.eq(self.tile_end & self.order.last),
        ]
        self._points(m, pixels, taps.first, step)
        return m

    def _wraps(self, phase: Signal) -> bool:
        """Whether the phase goes from a slot's last step to 0 by itself."""
        return self.config.word_length == 1 << len(phase)

    def _nests(self, m: Module) -> tuple[Nest, Nest]:
        m.submodules.pixel_nest = pixels = Nest([14] * PIXEL_LEVELS, Y_WIDTH, X_WIDTH)
        m.submodules.tap_nest = taps = Nest([14, 10, 10], Y_WIDTH, X_WIDTH)
        for level in range(PIXEL_LEVELS):
            outer = level == PIXEL_LEVELS - 1
            m.d.comb += [
                getattr(pixels, f"count{level}").eq(self.order.outer_count if outer else self.pixels[f"count{level}"]),
                pixels.dy[level].eq(self.pixels[f"dy{level}"]),
                pixels.dx[level].eq(self.pixels[f"dx{level}"]),
            ]
        m.d.comb += [
            pixels.y0.eq(self.order.y0),
            pixels.x0.eq(self.order.x0),
            taps.count0.eq(self.taps.words),
            taps.dx[0].eq(self._word_bytes()),
            taps.count1.eq(self.taps.count_s),
            taps.dx[1].eq(self.taps.dx_s),
            taps.count2.eq(self.taps.count_r),
            taps.dx[2].eq(self.taps.dx_r),
            taps.dy[2].eq(self.taps.dy_r),
        ]
        return pixels, taps

    def _word_bytes(self) -> Value | int:
        length = self.config.word_length
        return Mux(self.taps.wide, 2 * length, length) if self.config.activation_element_bytes > 1 else length

    def _too_early(self, m: Module) -> Value:
        """Whether a tile whose last slot starts now would end while results of the one before it are in its way."""
        wait = drain_cycles(self.config) - self.config.word_length
        if wait <= 0:
            return Const(0)
        left = Signal(range(wait + 1))
        with m.If(self.tile_end):
            m.d.sync += left.eq(wait)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return left != 0

    def _tiles(self, m: Module, pixels: Nest, may_take: Value) -> None:
        """Count the pixels of the tile, and note when they were the last ones."""
        rows = Signal(range(self.config.rows + 1))
        rows_now = Signal.like(rows)
        exhausted = Signal()
        m.d.comb += [
            pixels.advance.eq(may_take & ~exhausted),
            rows_now.eq(rows + pixels.advance),
            self.tile.rows.eq(Mux(self.order.last, rows_now, 0)),
            self.tile.filter_done.eq(exhausted | (pixels.advance & pixels.last)),
        ]
        m.d.sync += [rows.eq(rows_now), exhausted.eq(self.tile.filter_done)]
        with m.If(self.tile_end):
            m.d.sync += [rows.eq(0), exhausted.eq(0)]

    def _points(self, m: Module, pixels: Nest, first_slot: Value, step: Value) -> None:
        """The pixel of the row whose turn it is: new in the first slot, from the ring after it."""
        ring = [Signal(POINT, name=f"ring{place}", reset_less=True) for place in range(self.config.word_length)]
        new = Signal(POINT)
        m.d.comb += [new.y.eq(pixels.y), new.x.eq(pixels.x), self.step.pixel.eq(Mux(first_slot, new, ring[0]))]
        with m.If(step):
            m.d.sync += [register.eq(after) for register, after in zip(ring, [*ring[1:], self.step.pixel], strict=True)]

    def _weights(self, m: Module, setup: Value, step: Value) -> None:
        """A row of weights a step, the same ones again for each tile of pixels of a filter tile."""
        row = Signal.like(self.weight_row, reset_less=True)
        tile_row = Signal.like(row, reset_less=True)
        m.d.comb += self.weight_row.eq(row)
        with m.If(step):
            m.d.sync += row.eq(row + 1)
        with m.If(self.tile_end):
            with m.If(self.tile.filter_done):
                m.d.sync += tile_row.eq(row + 1)
            with m.Else():
                m.d.sync += row.eq(tile_row)
        with m.If(setup):
            base = self.order.weight_base[exact_log2(self.config.weight_word_bytes) :]
            m.d.sync += [row.eq(base), tile_row.eq(base)]

    def _filters(self, m: Module, setup: Value) -> None:
        left = Signal.like(self.order.filter_tiles, reset_less=True)
        m.d.comb += self.tile.last_filter.eq(left == 0)
        with m.If(setup):
            m.d.sync += left.eq(self.order.filter_tiles - 1)
        with m.Elif(self.tile_end & self.tile.filter_done):
            m.d.sync += left.eq(left - 1)
