"""The order in which results leave the array, and where each of them goes."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.instruction import INSTRUCTION_BITS
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.stream_queue import StreamQueue
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of, take
from gatewright.targets.array.hdl.sequencer import TILE
from gatewright.targets.array.isa import COMPUTE, CONFIG_POST
from gatewright.targets.array.timing import COMPUTES_IN_FLIGHT, SUM_LATENCY, drain_delay, row_latency

__all__ = ["PLACE", "Drain", "Walk"]

BASES = fields_of(COMPUTE, "activation_base", "output_base", "residual_base")
PLACES = fields_of(COMPUTE, "parameter_base", *BASES.members, "last_columns")


_WALK = ("pool_count", "out_count", "out_step", "out_delta", "filter_step")


def Walk(config: ArrayConfig, *, splits: bool = False) -> data.StructLayout:
    """What a layer's CONFIG_POST says of places.

    Where a machine `splits` filter tiles: filters of a row of one, and whether each row has filters of its own.
    """
    sizes = ("result_size", "residual_size") if config.result_width > 8 else ()
    own = {"tile_columns": COMPUTE["last_columns"].shape, "split": 1} if splits else {}
    return data.StructLayout({**fields_of(CONFIG_POST, *_WALK, *sizes).members, **own})


_ADDRESS_WIDTH = 20


def PLACE(config: ArrayConfig) -> data.StructLayout:
    """Where the results of a lane group belong."""
    return data.StructLayout(
        {
            "mask": config.post_lanes,
            "pool_first": 1,  # the first pixel of a pool window ...
            "pool_last": 1,  # ... and the last one, which is written
            "activation": exact_log2(config.activation_bytes),
            "output": exact_log2(config.output_bytes),
            "residual": exact_log2(config.output_bytes),
        }
    )


class Drain(wiring.Component):
    """Takes the results of each tile off the array, a lane group of one row in each *step*, from `drain_delay` on.

    `start` takes the COMPUTE that tiles will belong to after those of the COMPUTEs before it. In a step the parameters
    of its lane group are requested; `row` tells the array which results to choose, `group` the post unit `SUM_LATENCY`
    cycles after the step which of these to take; `valid` and `place` come with it. `completed` comes with the last step
    of a COMPUTE; the next one's first may follow it.
    """

    def __init__(self, config: ArrayConfig, *, splits: bool = False) -> None:
        self.config, self.splits = config, splits
        super().__init__(
            {
                "command": In(INSTRUCTION_BITS),
                "start": In(1),
                "walk": In(Walk(config, splits=splits)),
                "tile": In(TILE),
                "tile_end": In(1),
                "parameter_enable": Out(1),
                "parameter_address": Out(exact_log2(config.parameter_bytes // config.parameter_word_bytes)),
                "group": Out(range(config.lane_groups)),
                "row": Out(range(config.rows)),
                "valid": Out(1),
                "place": Out(PLACE(config)),
                "completed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        step, row, group, row_end, filter_end, ragged = self._count(m)
        places = self._places(m)
        bases = Signal(BASES, reset_less=True)  # of the step before
        m.d.sync += (bases[name].eq(places[name]) for name, _ in BASES)

        parameter = Signal.like(self.parameter_address)  # of the filter tile, relative
        base = places.parameter_base[exact_log2(config.parameter_word_bytes) :]
        m.d.comb += [self.parameter_enable.eq(step), self.parameter_address.eq(base + parameter + group)]
        with m.If(filter_end | (row_end & self.walk.split if self.splits else 0)):
            m.d.sync += parameter.eq(parameter + config.lane_groups)
        with m.If(self.completed):
            m.d.sync += parameter.eq(0)

        offset, pool_first, pool_last = self._walk(m, row_end, filter_end)
        lane = (group << exact_log2(config.post_lanes)) if config.result_width == 8 else self._lane_bytes(group)
        relative = delayed(m, offset + lane, 1, "relative")
        whole = self.walk.tile_columns if self.splits else config.columns
        columns = Mux(ragged, places.last_columns, whole) - (group << exact_log2(config.post_lanes))
        place = Signal(PLACE(config))
        m.d.comb += [
            place.mask.eq(delayed(m, Cat(columns > lane for lane in range(config.post_lanes)), 1, "mask")),
            place.pool_first.eq(delayed(m, pool_first, 1, "pool_first")),
            place.pool_last.eq(delayed(m, pool_last, 1, "pool_last")),
            place.activation.eq(relative + bases.activation_base),
            place.output.eq(relative + bases.output_base),
            place.residual.eq(self._residual_distance(relative) + bases.residual_base),
            self.place.eq(delayed(m, place, SUM_LATENCY - 1, "place")),
            self.valid.eq(delayed(m, step, SUM_LATENCY, "step", keep_reset=True)),
        ]
        m.d.comb += [
            self.group.eq(delayed(m, group, SUM_LATENCY, "group")),
            self.row.eq(delayed(m, row, row_latency(config), "row")),
        ]
        return m

    def _lane_bytes(self, group: Value) -> Value:
        """Distance of a lane group's first result from the pixel's."""
        return group << exact_log2(self.config.post_lanes) << self.walk.result_size

    def _residual_distance(self, distance: Value) -> Value:
        """Distance of the residual operand where the result has this one."""
        if self.config.result_width == 8:
            return distance
        walk = self.walk
        return Mux(
            walk.result_size == walk.residual_size,
            distance,
            Mux(walk.residual_size, distance << 1, distance >> 1),
        )

    def _count(self, m: Module) -> tuple[Value, ...]:
        """Steps, rows and tiles: step, row, lane group, last step of a row and of a filter tile, ragged row."""
        delay = drain_delay(self.config) - 1
        arrived = delayed(m, self.tile_end, delay, "tile_end", keep_reset=True)
        arrived_tile = delayed(m, self.tile, delay, "tile")
        tile = Signal(TILE, reset_less=True)
        step = Signal()
        nothing = Signal()  # a tile without results
        row = Signal(range(self.config.rows))
        group = Signal(range(self.config.lane_groups))
        row_end = Signal()
        filter_end = Signal()
        m.d.comb += [
            row_end.eq(step & (group == self.config.lane_groups - 1)),
            filter_end.eq(((row_end & (tile.rows == 1)) | nothing) & tile.filter_done),
            self.completed.eq(filter_end & tile.last_filter),
        ]
        m.d.sync += nothing.eq(arrived & (arrived_tile.rows == 0))
        with m.If(step):
            m.d.sync += group.eq(Mux(row_end, 0, group + 1))
        with m.If(row_end):
            m.d.sync += [row.eq(row + 1), tile.rows.eq(tile.rows - 1), step.eq(tile.rows != 1)]
        with m.If(arrived):
            m.d.sync += [row.eq(0), tile.eq(arrived_tile), step.eq(arrived_tile.rows != 0)]
        return step, row, group, row_end, filter_end, self._ragged(tile)

    def _ragged(self, tile: data.View) -> Value:
        """Whether the row has `last_columns` filters: in the last filter tile, where rows share them its last row."""
        return tile.last_filter & (~self.walk.split | (tile.rows == 1)) if self.splits else tile.last_filter

    def _places(self, m: Module) -> data.View:
        """Places of the COMPUTE whose steps are taken."""
        m.submodules.commands = commands = StreamQueue(PLACES, COMPUTES_IN_FLIGHT)
        m.d.comb += [
            *take(commands.i.payload, COMPUTE, self.command),
            commands.i.valid.eq(self.start),
            commands.o.ready.eq(self.completed),
        ]
        return commands.o.payload

    def _walk(self, m: Module, row_end: Value, filter_end: Value) -> tuple[Value, Value, Value]:
        """Offset of the pixel that is written, and whether this one is the first or last to be merged into it."""
        walk = self.walk
        offset = Signal(_ADDRESS_WIDTH)
        filter_offset = Signal(_ADDRESS_WIDTH)
        next_filter = Signal(_ADDRESS_WIDTH)
        turn = Signal.like(walk.out_count)
        turn_last = Signal()
        pool_first, pool_last, written = self._pool(m, row_end, filter_end)
        m.d.comb += [turn_last.eq(turn == walk.out_count - 1), next_filter.eq(filter_offset + walk.filter_step)]
        with m.If(written):
            m.d.sync += offset.eq(offset + Mux(turn_last, walk.out_delta, walk.out_step))
            m.d.sync += turn.eq(Mux(turn_last, 0, turn + 1))
        with m.If(filter_end):
            m.d.sync += [offset.eq(next_filter), filter_offset.eq(next_filter), turn.eq(0)]
        with m.If(self.completed):
            m.d.sync += [offset.eq(0), filter_offset.eq(0)]
        return offset, pool_first, pool_last

    def _pool(self, m: Module, row_end: Value, filter_end: Value) -> tuple[Value, Value, Value]:
        if not self.config.pool:
            return Const(1), Const(1), row_end
        index = Signal.like(self.walk.pool_count)
        last = Signal()
        m.d.comb += last.eq(index == self.walk.pool_count - 1)
        with m.If(row_end):
            m.d.sync += index.eq(Mux(last, 0, index + 1))
        with m.If(filter_end):
            m.d.sync += index.eq(0)
        return index == 0, last, row_end & last
