"""The core: scratchpads, feed, array, post unit, and the commands that drive them."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from gatewright.hdl.core_port import CorePort
from gatewright.hdl.instruction import HEADER, Memory
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import WRITE_LATENCY, ByteScratchpad, WordScratchpad
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.array import Array, ArrayParameters
from gatewright.targets.array.hdl.drain import Drain, Walk
from gatewright.targets.array.hdl.feed import Feed
from gatewright.targets.array.hdl.fields import fields_of, take
from gatewright.targets.array.hdl.post import RANGE_NAMES, TABLE_BYTES, Post, Settings
from gatewright.targets.array.hdl.vector import VectorUnit
from gatewright.targets.array.isa import CONFIG_POST, CONFIG_RANGE, Operation
from gatewright.targets.array.isa_vector import VECTOR_UNIT, VectorOperation
from gatewright.targets.array.timing import COMPUTES_IN_FLIGHT, FEED_LATENCY, post_latency

__all__ = ["Core"]

TARGETS = fields_of(CONFIG_POST, "to_activation", "to_output")


class Core(wiring.Component):
    """Everything behind the shell. Timing: `gatewright.targets.array.timing`.

    CONFIG_PIXELS, CONFIG_TAPS and COMPUTE are accepted when the feed is idle, CONFIG_POST and CONFIG_RANGE when
    no COMPUTE is in progress any more. Other commands are accepted and do nothing. The post unit's accesses to a
    scratchpad have precedence over the DMA's, and so have the vector unit's. One of the two units computes at a time.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__({"port": Out(CorePort(config.bus_bits))})

    def elaborate(self, platform) -> Fragment:
        m = Module()
        m.submodules.feed = feed = Feed(self.config)
        m.submodules.array = array = Array(ArrayParameters.of(self.config))
        m.submodules.drain = drain = Drain(self.config)
        m.submodules.post = post = Post(self.config)
        vector = VectorUnit(self.config) if self.config.vector_lanes else None
        if vector:
            m.submodules.vector = vector
        set_post, set_range = self._commands(m, feed, drain, vector)
        self._settings(m, set_post, set_range, drain, post)
        m.d.comb += [
            array.tap.eq(feed.tap),
            *(array.activation[row].eq(feed.activation[row]) for row in range(self.config.rows)),
            *(array.weight[column].eq(feed.weight[column]) for column in range(self.config.columns)),
            array.row.eq(drain.row),
            *(post.sums[column].eq(array.result[column]) for column in range(self.config.columns)),
            drain.tile.eq(feed.tile),
            drain.tile_end.eq(feed.tile_end),
            post.group.eq(drain.group),
            post.valid.eq(drain.valid),
            post.place.eq(drain.place),
            self.port.computing.eq(feed.tap.valid | vector.stepping if vector else feed.tap.valid),
            self.port.draining.eq(delayed(m, feed.draining, FEED_LATENCY, "draining")),  # as late as `computing`
        ]
        m.d.comb += self.port.write.ready.eq(1)
        self._read_only(m, feed, drain, post, vector)
        self._activations(m, feed, post, vector)
        self._outputs(m, post, vector)
        return ResetInserter(self.port.reset)(m)

    def _commands(self, m: Module, feed: Feed, drain: Drain, vector: VectorUnit | None) -> tuple[Value, Value]:
        """Accept commands; count the COMPUTEs that are not completed.

        Returns whether a CONFIG_POST is accepted, and whether a CONFIG_RANGE.
        """
        word = self.port.commands.payload
        set_post = Signal()
        set_range = Signal() if self.config.result_width > 8 else Const(0)
        in_flight = Signal(range(COMPUTES_IN_FLIGHT + 1))
        done = delayed(m, drain.completed, post_latency(self.config) + WRITE_LATENCY, "completed", keep_reset=True)
        may_start = feed.idle & (in_flight != COMPUTES_IN_FLIGHT)
        of_array = [
            (Operation.CONFIG_PIXELS, feed.set_pixels, feed.idle),
            (Operation.CONFIG_TAPS, feed.set_taps, feed.idle),
            (Operation.CONFIG_POST, set_post, in_flight == 0),
            (Operation.COMPUTE, feed.start, may_start & ~vector.busy if vector else may_start),
            *([(Operation.CONFIG_RANGE, set_range, in_flight == 0)] if self.config.result_width > 8 else []),
        ]
        if vector:
            of_vector = [
                (VectorOperation.CONFIG_PIXELS, vector.set_pixels, vector.idle),
                (VectorOperation.CONFIG_TAPS, vector.set_taps, vector.idle),
                (VectorOperation.CONFIG_WALK, vector.set_walk, vector.idle),
                (VectorOperation.CONFIG_LANES, vector.set_lanes, vector.settled),
                (VectorOperation.CONFIG_POST, vector.set_post, ~vector.busy),
                (VectorOperation.COMPUTE, vector.start, vector.idle & (in_flight == 0)),
            ]
            with m.If(data.View(HEADER, word[: HEADER.size]).unit == VECTOR_UNIT):
                self._accept(m, of_vector)
            with m.Else():
                self._accept(m, of_array)
            m.d.comb += vector.command.eq(word)
        else:
            self._accept(m, of_array)
        m.d.sync += in_flight.eq(in_flight + feed.start - done)
        m.d.comb += [
            feed.command.eq(word),
            drain.command.eq(word),
            drain.start.eq(feed.start),
            self.port.completed.eq(done | vector.completed if vector else done),
            self.port.busy.eq((in_flight != 0) | vector.busy if vector else in_flight != 0),
        ]
        return set_post, set_range

    def _accept(self, m: Module, operations: Sequence[tuple[int, Value, Value]]) -> None:
        """Take the command if its operation's condition holds, and tell the operation so."""
        commands = self.port.commands
        with m.Switch(commands.payload[: HEADER["opcode"].width]):
            for operation, strobe, condition in operations:
                with m.Case(operation):
                    m.d.comb += [commands.ready.eq(condition), strobe.eq(condition & commands.valid)]
            with m.Default():
                m.d.comb += commands.ready.eq(1)

    def _settings(self, m: Module, set_post: Value, set_range: Value, drain: Drain, post: Post) -> None:
        word = self.port.commands.payload
        settings = Signal(Settings(self.config), reset_less=True)
        walk = Signal(Walk(self.config), reset_less=True)
        targets = Signal(TARGETS, reset_less=True)
        elsewhere = RANGE_NAMES if self.config.result_width > 8 else frozenset()
        with m.If(set_post):
            for register in (settings, walk, targets):
                m.d.sync += take(register, CONFIG_POST, word, set(register.shape().members) - elsewhere)
        if elsewhere:
            with m.If(set_range):
                m.d.sync += take(settings, CONFIG_RANGE, word, elsewhere)
        m.d.comb += [
            post.settings.eq(settings),
            drain.walk.eq(walk),
            post.to_activation.eq(targets.to_activation),
            post.to_output.eq(targets.to_output),
        ]

    def _read_only(self, m: Module, feed: Feed, drain: Drain, post: Post, vector: VectorUnit | None) -> None:
        """Weights, parameters and table: written by the DMA alone, in whole words of the bus."""
        config, write = self.config, self.port.write
        m.submodules.weights = weights = WordScratchpad(config.weight_bytes, config.weight_word_bytes, config.bus_bytes)
        m.submodules.parameters = parameters = WordScratchpad(
            config.parameter_bytes, config.parameter_word_bytes, config.bus_bytes
        )
        row = write.payload.address[exact_log2(config.bus_bytes) :]
        for memory, scratchpad in ((Memory.WEIGHT, weights), (Memory.PARAMETER, parameters)):
            m.d.comb += [
                scratchpad.write_enable.eq(write.valid & (write.payload.memory == memory)),
                scratchpad.write_address.eq(row),
                scratchpad.write_data.eq(write.payload.data),
                scratchpad.write_mask.eq(write.payload.mask),
            ]
        m.d.comb += [
            weights.read_enable.eq(feed.weight_enable),
            weights.read_address.eq(feed.weight_row),
            feed.weight_data.eq(weights.read_data),
            parameters.read_enable.eq(drain.parameter_enable),
            parameters.read_address.eq(drain.parameter_address),
            post.parameters.eq(parameters.read_data),
        ]
        if vector:
            m.d.comb += vector.parameter_data.eq(parameters.read_data)
            with m.If(vector.parameter_enable):
                m.d.comb += [parameters.read_enable.eq(1), parameters.read_address.eq(vector.parameter_address)]
        for unit in (post, vector) if vector else (post,):
            m.d.comb += [
                unit.table.enable.eq(write.valid & (write.payload.memory == Memory.TABLE)),
                unit.table.row.eq(row[: exact_log2(TABLE_BYTES // config.bus_bytes)]),
                unit.table.data.eq(write.payload.data),
                unit.table.mask.eq(write.payload.mask),
            ]

    def _activations(self, m: Module, feed: Feed, post: Post, vector: VectorUnit | None) -> None:
        config = self.config
        m.submodules.activations = scratchpad = ByteScratchpad(config.activation_bytes, config.scratch_bytes)
        m.d.comb += [
            scratchpad.read_enable.eq(feed.activation_enable),
            scratchpad.read_address.eq(feed.activation_address),
            feed.activation_data.eq(scratchpad.read_data),
        ]
        if vector:
            m.d.comb += vector.a_data.eq(scratchpad.read_data)
            with m.If(vector.a_enable):
                m.d.comb += [scratchpad.read_enable.eq(1), scratchpad.read_address.eq(vector.a_address)]
        writers = [(unit, unit.write_activation, unit.activation_address) for unit in (post, vector) if unit]
        self._write(m, Memory.ACTIVATION, scratchpad, writers)

    def _outputs(self, m: Module, post: Post, vector: VectorUnit | None) -> None:
        config, read = self.config, self.port.read
        m.submodules.outputs = scratchpad = ByteScratchpad(config.output_bytes, config.scratch_bytes)
        m.d.comb += [
            read.ready.eq(~post.residual_enable),
            scratchpad.read_enable.eq(read.valid | post.residual_enable),
            scratchpad.read_address.eq(Mux(post.residual_enable, post.residual_address, read.payload.address)),
            self.port.read_data.eq(scratchpad.read_data),
            post.residual_data.eq(scratchpad.read_data),
        ]
        if vector:
            m.d.comb += vector.b_data.eq(scratchpad.read_data)
            with m.If(vector.b_enable):
                m.d.comb += [
                    read.ready.eq(0),
                    scratchpad.read_enable.eq(1),
                    scratchpad.read_address.eq(vector.b_address),
                ]
        writers = [(unit, unit.write_output, unit.output_address) for unit in (post, vector) if unit]
        self._write(m, Memory.OUTPUT, scratchpad, writers)

    def _write(self, m: Module, memory: Memory, scratchpad: ByteScratchpad, writers: list[tuple[Any, ...]]) -> None:
        """The write port of a scratchpad that units (which write, where) and DMA share; units cannot be refused."""
        write = self.port.write
        wanted = write.valid & (write.payload.memory == memory)
        m.d.comb += [
            scratchpad.write_enable.eq(wanted),
            scratchpad.write_address.eq(write.payload.address),
            scratchpad.write_data.eq(write.payload.data),
            scratchpad.write_mask.eq(write.payload.mask),
        ]
        for unit, writes, address in writers:
            with m.If(writes):
                m.d.comb += [
                    scratchpad.write_enable.eq(1),
                    scratchpad.write_address.eq(address),
                    scratchpad.write_data.eq(unit.write_data),
                    scratchpad.write_mask.eq(unit.write_mask),
                ]
                with m.If(write.payload.memory == memory):
                    m.d.comb += write.ready.eq(0)
