"""The core: decoder, buffers, feed, array of fusion units, post unit."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from gatewright.hdl.core_port import CorePort
from gatewright.hdl.instruction import INSTRUCTION_BITS, Memory
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import WRITE_LATENCY, ByteScratchpad, WordScratchpad
from gatewright.targets.array.hdl.array import Array, ArrayParameters
from gatewright.targets.array.hdl.drain import Drain
from gatewright.targets.array.hdl.post import TABLE_BYTES, Post
from gatewright.targets.array.isa import COMPUTE
from gatewright.targets.array.timing import COMPUTES_IN_FLIGHT, FEED_LATENCY, post_latency
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.hdl.array import FusionArray, fusion_parameters
from gatewright.targets.bitfusion.hdl.decoder import Decoder
from gatewright.targets.bitfusion.hdl.feed import FusionFeed
from gatewright.targets.bitfusion.hdl.post import LanePacker, LaneUnpacker, lane_distance
from gatewright.targets.bitfusion.hdl.state import STATE_LAYOUT, width_is
from gatewright.targets.bitfusion.hdl.succession import Succession

__all__ = ["FusionCore"]

_SIGNED_BIT = 8


class FusionCore(wiring.Component):
    """Everything behind the shell.

    A `compute` starts when the feed is idle and less than four are under way, and as `timing` says. The post unit's
    accesses to a buffer go before the DMA's.
    """

    def __init__(self, config: FusionConfig) -> None:
        self.config = config
        self.array = config.array()
        super().__init__({"port": Out(CorePort(config.bus_bits))})

    def elaborate(self, platform) -> Fragment:
        m = Module()
        config = self.config
        m.submodules.decoder = decoder = Decoder()
        m.submodules.feed = feed = FusionFeed(config)
        m.submodules.array = array = self._array()
        m.submodules.drain = drain = Drain(self.array, splits=True)
        m.submodules.post = post = Post(self.array)
        m.submodules.succession = succession = Succession(self.array)
        state = self._start(m, decoder, feed, drain, succession)
        settings = succession.settings
        m.d.comb += [
            feed.state.eq(state),
            array.tap.eq(feed.tap),
            *(array.activation[row].eq(feed.activation[row]) for row in range(config.rows)),
            *(array.weight[column].eq(feed.weight[column]) for column in range(config.columns)),
            array.row.eq(drain.row),
            *(post.sums[column].eq(array.result[column]) for column in range(config.columns)),
            drain.tile.eq(feed.tile),
            drain.tile_end.eq(feed.tile_end),
            post.group.eq(drain.group),
            post.valid.eq(drain.valid),
            self.port.computing.eq(feed.tap.valid),
            self.port.draining.eq(delayed(m, feed.draining, FEED_LATENCY, "draining")),  # as late as `computing`
        ]
        self._settings(m, settings, drain, post)
        self._place(m, settings, drain, post)
        self._read_only(m, feed, drain, post)
        data_, mask = self._results(m, settings, post)
        self._inputs(m, feed, post, data_, mask)
        self._outputs(m, settings, post, data_, mask)
        memory = self.port.write.payload.memory
        taken = ((memory == Memory.ACTIVATION) & post.write_activation) | (
            (memory == Memory.OUTPUT) & post.write_output
        )
        m.d.comb += self.port.write.ready.eq(~taken)
        return ResetInserter(self.port.reset)(m)

    def _array(self) -> Array:
        parameters = ArrayParameters.of(self.array)
        if not self.config.composable:
            return Array(parameters)
        rows, columns, width = parameters.rows, parameters.columns, parameters.accumulator_width
        return FusionArray(fusion_parameters(rows, columns, width, parameters.registers))

    def _start(self, m: Module, decoder: Decoder, feed: FusionFeed, drain: Drain, succession: Succession) -> data.View:
        """Start what the decoder offers; returns the state that it works on."""
        in_flight = Signal(range(COMPUTES_IN_FLIGHT + 1))
        done = delayed(m, drain.completed, post_latency(self.array) + WRITE_LATENCY, "completed", keep_reset=True)
        state = Signal(STATE_LAYOUT, reset_less=True)
        flags = Signal(2, reset_less=True)
        command = data.View(COMPUTE, Signal(INSTRUCTION_BITS, name="command"))
        m.d.comb += [
            decoder.commands.payload.eq(self.port.commands.payload),
            decoder.commands.valid.eq(self.port.commands.valid),
            self.port.commands.ready.eq(decoder.commands.ready),
            decoder.ready.eq(feed.idle & (in_flight != COMPUTES_IN_FLIGHT) & succession.may_follow),
            feed.start.eq(decoder.valid & decoder.ready),
            feed.flags.eq(flags),
            feed.opening.eq(succession.opening),
            *(getattr(succession, name).eq(getattr(decoder, name)) for name in ("fenced", "under_way", "changed")),
            succession.nothing.eq(in_flight == 0),
            succession.start.eq(feed.start),
            succession.tile_end.eq(feed.tile_end),
            succession.state.eq(state),
            drain.start.eq(feed.start),
            drain.command.eq(command.as_value()),
            command.parameter_base.eq(decoder.state.parameter_base),
            command.activation_base.eq(decoder.state.next_base),
            command.output_base.eq(decoder.state.obuf_base),
            command.residual_base.eq(decoder.state.residual_base),
            command.last_columns.eq(decoder.state.last_columns),
            self.port.completed.eq(done),
            self.port.busy.eq((in_flight != 0) | decoder.busy),
        ]
        with m.If(feed.start):
            m.d.sync += [state.eq(decoder.state), flags.eq(decoder.flags)]
        m.d.sync += in_flight.eq(in_flight + feed.start - done)
        return state

    def _settings(self, m: Module, settings: data.View, drain: Drain, post: Post) -> None:
        """The shared parts' settings, by their own names."""
        others = {
            "residual": settings.add,
            "residual_size": width_is(settings.residual, 16),
            "add_bias": Cat(settings.add_bias, settings.add_bias_high),
        }
        for target in (drain.walk, post.settings):
            for name, _ in target.shape():
                m.d.comb += target[name].eq(others[name] if name in others else settings[name])
        m.d.comb += [post.to_activation.eq(settings.to_next), post.to_output.eq(settings.to_obuf)]

    def _place(self, m: Module, settings: data.View, drain: Drain, post: Post) -> None:
        """Where a lane group belongs: nearer to the pixel's first byte than with a byte a lane."""
        width = settings.output[:_SIGNED_BIT]
        saved = lane_distance(m, drain.group, self.config.post_lanes, width, "saved")
        m.d.comb += post.place.eq(drain.place)
        for name in ("activation", "output", "residual"):
            m.d.comb += post.place[name].eq(drain.place[name] - saved)

    def _results(self, m: Module, settings: data.View, post: Post) -> tuple[Value, Value]:
        m.submodules.packer = packer = LanePacker(self.config.post_lanes)
        m.d.comb += [
            packer.width.eq(settings.output[:_SIGNED_BIT]),
            packer.lane.eq(post.write_data[: 8 * self.config.post_lanes]),
            packer.mask.eq(post.write_mask[: self.config.post_lanes]),
        ]
        if self.config.result_width == 8:
            return packer.data, packer.bytes
        wide = settings.result_size != 0
        return Mux(wide, post.write_data, packer.data), Mux(wide, post.write_mask, packer.bytes)

    def _read_only(self, m: Module, feed: FusionFeed, drain: Drain, post: Post) -> None:
        """Weights, parameters and table: written by the DMA alone."""
        config, array, write = self.config, self.array, self.port.write
        m.submodules.weights = weights = ByteScratchpad(config.wbuf_bytes, config.weight_window)
        m.submodules.parameters = parameters = WordScratchpad(
            config.parameter_bytes, array.parameter_word_bytes, config.bus_bytes
        )
        row = write.payload.address[exact_log2(config.bus_bytes) :]
        m.d.comb += [
            weights.write_enable.eq(write.valid & (write.payload.memory == Memory.WEIGHT)),
            weights.write_address.eq(write.payload.address),
            weights.write_data.eq(write.payload.data),
            weights.write_mask.eq(write.payload.mask),
            weights.read_enable.eq(feed.weight_enable),
            weights.read_address.eq(feed.weight_address),
            feed.weight_data.eq(weights.read_data),
            parameters.write_enable.eq(write.valid & (write.payload.memory == Memory.PARAMETER)),
            parameters.write_address.eq(row),
            parameters.write_data.eq(write.payload.data),
            parameters.write_mask.eq(write.payload.mask),
            parameters.read_enable.eq(drain.parameter_enable),
            parameters.read_address.eq(drain.parameter_address),
            post.parameters.eq(parameters.read_data),
            post.table.enable.eq(write.valid & (write.payload.memory == Memory.TABLE)),
            post.table.row.eq(row[: exact_log2(TABLE_BYTES // config.bus_bytes)]),
            post.table.data.eq(write.payload.data),
            post.table.mask.eq(write.payload.mask),
        ]

    def _inputs(self, m: Module, feed: FusionFeed, post: Post, results: Value, mask: Value) -> None:
        m.submodules.inputs = buffer = ByteScratchpad(self.config.ibuf_bytes, self.config.feed_window)
        m.d.comb += [
            buffer.read_enable.eq(feed.input_enable),
            buffer.read_address.eq(feed.input_address),
            feed.input_data.eq(buffer.read_data),
        ]
        self._write(m, Memory.ACTIVATION, buffer, (post.write_activation, post.activation_address, results, mask))

    def _outputs(self, m: Module, settings: data.View, post: Post, results: Value, mask: Value) -> None:
        config, read = self.config, self.port.read
        m.submodules.outputs = buffer = ByteScratchpad(config.obuf_bytes, config.result_window)
        m.submodules.unpacker = unpacker = LaneUnpacker(config.post_lanes)
        m.d.comb += [
            read.ready.eq(~post.residual_enable),
            buffer.read_enable.eq(read.valid | post.residual_enable),
            buffer.read_address.eq(Mux(post.residual_enable, post.residual_address, read.payload.address)),
            self.port.read_data.eq(buffer.read_data),
            unpacker.width.eq(settings.residual[:_SIGNED_BIT]),
            unpacker.data.eq(buffer.read_data),
            post.residual_data.eq(self._residual(settings, buffer.read_data, unpacker.lane)),
        ]
        self._write(m, Memory.OUTPUT, buffer, (post.write_output, post.output_address, results, mask))

    def _residual(self, settings: data.View, read: Value, lanes: Value) -> Value:
        """Operands of 16 bits as they are read, narrower ones a byte a lane."""
        if self.config.result_width == 8:
            return lanes
        return Mux(width_is(settings.residual, 16), read, lanes)

    def _write(
        self, m: Module, memory: Memory, buffer: ByteScratchpad, by_post: tuple[Value, Value, Value, Value]
    ) -> None:
        """The write port of a buffer that post unit and DMA share."""
        write = self.port.write
        enable, address, results, mask = by_post
        with m.If(enable):
            m.d.comb += [
                buffer.write_enable.eq(1),
                buffer.write_address.eq(address),
                buffer.write_data.eq(results),
                buffer.write_mask.eq(mask),
            ]
        with m.Else():
            m.d.comb += [
                buffer.write_enable.eq(write.valid & (write.payload.memory == memory)),
                buffer.write_address.eq(write.payload.address),
                buffer.write_data.eq(write.payload.data),
                buffer.write_mask.eq(write.payload.mask),
            ]
