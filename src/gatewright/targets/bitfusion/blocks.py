"""Blocks on the machine: the state that Fusion-ISA words set, and the shell's instructions that carry them.

The core holds a *state*: every register, loop and stride. Words change it; `compute` starts the array on what it says;
`block-end` has the next `compute` wait until all results before it are written, but for those of as many of the latest
tiles as it says; the order of what that `compute` reads is proved (`fences`). Loops 0..3 visit pixels, 4..6 the taps
of a pixel (words of a run, runs, rows of the kernel), loop 7 the filter tiles, each innermost first. A tile takes the
next `rows` pixels. With `share`, loop 0 visits the one or two rows of the image whose pixels a tile takes in turn, and
loop 1 the first pixels of tiles: the others of a tile lie `share` bytes apart behind them, and the loop's last tile has
`last_rows` pixels.

Seven words travel in one instruction of the shell. `BLOCK` takes effect at once, `RUN` ends with a `compute` and
completes when its results are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from amaranth.hdl import Shape, signed, unsigned

from gatewright.errors import ProgramError
from gatewright.hdl.instruction import HEADER, TRANSFER, InstructionLayout, Opcode, instruction_layout
from gatewright.targets.bitfusion.isa import HIGH_HALF, Fusion, Op, Register, Space, decode

__all__ = [
    "BLOCK",
    "BLOCK_WORDS",
    "FILTER_LOOP",
    "FIRST",
    "LAST",
    "LAYOUTS",
    "LOOPS",
    "PIXEL_LOOPS",
    "POST_FIELDS",
    "STATE",
    "TAP_LOOPS",
    "Operation",
    "Place",
    "apply",
    "carried",
    "changes",
    "initial_state",
    "words_of",
]

BLOCK_WORDS = 7
"""Fusion-ISA words in one instruction of the shell."""

PIXEL_LOOPS = (0, 1, 2, 3)
TAP_LOOPS = (4, 5, 6)
FILTER_LOOP = 7
LOOPS = 8

FIRST, LAST = 1, 2
"""Bits of a `compute`'s immediate: sums start from 0, sums are complete."""


class Operation:
    """Opcodes of the core."""

    BLOCK = Opcode.CORE0
    RUN = Opcode.CORE3


BLOCK = instruction_layout({"count": unsigned(3)} | {f"word{index}": unsigned(32) for index in range(BLOCK_WORDS)})

LAYOUTS: dict[int, InstructionLayout] = {
    Opcode.LOAD: TRANSFER,
    Opcode.STORE: TRANSFER,
    Opcode.END: HEADER,
    Operation.BLOCK: BLOCK,
    Operation.RUN: BLOCK,
}


@dataclass(frozen=True)
class Place:
    """Where a field of the state is set from: the word's opcode, its spec, its loop."""

    op: Op
    spec: int
    loop: int


_FORMAT = unsigned(9)
_ADDRESS = unsigned(20)
_BOUND = signed(32)
_ADD_BOUND = signed(18)

_REGISTERS: dict[Register, Shape] = {
    **dict.fromkeys((Register.INPUT, Register.WEIGHT, Register.OUTPUT, Register.RESIDUAL), _FORMAT),
    **dict.fromkeys((register for register in Register if register.name.endswith("_BASE")), _ADDRESS),
    Register.ORIGIN_ROW: signed(14),
    Register.ORIGIN: signed(20),
    Register.HEIGHT: unsigned(14),
    Register.ROW_BYTES: _ADDRESS,
    Register.PITCH: _ADDRESS,
    Register.PAD: unsigned(24),
    Register.SLOT: unsigned(10),
    Register.LAST_COLUMNS: unsigned(7),
    Register.WEIGHT_HIGH: unsigned(1),
    Register.ROWS: unsigned(7),
    Register.SHARE: unsigned(4),
    Register.LAST_ROWS: unsigned(7),
    Register.ROUNDING: unsigned(2),
    **dict.fromkeys((Register.ZERO, Register.LOW, Register.HIGH), _BOUND),
    Register.NEGATIVE_SHIFT: unsigned(5),
    Register.ADD: unsigned(1),
    Register.MUL_A: signed(18),
    Register.MUL_B: signed(18),
    Register.ADD_BIAS: signed(32),
    Register.ADD_BIAS_HIGH: signed(4),
    Register.ADD_SHIFT: unsigned(6),
    **dict.fromkeys((Register.ADD_ZERO, Register.ADD_LOW, Register.ADD_HIGH), _ADD_BOUND),
    Register.TABLE: unsigned(1),
    Register.POOL_COUNT: unsigned(10),
    Register.TO_NEXT: unsigned(1),
    Register.TO_OBUF: unsigned(1),
    Register.OUT_COUNT: unsigned(14),
    Register.OUT_STEP: _ADDRESS,
    Register.OUT_DELTA: signed(20),
    Register.FILTER_STEP: _ADDRESS,
    Register.RESULT_SIZE: unsigned(2),
    Register.TILE_COLUMNS: unsigned(7),
    Register.SPLIT: unsigned(1),
}


