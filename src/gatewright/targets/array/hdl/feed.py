"""The feed: from commands to the operands that enter the array."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.instruction import INSTRUCTION_BITS
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.array import TAP
from gatewright.targets.array.hdl.fields import take
from gatewright.targets.array.hdl.gather import TILE_FRAME, Frame, Gather, element_width
from gatewright.targets.array.hdl.sequencer import ORDER, PIXELS, TILE, Sequencer, Taps
from gatewright.targets.array.isa import COMPUTE, CONFIG_PIXELS, CONFIG_TAPS
from gatewright.targets.array.timing import FEED_LATENCY, GATHER_LATENCY

__all__ = ["Feed"]


class Feed(wiring.Component):
    """Commands in, operands out, skewed as the array wants them: `FEED_LATENCY` cycles after a step.

    A fixed-latency path: there is nothing that could hold it up but the sequencer's own pauses between slots. While
    `idle`, one of `set_pixels`, `set_taps` and `start` takes `command`.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.weight_rows = config.weight_bytes // config.weight_word_bytes
        super().__init__(
            {
                "command": In(INSTRUCTION_BITS),
                "set_pixels": In(1),
                "set_taps": In(1),
                "start": In(1),
                "idle": Out(1),
                "draining": Out(1),
                "tile": Out(TILE),
                "tile_end": Out(1),
                "activation_enable": Out(1),
                "activation_address": Out(exact_log2(config.activation_bytes)),
                "activation_data": In(8 * config.activation_element_bytes * config.word_length),
                "weight_enable": Out(1),
                "weight_row": Out(exact_log2(self.weight_rows)),
                "weight_data": In(8 * config.weight_word_bytes),
                "tap": Out(TAP),
                "activation": Out(signed(config.activation_width)).array(config.rows),
                "weight": Out(signed(config.weight_width)).array(config.columns),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self.config)
        m.submodules.gather = gather = Gather(self.config)
        self._registers(m, sequencer, gather)
        step = sequencer.step
        m.d.comb += [
            self.idle.eq(sequencer.idle),
            self.draining.eq(sequencer.draining),
            self.tile.eq(sequencer.tile),
            self.tile_end.eq(sequencer.tile_end),
            sequencer.start.eq(self.start),
            gather.step.eq(step),
            self.activation_enable.eq(gather.read_enable),
            self.activation_address.eq(gather.read_address),
            gather.read_data.eq(self.activation_data),
            self.weight_enable.eq(delayed(m, step.valid, FEED_LATENCY - READ_LATENCY, "weight_enable")),
            self.weight_row.eq(delayed(m, sequencer.weight_row, FEED_LATENCY - READ_LATENCY, "weight_row")),
        ]
        tap = Signal(TAP)
        m.d.comb += [tap.valid.eq(step.valid), tap.first.eq(step.first), tap.last.eq(step.last)]
        m.d.comb += self.tap.eq(delayed(m, tap, FEED_LATENCY, "tap"))
        self._rows(m, gather.word, delayed(m, step.valid & step.slot, GATHER_LATENCY + READ_LATENCY, "slot"))
        self._columns(m)
        return m

    def _registers(self, m: Module, sequencer: Sequencer, gather: Gather) -> None:
        for layout, strobe, parts in (
            (CONFIG_PIXELS, self.set_pixels, {"pixels": (PIXELS, sequencer.pixels)}),
            (
                CONFIG_TAPS,
                self.set_taps,
                {"taps": (Taps(self.config), sequencer.taps), "frame": (Frame(self.config), gather.frame)},
            ),
            (COMPUTE, self.start, {"order": (ORDER, sequencer.order), "tile_frame": (TILE_FRAME, gather.tile)}),
        ):
            for name, (shape, target) in parts.items():
                register = Signal(shape, name=name, reset_less=True)
                m.d.comb += target.eq(register)
                with m.If(strobe):
                    m.d.sync += take(register, layout, self.command)

    def _rows(self, m: Module, word: Value, load: Value) -> None:
        """Row i takes its word i cycles after row 0 and gives an element of it a cycle."""
        width = element_width(self.config)
        for row in range(self.config.rows):
            register = Signal(width * self.config.word_length, name=f"row_{row}", reset_less=True)
            m.d.sync += register.eq(Mux(load, word, register >> width))
            m.d.comb += self.activation[row].eq(register[: self.config.activation_width])
            load = delayed(m, load, 1, f"load_{row + 1}") if row + 1 < self.config.rows else load

    def _columns(self, m: Module) -> None:
        """Column c's weight comes c cycles after column 0's."""
        width = 8 * self.config.weight_element_bytes
        rest = self.weight_data[: width * self.config.columns]
        for column in range(self.config.columns):
            m.d.comb += self.weight[column].eq(rest[: self.config.weight_width])
            rest = (
                delayed(m, rest[width:], 1, f"columns_from_{column + 1}") if column + 1 < self.config.columns else rest
            )
