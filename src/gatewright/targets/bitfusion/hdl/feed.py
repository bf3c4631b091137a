"""The feed: from a block's state to the inputs and weights that enter the array."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.bits import choose
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.targets.array.hdl.array import TAP
from gatewright.targets.array.hdl.sequencer import TILE
from gatewright.targets.array.timing import FEED_LATENCY, GATHER_LATENCY
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.hdl.array import STEP_INPUT
from gatewright.targets.bitfusion.hdl.gather import FusionGather
from gatewright.targets.bitfusion.hdl.sequencer import FusionSequencer
from gatewright.targets.bitfusion.hdl.state import STATE_LAYOUT, STEP_INFO
from gatewright.targets.bitfusion.hdl.unit import STEP_BITS, InputCode, WeightCode
from gatewright.targets.bitfusion.packing import CHUNK_BYTES, input_phase, lanes_of, split_parts
from gatewright.targets.bitfusion.slots import SHARED_DISTANCES, most_shared, shared_window

__all__ = ["ChunkHead", "FusionFeed"]

_WEIGHT_WIDTHS = {WeightCode.WIDTH_8: 8, WeightCode.WIDTH_4: 4, WeightCode.WIDTH_2: 2}
_PART_BYTES = {
    code: CHUNK_BYTES // split_parts(width) for code, width in ((InputCode.WIDTH_8, 8), (InputCode.WIDTH_4, 4))
}
"""Of a split chunk; only these inputs have parts."""


class ChunkHead(wiring.Component):
    """The head of a column: a step's weights from its chunk, as `packing.step_weights` says, or all of a split one."""

    def __init__(self) -> None:
        super().__init__({"chunk": In(STEP_BITS), "info": In(STEP_INFO), "weights": Out(STEP_BITS)})

    def elaborate(self, platform) -> Module:
        m = Module()
        whole = Signal(STEP_BITS)
        m.d.comb += whole.eq(Mux(self.info.packed_weights, self._unpacked(), self.chunk))
        step = Mux(self.info.two_bytes, self.info.chunk_step[1:], self.info.chunk_step[:2])
        fourth = self._fourth(m, whole, step)
        with m.Switch(self.info.pair.input):
            with m.Case(InputCode.WIDTH_8):
                m.d.comb += self.weights.eq(whole.word_select(step, 8))
            with m.Case(InputCode.WIDTH_6):
                m.d.comb += self.weights.eq(Cat(whole.word_select(step, 8), fourth))
            with m.Case(InputCode.WIDTH_4):
                m.d.comb += self.weights.eq(whole.word_select(step[0], 16))
            with m.Default():
                m.d.comb += self.weights.eq(whole)
        with m.If(self.info.split):
            m.d.comb += self.weights.eq(whole)
        return m

    def _unpacked(self) -> Value:
        """Four 6-bit weights, as `packing.pack` puts them into three bytes, extended to 8 bits."""
        groups = [self.chunk.word_select(place, 8) for place in range(3)]
        fields = [group[:6] for group in groups] + [Cat(group[6:] for group in groups)]
        sign = self.info.pair.weight_signed
        return Cat(Cat(field, (field[5] & sign).replicate(2)) for field in fields)

    def _fourth(self, m: Module, whole: Value, step: Value) -> Value:
        """The weights of operand 3 of each group: for each lane those of the group its byte belongs to."""
        last = whole[24:]
        fourth = Signal(8)
        with m.Switch(self.info.pair.weight):
            for code, width in _WEIGHT_WIDTHS.items():
                lanes = lanes_of(width)
                with m.Case(code), m.Switch(step):
                    for place in range(3):
                        groups = [(place * lanes + lane) // 3 for lane in range(lanes)]
                        with m.Case(place):
                            m.d.comb += fourth.eq(Cat(last.word_select(group, width) for group in groups))
        return fourth


class FusionFeed(wiring.Component):
    """A block's steps, skewed as the array wants them: `FEED_LATENCY` cycles after a step of the sequencer."""

    def __init__(self, config: FusionConfig) -> None:
        self.config = config
        input_width, weight_width = (STEP_INPUT.size, STEP_BITS) if config.composable else (8, 8)
        super().__init__(
            {
                "state": In(STATE_LAYOUT),
                "flags": In(2),
                "start": In(1),
                "opening": In(1),
                "idle": Out(1),
                "draining": Out(1),
                "tile": Out(TILE),
                "tile_end": Out(1),
                "input_enable": Out(1),
                "input_address": Out(exact_log2(config.ibuf_bytes)),
                "input_data": In(8 * config.feed_window),
                "weight_enable": Out(1),
                "weight_address": Out(exact_log2(config.wbuf_bytes)),
                "weight_data": In(8 * config.weight_window),
                "tap": Out(TAP),
                "activation": Out(signed(input_width)).array(config.rows),
                "weight": Out(signed(weight_width)).array(config.columns),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = FusionSequencer(self.config)
        m.submodules.gather = gather = FusionGather(self.config)
        step = sequencer.step
        before_read = FEED_LATENCY - READ_LATENCY
        m.d.comb += [
            sequencer.state.eq(self.state),
            sequencer.flags.eq(self.flags),
            sequencer.start.eq(self.start),
            sequencer.opening.eq(self.opening),
            gather.state.eq(self.state),
            gather.step.eq(step),
            self.idle.eq(sequencer.idle),
            self.draining.eq(sequencer.draining),
            self.tile.eq(sequencer.tile),
            self.tile_end.eq(sequencer.tile_end),
            self.input_enable.eq(gather.read_enable),
            self.input_address.eq(gather.read_address),
            gather.read_data.eq(self.input_data),
            self.weight_enable.eq(delayed(m, step.valid, before_read, "weight_enable")),
            self.weight_address.eq(delayed(m, step.weight_address, before_read, "weight_address")),
        ]
        tap = Signal(TAP)
        m.d.comb += [tap.valid.eq(step.valid), tap.first.eq(step.first), tap.last.eq(step.last)]
        m.d.comb += self.tap.eq(delayed(m, tap, FEED_LATENCY, "tap"))
        info = delayed(m, step.info, FEED_LATENCY, "info")
        self._rows(m, gather.word, delayed(m, step.valid & step.slot, GATHER_LATENCY + READ_LATENCY, "slot"), info)
        self._columns(m, info)
        return m

    def _rows(self, m: Module, word: Value, load: Value, info: data.View) -> None:
        """Row i takes its word i cycles after row 0, from the buffer or row i - 1, and gives a step's bytes a cycle."""
        previous, passed = Const(0), Const(0)
        for row in range(self.config.rows):
            register = Signal(8 * self.config.feed_window, name=f"row_{row}", reset_less=True)
            fresh = self._fresh(m, row, word, (previous, passed), info) if row else word
            rests = [register[8 * lanes_of(_WEIGHT_WIDTHS[code]) :] for code in sorted(_WEIGHT_WIDTHS)]
            m.d.sync += register.eq(choose([fresh, *rests], Mux(load, 0, info.pair.weight + 1)[:2]))
            previous, passed = register, self._passed(m, row, load, previous)
            if self.config.composable:
                step = Signal(STEP_INPUT, name=f"step_{row}")
                m.d.comb += [
                    step.bytes.eq(register[:STEP_BITS]),
                    step.phase.eq(self._phase(m, info, row)),
                    step.pair.eq(info.pair),
                    step.part.eq(self._part(info, row)),
                    step.high.eq((info.two_bytes & info.chunk_step[0]) + info.weight_high),
                    self.activation[row].eq(step),
                ]
                with m.If(info.two_bytes & ~info.chunk_step[0]):
                    m.d.comb += step.pair.input_signed.eq(0)
            else:
                m.d.comb += self.activation[row].eq(register[:8])
            if row + 1 < self.config.rows:
                load = delayed(m, load, 1, f"load_{row + 1}")
                info = delayed(m, info, 1, f"info_{row + 1}")

    def _passed(self, m: Module, row: int, load: Value, previous: Value) -> Signal:
        """What row `row` - 1 took, for row `row` + 1: as much as pixels of two image rows need of a shared word."""
        passed = Signal(8 * shared_window(self.config, 2), name=f"passed_{row}", reset_less=True)
        with m.If(load):
            m.d.sync += passed.eq(previous)
        return passed

    def _fresh(self, m: Module, row: int, word: Value, before: tuple[Value, Value], info: data.View) -> Value:
        """A row's next word: its own, or from the next pixel on what one of the two rows before it took last.

        The row before took it a cycle ago, the other one a cycle earlier. Of a shared word, row i needs no more than
        what it and the rows behind it use.
        """
        previous, passed = before
        taken = Signal(len(previous), name=f"taken_{row}")
        m.d.comb += taken.eq(Cat(Mux(info.in_turn, passed, previous[: len(passed)]), previous[len(passed) :]))
        fresh: list[Value] = []
        for byte in range(self.config.feed_window):
            used = [distance for distance in SHARED_DISTANCES if byte < self._shared_bytes(row, distance)]
            # where a distance is of no use, any other one does
            options = [d if d in used else used[0] for d in SHARED_DISTANCES] if used else []
            own = word.word_select(byte, 8)
            shared = choose([taken.word_select(byte + d, 8) for d in options], info.distance) if used else own
            fresh.append(Mux(info.shared & ~info.in_turn if row == 1 else info.shared, shared, own))
        return Cat(fresh)

    def _shared_bytes(self, row: int, distance: int) -> int:
        """Bytes of a shared word that a row takes, at most."""
        config = self.config
        behind = most_shared(config) + (config.rows - 1 - row) * distance
        return min(behind, config.feed_window - row * distance)

    @staticmethod
    def _part(info: data.View, row: int) -> Value:
        """Byte of a split chunk at which a row's part begins: rows take the parts in turn."""
        starts = {code: row % (CHUNK_BYTES // size) * size for code, size in _PART_BYTES.items()}
        part = Mux(info.pair.input == InputCode.WIDTH_8, starts[InputCode.WIDTH_8], starts[InputCode.WIDTH_4])
        return Mux(info.split, part, 0)

    @staticmethod
    def _phase(m: Module, info: data.View, row: int) -> Value:
        phase = Signal(2, name=f"phase_{row}")
        with m.Switch(info.pair.weight):
            for code, width in _WEIGHT_WIDTHS.items():
                with m.Case(code), m.Switch(info.chunk_step):
                    for step in range(3):
                        with m.Case(step):
                            m.d.comb += phase.eq(input_phase(width, step))
        return phase

    def _columns(self, m: Module, info: data.View) -> None:
        """Column c's weights come c cycles after column 0's."""
        config = self.config
        heads: list[Value] = []
        for column in range(config.columns):
            whole = self.weight_data.word_select(column, 32)
            if not config.composable:
                heads.append(whole.word_select(info.chunk_step[:2], 8))
                continue
            m.submodules[f"head_{column}"] = head = ChunkHead()
            packed = self.weight_data[24 * column : 24 * (column + 1)]
            m.d.comb += [head.chunk.eq(Mux(info.packed_weights, packed, whole)), head.info.eq(info)]
            heads.append(head.weights)
        rest = Cat(heads)
        width = len(heads[0])
        for column in range(config.columns):
            m.d.comb += self.weight[column].eq(rest[:width])
            if column + 1 < config.columns:
                rest = delayed(m, rest[width:], 1, f"columns_from_{column + 1}")