def _state() -> Iterator[tuple[str, Shape, Place]]:
    for register, shape in _REGISTERS.items():
        yield register.name.lower(), shape, Place(Op.SETUP, register, 0)
    for loop in range(LOOPS):
        yield f"count{loop}", unsigned(14), Place(Op.LOOP, 0, loop)
    for loop in (*PIXEL_LOOPS, *TAP_LOOPS):
        yield f"dx{loop}", signed(20), Place(Op.GEN_ADDR, Space.IBUF, loop)
    for loop in (*PIXEL_LOOPS, *TAP_LOOPS):
        yield f"dy{loop}", signed(14), Place(Op.GEN_ADDR, Space.IBUF_ROW, loop)


STATE: dict[str, tuple[Shape, Place]] = {name: (shape, place) for name, shape, place in _state()}
"""Every field: its shape, and what sets it."""

POST_FIELDS = frozenset(
    name.lower()
    for name in (register.name for register in Register)
    if Register[name] >= Register.ROUNDING or Register[name] in (Register.OUTPUT, Register.RESIDUAL)
)
"""Fields that the post unit works with, which has its own: see `bitfusion.timing`."""

_FIELDS = {place: name for name, (_, place) in STATE.items()}
_LEVEL_OF = {loop: level for level, loop in enumerate((FILTER_LOOP, *reversed(PIXEL_LOOPS), *reversed(TAP_LOOPS)))}


def initial_state() -> dict[str, int]:
    """What the core's state is before the first word."""
    return dict.fromkeys(STATE, 0)


def changes(state: Mapping[str, int], wanted: Mapping[str, int]) -> list[Fusion]:
    """The words that turn a state into another one; fields that `wanted` does not name stay.

    Raises
    ------
    ProgramError
        If a value does not fit its field.
    """
    words = []
    for name, value in wanted.items():
        if state[name] != value:
            words += _set(name, value)
    return words


def _set(name: str, value: int) -> list[Fusion]:
    """One word, or two where the upper half is not what the lower one implies."""
    shape, place = STATE[name]
    low, high = (
        (-(1 << (shape.width - 1)), (1 << (shape.width - 1)) - 1) if shape.signed else (0, (1 << shape.width) - 1)
    )
    if not low <= value <= high:
        raise ProgramError(f"{name} must be in {low}..{high}, not {value}")
    half = value & 0xFFFF
    implied = half - (half >> 15 << 16) if shape.signed else half
    spec = _LEVEL_OF[place.loop] if place.op == Op.LOOP else place.spec
    words = [Fusion(place.op, spec, place.loop, half)]
    if implied != value:
        upper = value >> 16 & 0xFFFF
        if place.op == Op.SETUP:
            words.append(Fusion(Op.SETUP, place.spec, 1, upper))
        else:
            words.append(Fusion(place.op, place.spec | HIGH_HALF, place.loop, upper))
    return words


def apply(state: dict[str, int], word: Fusion) -> str | None:
    """Change a state by a word; the name of the field, or None for words that set nothing.

    Raises
    ------
    ProgramError
        If there is no such register, loop or address.
    """
    if word.op in (Op.COMPUTE, Op.BLOCK_END):
        return None
    high = word.loop == 1 if word.op == Op.SETUP else word.op == Op.GEN_ADDR and bool(word.spec & HIGH_HALF)
    spec = {Op.SETUP: word.spec, Op.LOOP: 0}.get(word.op, word.spec % HIGH_HALF)
    name = _FIELDS.get(Place(word.op, spec, 0 if word.op == Op.SETUP else word.loop))
    if name is None:
        raise ProgramError(f"this machine has nothing that {str(word)!r} could set")
    shape, _ = STATE[name]
    if high:
        value = state[name] & 0xFFFF | word.immediate << 16
    else:
        value = word.immediate | (0xFFFF0000 if shape.signed and word.immediate >> 15 else 0)
    value &= (1 << shape.width) - 1
    state[name] = value - (1 << shape.width) if shape.signed and value >> (shape.width - 1) else value
    return name


def words_of(fields: Mapping[str, int]) -> list[Fusion]:
    """The Fusion-ISA words that an instruction carries."""
    return decode(b"".join(fields[f"word{index}"].to_bytes(4, "little") for index in range(fields["count"])))


def carried(words: Iterable[Fusion]) -> dict[str, int]:
    """The fields of the instruction that carries these words, at most `BLOCK_WORDS`."""
    numbers = [word.word() for word in words]
    numbers += [0] * (BLOCK_WORDS - len(numbers))
    return {"count": sum(map(bool, numbers))} | {f"word{index}": number for index, number in enumerate(numbers)}
