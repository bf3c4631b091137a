"""Steps of a program that carry Fusion-ISA words, and what they read and write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from gatewright.errors import ProgramError
from gatewright.hdl.instruction import INSTRUCTION_BYTES, InstructionLayout, Memory, Opcode, unpack
from gatewright.ir.packing import packed_bytes
from gatewright.targets.array.assembler import Effects, Step
from gatewright.targets.array.conflicts import Access
from gatewright.targets.array.job import Level
from gatewright.targets.array.nest import Nest, image_range, nest_of, reach
from gatewright.targets.bitfusion.blocks import (
    FILTER_LOOP,
    LAST,
    LAYOUTS,
    PIXEL_LOOPS,
    TAP_LOOPS,
    Operation,
    apply,
    initial_state,
    words_of,
)
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.isa import SIGNED, Op
from gatewright.targets.bitfusion.packing import chunk_bytes, chunk_steps, lanes_of

__all__ = ["FusionEffects", "FusionStep", "State", "decode_steps", "disassemble", "filter_rows", "inputs_of", "nest"]

State = dict[str, int]


class FusionStep(Step):
    """An instruction of this machine."""

    @property
    def layout(self) -> InstructionLayout:
        return LAYOUTS[self.opcode]


def word_bytes(state: Mapping[str, int]) -> int:
    """Bytes of a word of taps."""
    return state["slot"] * lanes_of(state["weight"] % SIGNED)


def word_weights(state: State) -> int:
    """Bytes of a word's weights for a tile of filters."""
    chunks = -(-state["slot"] // chunk_steps(state["input"] % SIGNED, split=bool(state["split"])))
    return chunks * state["tile_columns"] * chunk_bytes(state["weight"] % SIGNED)


def tap_words(state: Mapping[str, int]) -> int:
    """Words of taps of a pixel."""
    return state["count4"] * state["count5"] * state["count6"]


def pixel_count(state: Mapping[str, int]) -> int:
    inner, tiles, *outer = (state[f"count{loop}"] for loop in PIXEL_LOOPS)
    if state["share"]:
        return ((tiles - 1) * state["rows"] + state["last_rows"]) * prod(outer)
    return inner * tiles * prod(outer)


def pixel_tiles(state: Mapping[str, int]) -> tuple[int, int]:
    """Tiles of pixels, and the pixels of the last one."""
    if state["share"]:
        return prod(state[f"count{loop}"] for loop in PIXEL_LOOPS[1:]), state["last_rows"]
    pixels, rows = pixel_count(state), state["rows"]
    tiles = -(-pixels // rows)
    return tiles, pixels - (tiles - 1) * rows


def filter_rows(state: State) -> int:
    """Rows of a filter tile that have filters of their own."""
    return pixel_count(state) if state["split"] else 1


class FusionEffects(Effects):
    """Effects of this machine's instructions; remembers the core's state."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config.array())
        self.fusion = config
        self.state = initial_state()

    def is_fence(self, step: Step) -> bool:
        """Behind a `block-end` some tiles may be under way, none of which is read too early: see `fences`."""
        carries = step.opcode in (Operation.BLOCK, Operation.RUN)
        return carries and any(word.op == Op.BLOCK_END for word in words_of(step.fields))

    def of(self, step: Step) -> list[Access]:
        if step.opcode in (Opcode.LOAD, Opcode.STORE):
            return self._transfer(step)
        if step.opcode not in (Operation.BLOCK, Operation.RUN):
            return []
        found: list[Access] = []
        for word in words_of(step.fields):
            apply(self.state, word)
            if word.op == Op.COMPUTE:
                found += [access for access in self._run(word.immediate) if access.stop > access.start]
        return found

    def _run(self, flags: int) -> Iterator[Access]:
        s, config = self.state, self.fusion
        yield from inputs_of(self.state)
        stop = s["wbuf_base"] + s[f"count{FILTER_LOOP}"] * tap_words(s) * word_weights(s)
        yield Access(Memory.WEIGHT, s["wbuf_base"], min(stop, config.wbuf_bytes), False)
        yield Access(Memory.WEIGHT, 0, stop - config.wbuf_bytes, False)  # weights wrap
        if flags & LAST:
            yield from self._results()

    def _results(self) -> Iterator[Access]:
        s, array = self.state, self.config
        tiles = s[f"count{FILTER_LOOP}"]
        parameters = tiles * filter_rows(s) * array.lane_groups * array.parameter_word_bytes
        yield Access(Memory.PARAMETER, s["parameter_base"], s["parameter_base"] + parameters, False)
        pixels = pixel_count(s) // s["pool_count"]
        rows = -(-pixels // s["out_count"])
        row_step = s["out_delta"] + (s["out_count"] - 1) * s["out_step"]
        span = (rows - 1) * row_step + (min(pixels, s["out_count"]) - 1) * s["out_step"]
        width = s["output"] % SIGNED
        span += (tiles - 1) * s["filter_step"] + packed_bytes(s["last_columns"], width)
        for flag, memory, base in (
            ("to_next", Memory.ACTIVATION, "next_base"),
            ("to_obuf", Memory.OUTPUT, "obuf_base"),
            ("add", Memory.OUTPUT, "residual_base"),
        ):
            if s[flag]:
                size = span * (1 + (s["residual"] % SIGNED == 16)) >> s["result_size"] if flag == "add" else span
                yield Access(memory, s[base], s[base] + size, flag != "add")
        if s["table"]:
            yield Access(Memory.TABLE, 0, 256, False)


def nest(state: Mapping[str, int], loops: Sequence[int]) -> Nest:
    """The points that some of the state's loops visit."""
    return nest_of([Level(state[f"count{loop}"], state[f"dy{loop}"], state[f"dx{loop}"]) for loop in loops])


def inputs_of(state: Mapping[str, int]) -> Iterator[Access]:
    """The bounding range of the bytes inside the image that the feed reads."""
    s = state
    y, x = reach(nest(s, PIXEL_LOOPS), nest(s, TAP_LOOPS))
    last = x[1] + word_bytes(s) - 1 + s["share"] * (s["last_rows"] // s["count0"] - 1)
    place = {"y0": s["origin_row"], "x0": s["origin"], "height": s["height"], "base": s["ibuf_base"]}
    start, stop = image_range(place, s, y, (x[0], last))
    if stop > start:
        yield Access(Memory.ACTIVATION, start, stop, False)


def decode_steps(code: bytes) -> list[Step]:
    """The instructions of a program; raises `ProgramError` at the first illegal opcode."""
    steps: list[Step] = []
    for index in range(len(code) // INSTRUCTION_BYTES):
        word = int.from_bytes(code[index * INSTRUCTION_BYTES : (index + 1) * INSTRUCTION_BYTES], "little")
        if word & 0xF not in LAYOUTS:
            raise ProgramError(f"Instruction {index} has opcode {word & 0xF}, which is not one of {sorted(LAYOUTS)}")
        opcode = Opcode(word & 0xF)
        fields = dict(unpack(LAYOUTS[opcode], word).fields)
        del fields["opcode"]
        steps.append(FusionStep(opcode, fields))
    return steps


def disassemble(steps: Sequence[Step]) -> str:
    """One line a Fusion-ISA word; transfers are `ld-mem` and `st-mem` with the shell's fields."""
    names = {Opcode.LOAD: "ld-mem", Opcode.STORE: "st-mem", Opcode.END: "end"}
    lines = []
    for index, step in enumerate(steps):
        if step.opcode in names:
            shown = " ".join(f"{name}={value}" for name, value in step.fields.items() if value)
            lines.append(f"{index:5d}  {names[step.opcode]} {shown}".rstrip())
            continue
        tokens = " ".join(f"{name}={step.fields[name]}" for name in ("wait", "signal") if step.fields.get(name))
        for word in words_of(step.fields):
            lines.append(f"{index:5d}  {word}" + (f"  # {tokens}" if tokens and word.op == Op.COMPUTE else ""))
    return "\n".join(lines) + "\n"
