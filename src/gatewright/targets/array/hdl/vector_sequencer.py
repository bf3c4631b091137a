"""The order of a COMPUTE of the vector unit: groups of lanes, then pixels, then taps; and where each of them lies."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.pipeline import delayed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of
from gatewright.targets.array.hdl.nest import Nest
from gatewright.targets.array.hdl.sequencer import PIXELS, X_WIDTH, Y_WIDTH
from gatewright.targets.array.isa import PIXEL_LEVELS
from gatewright.targets.array.isa_vector import VECTOR_COMPUTE, VECTOR_TAPS, VECTOR_WALK
from gatewright.targets.array.timing_vector import fetch_cycles

__all__ = ["ORDER", "TAPS", "VECTOR_STEP", "WALK", "VectorSequencer", "parameter_pieces", "place_of"]

TAPS = fields_of(VECTOR_TAPS, "count0", "dx0", "count1", "dy1", "dx1", "count2", "dy2", "dx2")
WALK = fields_of(VECTOR_WALK)
ORDER = fields_of(
    VECTOR_COMPUTE,
    *("y0", "x0", "outer_count", "groups", "last_lanes"),
    *("parameter_base", "activation_base", "output_base", "b_base"),
)

VECTOR_STEP = data.StructLayout(
    {
        "valid": 1,  # this cycle is a step
        "begin": 1,  # the first of a COMPUTE
        "fetch": 1,  # the first of a group that has parameters per channel
        "first": 1,  # the first tap of a pixel
        "last": 1,  # the last tap of a pixel
        "done": 1,  # the last step of a COMPUTE
        "y": signed(Y_WIDTH + 1),
        "x": signed(X_WIDTH + 1),
    }
)


def place_of(config: ArrayConfig) -> data.StructLayout:
    """Where a result belongs."""
    return data.StructLayout(
        {
            "lanes": config.vector_lanes,
            "to_activation": 1,
            "to_output": 1,
            "activation": exact_log2(config.activation_bytes),
            "output": exact_log2(config.output_bytes),
        }
    )


def parameter_pieces(config: ArrayConfig) -> int:
    """Pieces of the parameter scratchpad: what one read gives to the lanes."""
    parts = max(config.post_lanes // config.vector_lanes, 1)
    return config.parameter_bytes // config.parameter_word_bytes * parts


class VectorSequencer(wiring.Component):
    """Issues the steps of a COMPUTE from two cycles after `start` on; see `timing_vector`.

    `y` and `x` of a step are those of lane 0's element of a; `b_address` is that of b, in the same cycle. `place` and
    `piece` (where the group's parameters start) come one cycle after the step.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "pixels": In(PIXELS),
                "taps": In(TAPS),
                "walk": In(WALK),
                "order": In(ORDER),
                "per_channel": In(1),
                "start": In(1),  # `order` holds from the next cycle on
                "idle": Out(1),
                "step": Out(VECTOR_STEP),
                "b_address": Out(exact_log2(config.output_bytes)),
                "place": Out(place_of(config)),
                "piece": Out(exact_log2(parameter_pieces(config))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        pixels, taps = self._nests(m)
        setup, running, begin, step, pixel_end, group_end, last_group = (
            Signal(name=name) for name in ("setup", "running", "begin", "step", "pixel_end", "group_end", "last_group")
        )
        group_start = pixels.first & taps.first
        m.d.comb += [
            self.idle.eq(~running & ~setup),
            step.eq(running & ~self._fetching(m, group_start)),
            pixel_end.eq(step & taps.last),
            group_end.eq(pixel_end & pixels.last),
            taps.advance.eq(step),
            pixels.advance.eq(pixel_end),
            Cat(pixels.restart, taps.restart).eq(setup.replicate(2)),
            self.step.valid.eq(step),
            self.step.begin.eq(step & begin),
            self.step.fetch.eq(step & group_start & self.per_channel),
            self.step.first.eq(taps.first),
            self.step.last.eq(taps.last),
            self.step.done.eq(group_end & last_group),
            self.step.y.eq(pixels.y + taps.y),
            self.step.x.eq(pixels.x + taps.x),
        ]
        m.d.sync += setup.eq(self.start)
        with m.If(setup):
            m.d.sync += [running.eq(1), begin.eq(1)]
        with m.If(step):
            m.d.sync += begin.eq(0)
        with m.If(self.step.done):
            m.d.sync += running.eq(0)
        self._groups(m, setup, group_end, last_group)
        self._columns(m, pixels, setup, group_end)
        self._addresses(m, setup, step, pixel_end, group_end, last_group)
        return m

    def _nests(self, m: Module) -> tuple[Nest, Nest]:
        m.submodules.pixel_nest = pixels = Nest([14] * PIXEL_LEVELS, Y_WIDTH, X_WIDTH)
        m.submodules.tap_nest = taps = Nest([14] * 3, Y_WIDTH, X_WIDTH)
        for level in range(PIXEL_LEVELS):
            outer = level == PIXEL_LEVELS - 1
            m.d.comb += [
                getattr(pixels, f"count{level}").eq(self.order.outer_count if outer else self.pixels[f"count{level}"]),
                pixels.dy[level].eq(self.pixels[f"dy{level}"]),
                pixels.dx[level].eq(self.pixels[f"dx{level}"]),
            ]
        m.d.comb += pixels.y0.eq(self.order.y0)
        for level in range(3):
            m.d.comb += [
                getattr(taps, f"count{level}").eq(self.taps[f"count{level}"]),
                taps.dx[level].eq(self.taps[f"dx{level}"]),
                taps.dy[level].eq(self.taps[f"dy{level}"] if level else 0),
            ]
        return pixels, taps

    def _fetching(self, m: Module, group_start: Value) -> Value:
        """Whether a group starts that needs parameters while those of the one before are still being read."""
        wait = fetch_cycles(self.config) - 1
        if not wait:
            return Const(0)
        left = Signal(range(wait + 1))
        with m.If(self.step.fetch):
            m.d.sync += left.eq(wait)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return (left != 0) & group_start & self.per_channel

    def _groups(self, m: Module, setup: Value, group_end: Value, last_group: Value) -> None:
        left = Signal.like(self.order.groups, name="groups_left", reset_less=True)
        m.d.comb += last_group.eq(left == 0)
        with m.If(setup):
            m.d.sync += left.eq(self.order.groups - 1)
        with m.Elif(group_end):
            m.d.sync += left.eq(left - 1)

    def _columns(self, m: Module, pixels: Nest, setup: Value, group_end: Value) -> None:
        """Each group's pixels start `a_group_step` further."""
        following = Signal.like(pixels.x, reset_less=True)
        m.d.comb += pixels.x0.eq(Mux(setup, self.order.x0, following))
        with m.If(setup | group_end):
            m.d.sync += following.eq(pixels.x0 + self.walk.a_group_step)

    def _addresses(
        self, m: Module, setup: Value, step: Value, pixel_end: Value, group_end: Value, last_group: Value
    ) -> None:
        config, walk, order = self.config, self.walk, self.order
        turn = Signal.like(walk.out_count, reset_less=True)
        turn_last = Signal()
        m.d.comb += turn_last.eq(turn == walk.out_count - 1)
        with m.If(setup | group_end):
            m.d.sync += turn.eq(0)
        with m.Elif(pixel_end):
            m.d.sync += turn.eq(Mux(turn_last, 0, turn + 1))

        offset_width = max(exact_log2(config.activation_bytes), exact_log2(config.output_bytes))
        ends = (setup, pixel_end, group_end)
        move = Mux(turn_last, walk.out_delta, walk.out_step)
        offset = self._walk(m, "offset", offset_width, ends, Const(0, offset_width), move, walk.group_step)
        if config.vector_operand:
            width = len(self.b_address)
            move = Mux(turn_last, walk.b_delta, walk.b_step)
            pixel = self._walk(m, "b", width, ends, order.b_base, move, walk.b_group_step)
            tap = Signal(width, name="b_tap", reset_less=True)
            m.d.comb += self.b_address.eq(pixel + tap)
            with m.If(setup | pixel_end):
                m.d.sync += tap.eq(0)
            with m.Elif(step):
                m.d.sync += tap.eq(tap + walk.b_tap_step)

        piece = Signal.like(self.piece, name="group_piece", reset_less=True)
        first_piece = exact_log2(config.parameter_bytes) - len(piece)
        with m.If(setup):
            m.d.sync += piece.eq(order.parameter_base[first_piece:])
        with m.Elif(group_end):
            m.d.sync += piece.eq(piece + fetch_cycles(config))

        place = Signal(place_of(config))
        m.d.comb += [
            place.lanes.eq(Cat(~last_group | (order.last_lanes > lane) for lane in range(config.vector_lanes))),
            place.to_activation.eq(walk.to_activation),
            place.to_output.eq(walk.to_output),
            place.activation.eq(offset + order.activation_base),
            place.output.eq(offset + order.output_base),
            self.place.eq(delayed(m, place, 1, "place")),
            self.piece.eq(delayed(m, piece, 1, "piece")),
        ]

    def _walk(
        self, m: Module, name: str, width: int, ends: tuple[Value, Value, Value], base: Value, move: Value, step: Value
    ) -> Value:
        """An address that goes on by `move` after each pixel; each group starts `step` after the one before."""
        setup, pixel_end, group_end = ends
        here = Signal(width, name=name, reset_less=True)
        group = Signal(width, name=f"{name}_group", reset_less=True)
        start = Signal(width, name=f"{name}_start")
        m.d.comb += start.eq(Mux(setup, base, group + step))
        with m.If(setup | group_end):
            m.d.sync += [here.eq(start), group.eq(start)]
        with m.Elif(pixel_end):
            m.d.sync += here.eq(here + move)
        return here
