"""The post unit: from the sums in the array to activations in the scratchpads."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.pipeline import delayed
from gatewright.hdl.requantise import Requantiser, ResidualAdder, result_shape
from gatewright.hdl.scratchpad import READ_LATENCY, WordScratchpad
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.drain import PLACE
from gatewright.targets.array.hdl.fields import fields_of, narrowed
from gatewright.targets.array.isa import CONFIG_POST, CONFIG_RANGE, parameter_layout
from gatewright.targets.array.timing import SUM_LATENCY, post_latency

__all__ = ["RANGE_NAMES", "TABLE_BYTES", "Post", "PostLane", "Settings", "TableWrite"]

TABLE_BYTES = 256

_REQUANTISATION = ("rounding", "zero", "low", "high", "negative_shift")
_RESIDUAL = ("residual", "mul_a", "mul_b", "add_bias", "add_shift", "add_zero", "add_low", "add_high")

RANGE_NAMES = frozenset(fields_of(CONFIG_RANGE).members)
"""Settings that CONFIG_RANGE brings on a machine with wide results."""


def Settings(config: ArrayConfig) -> data.StructLayout:
    """What a layer's instructions say of its results."""
    names = (*_REQUANTISATION, *_RESIDUAL, "table")
    if config.result_width == 8:
        return fields_of(CONFIG_POST, *names)
    result, added = result_shape(config.result_width), result_shape(config.residual_width)
    shapes = {"zero": result, "low": result, "high": result, "add_bias": signed(config.residual_width + 20)}
    shapes |= {"add_zero": added, "add_low": added, "add_high": added}
    return narrowed(fields_of(CONFIG_POST, *names, "result_size", "residual_size"), **shapes)


def TableWrite(config: ArrayConfig) -> wiring.Signature:
    rows = TABLE_BYTES // config.bus_bytes
    return wiring.Signature(
        {"enable": Out(1), "row": Out(exact_log2(rows)), "data": Out(config.bus_bits), "mask": Out(config.bus_bytes)}
    )


