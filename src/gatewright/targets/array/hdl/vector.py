"""The vector unit: lanes that work on consecutive elements, and what brings these there and back."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.instruction import INSTRUCTION_BITS
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import WRITE_LATENCY
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import take
from gatewright.targets.array.hdl.post import TableWrite
from gatewright.targets.array.hdl.sequencer import PIXELS
from gatewright.targets.array.hdl.vector_gather import FRAME, TILE_FRAME, VectorGather
from gatewright.targets.array.hdl.vector_lane import ACCUMULATE, INDEX_WIDTH, VectorLane
from gatewright.targets.array.hdl.vector_parameters import VectorParameters
from gatewright.targets.array.hdl.vector_sequencer import ORDER, TAPS, WALK, VectorSequencer
from gatewright.targets.array.hdl.vector_settings import VectorSettings
from gatewright.targets.array.isa import CONFIG_PIXELS
from gatewright.targets.array.isa_vector import VECTOR_COMPUTE, VECTOR_TAPS, VECTOR_WALK
from gatewright.targets.array.timing import GATHER_LATENCY
from gatewright.targets.array.timing_vector import (
    settings_cycles,
    sum_latency,
    vector_in_flight,
    vector_latency,
)

__all__ = ["VectorUnit"]


class VectorUnit(wiring.Component):
    """Takes one configuration command or COMPUTE a cycle, and runs as `timing_vector` says. Nothing holds it up.

    `ready` are the commands that it would take now; the strobes say that `command` is one. `completed` comes when all
    writes of a COMPUTE are seen by reads.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        window = 8 * config.vector_window_bytes
        super().__init__(
            {
                "command": In(INSTRUCTION_BITS),
                "set_pixels": In(1),
                "set_taps": In(1),
                "set_walk": In(1),
                "set_lanes": In(1),
                "set_post": In(1),
                "start": In(1),
                "idle": Out(1),  # all but CONFIG_LANES and CONFIG_POST can be taken
                "settled": Out(1),  # CONFIG_LANES, too
                "busy": Out(1),  # not CONFIG_POST, either
                "stepping": Out(1),
                "completed": Out(1),
                "a_enable": Out(1),
                "a_address": Out(exact_log2(config.activation_bytes)),
                "a_data": In(window),
                "b_enable": Out(1),
                "b_address": Out(exact_log2(config.output_bytes)),
                "b_data": In(window),
                "parameter_enable": Out(1),
                "parameter_address": Out(exact_log2(config.parameter_bytes // config.parameter_word_bytes)),
                "parameter_data": In(8 * config.parameter_word_bytes),
                "table": In(TableWrite(config)),
                "write_activation": Out(1),
                "activation_address": Out(exact_log2(config.activation_bytes)),
                "write_output": Out(1),
                "output_address": Out(exact_log2(config.output_bytes)),
                "write_data": Out(window),
                "write_mask": Out(config.vector_window_bytes),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = VectorSequencer(self.config)
        m.submodules.settings = settings = VectorSettings(self.config)
        m.submodules.gather = gather = VectorGather(self.config)
        m.submodules.parameters = parameters = VectorParameters(self.config)
        self._registers(m, sequencer, gather)
        step = sequencer.step
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.per_channel.eq(settings.per_channel),
            settings.command.eq(self.command),
            settings.set_lanes.eq(self.set_lanes),
            settings.set_post.eq(self.set_post),
            settings.begin.eq(step.begin),
            gather.step.eq(step),
            gather.wide.eq(settings.a_wide_early),
            self.a_enable.eq(gather.read_enable),
            self.a_address.eq(gather.read_address),
            parameters.fetch.eq(delayed(m, step.fetch, 1, "fetch", keep_reset=True)),
            parameters.piece.eq(sequencer.piece),
            self.parameter_enable.eq(parameters.read_enable),
            self.parameter_address.eq(parameters.read_address),
            parameters.read_data.eq(self.parameter_data),
            self.stepping.eq(step.valid),
        ]
        if self.config.vector_operand:
            m.d.comb += [
                self.b_enable.eq(delayed(m, step.valid & settings.operand, GATHER_LATENCY, "b", keep_reset=True)),
                self.b_address.eq(delayed(m, sequencer.b_address, GATHER_LATENCY, "b_address")),
            ]
        self._progress(m, sequencer)
        lanes = self._lanes(m, settings, gather, parameters, self._accumulate(m, sequencer, settings))
        self._write(m, sequencer, settings, lanes)
        return m

    def _registers(self, m: Module, sequencer: VectorSequencer, gather: VectorGather) -> None:
        for layout, strobe, parts in (
            (CONFIG_PIXELS, self.set_pixels, {"pixels": (PIXELS, sequencer.pixels)}),
            (VECTOR_TAPS, self.set_taps, {"taps": (TAPS, sequencer.taps), "frame": (FRAME, gather.frame)}),
            (VECTOR_WALK, self.set_walk, {"walk": (WALK, sequencer.walk)}),
            (VECTOR_COMPUTE, self.start, {"order": (ORDER, sequencer.order), "tile": (TILE_FRAME, gather.tile)}),
        ):
            for name, (shape, target) in parts.items():
                register = Signal(shape, name=name, reset_less=True)
                m.d.comb += target.eq(register)
                with m.If(strobe):
                    m.d.sync += take(register, layout, self.command)

    def _progress(self, m: Module, sequencer: VectorSequencer) -> None:
        in_flight = Signal(range(vector_in_flight(self.config) + 1))
        settling = Signal(range(settings_cycles(self.config)))
        latency = vector_latency(self.config) + WRITE_LATENCY
        m.d.comb += [
            self.idle.eq(sequencer.idle),
            self.settled.eq(sequencer.idle & (settling == 0)),
            self.completed.eq(delayed(m, sequencer.step.done, latency, "completed", keep_reset=True)),
            self.busy.eq(in_flight != 0),
        ]
        m.d.sync += in_flight.eq(in_flight + self.start - self.completed)
        with m.If(sequencer.step.begin):
            m.d.sync += settling.eq(settings_cycles(self.config) - 1)
        with m.Elif(settling != 0):
            m.d.sync += settling.eq(settling - 1)

    def _accumulate(self, m: Module, sequencer: VectorSequencer, settings: VectorSettings) -> Value:
        """What lanes do with the products of a step, in the cycle of these."""
        cycles = sum_latency(self.config) - 1
        step, now = sequencer.step, Signal(ACCUMULATE)
        taken = Signal(INDEX_WIDTH, reset_less=True)
        m.d.comb += now.index.eq(Mux(step.first, 0, taken))
        with m.If(step.valid):
            m.d.sync += taken.eq(now.index + 1)
        arrived = Signal(ACCUMULATE)
        m.d.comb += [
            arrived.valid.eq(delayed(m, step.valid, cycles, "valid")),
            arrived.first.eq(delayed(m, step.first, cycles, "first") | settings.each_tap),
            arrived.index.eq(delayed(m, now.index, cycles, "index") if self.config.vector_maximum else 0),
        ]
        return arrived

    def _lanes(
        self,
        m: Module,
        settings: VectorSettings,
        gather: VectorGather,
        parameters: VectorParameters,
        accumulate: Value,
    ) -> list[VectorLane]:
        lanes = [VectorLane(self.config) for _ in range(self.config.vector_lanes)]
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = lane
            a = self._element(self.a_data, index, settings.a_wide, settings.a_repeat)
            inside = Mux(settings.a_repeat, gather.inside[0], gather.inside[index])
            m.d.comb += [
                lane.settings.eq(settings.lanes),
                lane.a.eq(Mux(inside, a, gather.pad)),
                lane.accumulate.eq(accumulate),
                lane.parameter.eq(parameters.parameters[index]),
                lane.table.enable.eq(self.table.enable),
                lane.table.row.eq(self.table.row),
                lane.table.data.eq(self.table.data),
                lane.table.mask.eq(self.table.mask),
            ]
            if self.config.vector_operand:
                b = self._element(self.b_data, index, settings.b_wide, settings.b_repeat)
                m.d.comb += lane.b.eq(Mux(settings.read_b, b, 0))
        return lanes

    def _element(self, window: Value, lane: int, wide: Value, repeat: Value) -> Value:
        """A lane's element of a window, or lane 0's."""

        def part(index: int) -> Value:
            narrow = window.word_select(index, 8).as_signed()
            if self.config.vector_operand_bytes == 1:
                return narrow
            return Mux(wide, window.word_select(index, 16).as_signed(), narrow)

        return Mux(repeat, part(0), part(lane)) if lane else part(0)

    def _write(self, m: Module, sequencer: VectorSequencer, settings: VectorSettings, lanes: list[VectorLane]) -> None:
        latency = vector_latency(self.config)
        written = delayed(m, sequencer.step.valid & sequencer.step.last, latency, "written", keep_reset=True)
        place = delayed(m, sequencer.place, latency - 1, "place")
        m.d.comb += [
            self.write_activation.eq(written & place.to_activation),
            self.activation_address.eq(place.activation),
            self.write_output.eq(written & place.to_output),
            self.output_address.eq(place.output),
        ]
        with m.Switch(settings.out_size):
            for size in range(3):
                count = 1 << size
                if count > self.config.vector_result_bytes:
                    break
                with m.Case(size) if count < self.config.vector_result_bytes else m.Default():
                    m.d.comb += [
                        self.write_data.eq(Cat(lane.result[: 8 * count] for lane in lanes)),
                        self.write_mask.eq(Cat(bit.replicate(count) for bit in place.lanes)),
                    ]
