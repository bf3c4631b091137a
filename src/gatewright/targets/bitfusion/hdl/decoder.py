"""Takes Fusion-ISA words out of the shell's instructions and keeps the state that they set."""

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.instruction import HEADER, INSTRUCTION_BITS
from gatewright.targets.bitfusion.blocks import BLOCK, BLOCK_WORDS, POST_FIELDS, STATE, Operation
from gatewright.targets.bitfusion.hdl.state import STATE_LAYOUT
from gatewright.targets.bitfusion.isa import HIGH_HALF, Op
from gatewright.targets.bitfusion.timing import MOST_UNDER_WAY

__all__ = ["Decoder"]

WORD = data.StructLayout({"immediate": 16, "loop": 5, "spec": 7, "op": 4})


class Decoder(wiring.Component):
    """A word a cycle, from the cycle after its instruction was accepted on; `compute` waits for `ready`.

    `state` has all that was set before. `valid` offers a `compute`, with `flags`; `fenced` says that a `block-end`
    came since the last one, with `under_way` as its immediate, `changed` that the post unit's fields are others than
    those of the last one. The next instruction is accepted in the cycle of the last word.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "commands": In(stream.Signature(INSTRUCTION_BITS)),
                "state": Out(STATE_LAYOUT),
                "valid": Out(1),
                "ready": In(1),
                "flags": Out(2),
                "fenced": Out(1),
                "under_way": Out(range(MOST_UNDER_WAY + 1)),
                "changed": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        held = Signal(32 * BLOCK_WORDS, reset_less=True)
        left = Signal(range(BLOCK_WORDS + 1))
        word = Signal(WORD)
        takes, done = Signal(), Signal()
        instruction = data.View(BLOCK, self.commands.payload)
        m.d.comb += [
            word.eq(held[:32]),
            self.busy.eq(left != 0),
            self.valid.eq(self.busy & (word.op == Op.COMPUTE)),
            self.flags.eq(word.immediate[:2]),
            takes.eq(self.busy & (~self.valid | self.ready)),
            done.eq(takes & (left == 1)),
            self.commands.ready.eq(~self.busy | done),
        ]
        with m.If(takes):
            m.d.sync += [held.eq(held >> 32), left.eq(left - 1)]
        opcode = self.commands.payload[: HEADER["opcode"].width]
        ours = (opcode == Operation.BLOCK) | (opcode == Operation.RUN)
        with m.If(self.commands.valid & self.commands.ready & ours):
            words = [instruction[f"word{index}"] for index in range(BLOCK_WORDS)]
            m.d.sync += [held.eq(Cat(words)), left.eq(instruction.count)]
        self._set(m, word, takes)
        return m

    def _set(self, m: Module, word: data.View, takes: Value) -> None:
        state = Signal(STATE_LAYOUT)
        fenced, changed = Signal(), Signal()
        under_way = Signal.like(self.under_way)
        m.d.comb += [
            self.state.eq(state),
            self.fenced.eq(fenced),
            self.under_way.eq(under_way),
            self.changed.eq(changed),
        ]
        with m.If(takes & (word.op == Op.COMPUTE)):
            m.d.sync += [fenced.eq(0), changed.eq(0)]
        with m.If(takes & (word.op == Op.BLOCK_END)):
            m.d.sync += [fenced.eq(1), under_way.eq(word.immediate)]
        for name, (shape, place) in STATE.items():
            field = state[name]
            is_high = word.loop[0] if place.op == Op.SETUP else (place.op == Op.GEN_ADDR) & word.spec[6]
            ours = word.op == place.op
            if place.op == Op.SETUP:
                ours &= word.spec == place.spec
            else:
                ours &= word.loop == place.loop
            if place.op == Op.GEN_ADDR:
                ours &= word.spec[:6] == place.spec % HIGH_HALF
            with m.If(takes & ours):
                low = word.immediate.as_signed() if shape.signed else word.immediate
                m.d.sync += field.eq(Mux(is_high, Cat(field[:16], word.immediate), low) if shape.width > 16 else low)
                if name in POST_FIELDS:
                    m.d.sync += changed.eq(1)