class PostLane(wiring.Component):
    """One lane: a sum and its parameters in, `post_latency` - `SUM_LATENCY` - 1 cycles later an activation out.

    `residual` belongs to the requantised sum, and comes with it; `pool_valid` and `pool_first` to what enters the pool
    unit. Units that the configuration leaves out, or the settings turn off, pass on what comes.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "settings": In(Settings(config)),
                "sum": In(signed(config.accumulator_width)),
                "parameter": In(parameter_layout(config.bias_width)),
                "residual": In(signed(config.residual_width)),
                "table": In(TableWrite(config)),
                "pool_valid": In(1),
                "pool_first": In(1),
                "result": Out(result_shape(config.result_width)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        value = self._requantise(m)
        if self.config.residual:
            value = self._add(m, value)
        if self.config.lut:
            value = self._look_up(m, value)
        if self.config.pool:
            value = self._pool(m, value)
        m.d.comb += self.result.eq(value)
        return m

    def _requantise(self, m: Module) -> Value:
        config, settings = self.config, self.settings
        m.submodules.requantiser = unit = Requantiser(
            config.accumulator_width, config.multiplier_width, config.result_width
        )
        m.d.comb += [
            unit.sum.eq(self.sum),
            unit.bias.eq(self.parameter.bias),
            unit.multiplier.eq(self.parameter.mul),
            unit.shift.eq(self.parameter.shift),
            unit.negative_shift.eq(settings.negative_shift),
            *(unit.conversion[name].eq(settings[name]) for name in ("rounding", "zero", "low", "high")),
        ]
        return unit.result

    def _add(self, m: Module, value: Value) -> Value:
        settings = self.settings
        m.submodules.adder = unit = ResidualAdder(self.config.residual_width)
        m.d.comb += [
            unit.a.eq(value),
            unit.b.eq(self.residual),
            unit.multiplier_a.eq(settings.mul_a),
            unit.multiplier_b.eq(settings.mul_b),
            unit.bias.eq(settings.add_bias),
            unit.shift.eq(settings.add_shift),
            unit.conversion.rounding.eq(settings.rounding),
            *(unit.conversion[name].eq(settings[f"add_{name}"]) for name in ("zero", "low", "high")),
        ]
        return Mux(settings.residual, unit.result, delayed(m, value, unit.LATENCY, "past_adder"))

    def _look_up(self, m: Module, value: Value) -> Value:
        m.submodules.table = table = WordScratchpad(TABLE_BYTES, 1, self.config.bus_bytes)
        m.d.comb += [
            table.read_enable.eq(self.settings.table),
            table.read_address.eq(value[:8] ^ 0x80),  # value + 128
            table.write_enable.eq(self.table.enable),
            table.write_address.eq(self.table.row),
            table.write_data.eq(self.table.data),
            table.write_mask.eq(self.table.mask),
        ]
        past = delayed(m, value, READ_LATENCY, "past_table")
        return Mux(self.settings.table, table.read_data.as_signed(), past)

    def _pool(self, m: Module, value: Value) -> Value:
        """Running maximum; that of the same column is as many valid cycles ago as there are lane groups."""
        groups = self.config.lane_groups
        shape = self.result.shape()
        running = [Signal(shape, name=f"running{index}", reset_less=True) for index in range(groups)]
        entering = Signal(shape)
        m.d.comb += entering.eq(Mux(~self.pool_first & (running[-1] > value), running[-1], value))
        with m.If(self.pool_valid):
            m.d.sync += [new.eq(old) for new, old in zip(running, [entering, *running], strict=False)]
        return running[0]


class Post(wiring.Component):
    """All lanes: takes the sums of the array's row that `Drain` names, and writes activations.

    Writes come `post_latency` cycles after the step of the drain, reads of the residual operand such that it is there
    in time. Neither can be refused.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        lanes = config.post_lanes
        super().__init__(
            {
                "settings": In(Settings(config)),
                "to_activation": In(1),
                "to_output": In(1),
                "sums": In(signed(config.accumulator_width)).array(config.columns),
                "group": In(range(config.lane_groups)),
                "valid": In(1),
                "place": In(PLACE(config)),
                "parameters": In(data.ArrayLayout(parameter_layout(config.bias_width), lanes)),
                "table": In(TableWrite(config)),
                "residual_enable": Out(1),
                "residual_address": Out(exact_log2(config.output_bytes)),
                "residual_data": In(config.residual_width * lanes),
                "write_activation": Out(1),
                "activation_address": Out(exact_log2(config.activation_bytes)),
                "write_output": Out(1),
                "output_address": Out(exact_log2(config.output_bytes)),
                "write_data": Out(config.result_width * lanes),
                "write_mask": Out(config.result_element_bytes * lanes),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes = [PostLane(self.config) for _ in range(self.config.post_lanes)]
        pool_valid, pool_first = self._place(m)
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = lane
            m.d.comb += [
                lane.settings.eq(self.settings),
                lane.sum.eq(self._sum(m, index)),
                lane.parameter.eq(self.parameters[index]),
                lane.residual.eq(self._residual(index)),
                lane.table.enable.eq(self.table.enable),
                lane.table.row.eq(self.table.row),
                lane.table.data.eq(self.table.data),
                lane.table.mask.eq(self.table.mask),
                lane.pool_valid.eq(pool_valid),
                lane.pool_first.eq(pool_first),
            ]
        self._pack(m, [lane.result for lane in lanes])
        return m

    def _residual(self, lane: int) -> Value:
        """A lane's residual operand."""
        byte = self.residual_data.word_select(lane, 8).as_signed()
        if self.config.residual_width == 8:
            return byte
        return Mux(self.settings.residual_size, self.residual_data.word_select(lane, 16).as_signed(), byte)

    def _pack(self, m: Module, results: list[Value]) -> None:
        """Results side by side, each as many bytes as the layer's elements have."""
        if self.config.result_width == 8:
            m.d.comb += self.write_data.eq(Cat(result[:8] for result in results))
            return
        with m.Switch(self.settings.result_size):
            for size in range(exact_log2(self.config.result_element_bytes) + 1):
                with m.Case(size):
                    m.d.comb += self.write_data.eq(Cat(result[: 8 << size] for result in results))

    def _mask(self, m: Module, lanes: Value) -> None:
        """Bytes that are written: those of the lanes that have a result."""
        if self.config.result_width == 8:
            m.d.comb += self.write_mask.eq(lanes)
            return
        with m.Switch(self.settings.result_size):
            for size in range(exact_log2(self.config.result_element_bytes) + 1):
                with m.Case(size):
                    m.d.comb += self.write_mask.eq(Cat(lane.replicate(1 << size) for lane in lanes))

    def _sum(self, m: Module, lane: int) -> Value:
        """The sum that a lane takes: that of its column in the lane group whose turn it is, a cycle later."""
        columns = range(lane, self.config.columns, self.config.post_lanes)
        chosen = Signal(signed(self.config.accumulator_width), name=f"chosen_{lane}")
        with m.Switch(self.group):
            for group, column in enumerate(columns):
                with m.Case(group):
                    m.d.comb += chosen.eq(self.sums[column])
        taken = Signal.like(chosen, name=f"sum_{lane}", reset_less=True)
        with m.If(self.valid):
            m.d.sync += taken.eq(chosen)
        return taken

    def _place(self, m: Module) -> tuple[Value, Value]:
        """Bring the place along, to the read of the residual operand and to the write.

        Returns what the pool needs of it.
        """
        config, place = self.config, self.place
        to_request = 1 + Requantiser.LATENCY - READ_LATENCY
        to_write = post_latency(config) - SUM_LATENCY
        requested = delayed(m, self.valid, to_request, "requested", keep_reset=True)
        pooled = delayed(m, requested, to_write - config.pool - to_request, "pooled", keep_reset=True)
        written = delayed(m, pooled, int(config.pool), "written", keep_reset=True)
        if config.residual:
            m.d.comb += [
                self.residual_enable.eq(requested & self.settings.residual),
                self.residual_address.eq(delayed(m, place.residual, to_request, "residual_address")),
            ]
        write = Signal()
        m.d.comb += [
            write.eq(written & delayed(m, place.pool_last, to_write, "pool_last")),
            self.write_activation.eq(write & self.to_activation),
            self.activation_address.eq(delayed(m, place.activation, to_write, "activation_address")),
            self.write_output.eq(write & self.to_output),
            self.output_address.eq(delayed(m, place.output, to_write, "output_address")),
        ]
        self._mask(m, delayed(m, place.mask, to_write, "mask"))
        return pooled, delayed(m, place.pool_first, to_write - config.pool, "pool_first")
