"""Fusion-ISA: blocks of 32-bit instructions, one block a layer (or a part of one).

A block says at which widths to compute (`setup`), what to iterate over (`loop`), where operands are for each iteration
(`gen-addr`: an address is the sum of iterators times strides, over the loops that have one), and what to do in the body
of a loop: move data between memory and a buffer (`ld-mem`, `st-mem`), between a buffer and the array (`rd-buf`,
`wr-buf`), or multiply and add (`compute`). `block-end` closes it.

A word is [31:28] opcode, [27:21] spec, [20:16] loop id, [15:0] immediate:

    setup     spec: register      loop: 0 bits 15..0, 1 bits 31..16         immediate: its value
    loop      spec: level         loop: its id                              immediate: iterations
    gen-addr  spec: address space loop: the loop that the stride belongs to immediate: stride
    ld-mem    spec: buffer        loop: the loop in whose body it stands    immediate: operands
    st-mem    likewise
    rd-buf    likewise
    wr-buf    likewise
    compute   spec: 0             loop: likewise                            immediate: cycles
    block-end spec: 0             loop: 0                                   immediate: tiles under way

Bit 6 of a `gen-addr`'s spec says that the immediate is the upper half of the stride. Loops are nested by level; an
instruction of a body comes after the `loop` it belongs to, and bodies run in the order of their text. The results of as
many tiles as `block-end` says need not be written when the next block computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from gatewright.errors import ProgramError

__all__ = [
    "HIGH_HALF",
    "SIGNED",
    "TOP",
    "Fusion",
    "Op",
    "Register",
    "Space",
    "decode",
    "encode",
    "format_text",
    "parse_text",
    "stride_words",
]


class Op(IntEnum):
    """Opcodes; 0 is a gap that is skipped."""

    SETUP = 1
    LOOP = 2
    GEN_ADDR = 3
    LD_MEM = 4
    ST_MEM = 5
    RD_BUF = 6
    WR_BUF = 7
    COMPUTE = 8
    BLOCK_END = 9


class Register(IntEnum):
    """What `setup` sets. Formats are a width in bits, plus 256 if signed; bases and strides are in bytes."""

    INPUT = 0
    WEIGHT = 1
    OUTPUT = 2
    RESIDUAL = 3
    # where operands and results are
    IBUF_BASE = 4
    WBUF_BASE = 5
    PARAMETER_BASE = 6
    OBUF_BASE = 7
    RESIDUAL_BASE = 8
    NEXT_BASE = 9  # of results that go to the input buffer
    # the image that the array reads: a point outside reads as `PAD`, three bytes in turn, two with inputs of 16 bits
    ORIGIN_ROW = 10
    ORIGIN = 11
    HEIGHT = 12
    ROW_BYTES = 13
    PITCH = 14
    PAD = 15
    SLOT = 16  # steps that a word of taps lasts
    LAST_COLUMNS = 17  # filters of the last filter tile
    WEIGHT_HIGH = 18  # weights are the upper bytes of 16-bit ones
    ROWS = 19  # pixels of a tile
    SHARE = 20  # bytes from a pixel of a tile to the next, which read one word; 0: each pixel reads its own
    LAST_ROWS = 21  # with `SHARE`: pixels of the last tile that loop 1 visits
    # the post unit, as `targets.array.isa.CONFIG_POST` has it
    ROUNDING = 32
    ZERO = 33
    LOW = 34
    HIGH = 35
    NEGATIVE_SHIFT = 36
    ADD = 37
    MUL_A = 38
    MUL_B = 39
    ADD_BIAS = 40
    ADD_SHIFT = 41
    ADD_ZERO = 42
    ADD_LOW = 43
    ADD_HIGH = 44
    TABLE = 45
    POOL_COUNT = 46
    TO_NEXT = 47  # results go to the input buffer
    TO_OBUF = 48
    OUT_COUNT = 49
    OUT_STEP = 50
    OUT_DELTA = 51
    FILTER_STEP = 52
    RESULT_SIZE = 53  # a result takes 2^`result_size` bytes
    ADD_BIAS_HIGH = 54  # bits 35..32 of `ADD_BIAS`; only machines with wide results read them
    TILE_COLUMNS = 56  # filters of a filter tile, or of each row of one where chunks are split
    SPLIT = 57  # chunks are split among rows, each of which has filters of its own


class Space(IntEnum):
    """What an address may belong to: a stream in memory, or a buffer."""

    MEM_INPUT = 0
    MEM_WEIGHT = 1
    MEM_OUTPUT = 2
    IBUF = 3
    WBUF = 4
    OBUF = 5
    IBUF_ROW = 6  # the row of a point in the input buffer, where IBUF is the byte within the row


SIGNED = 256
HIGH_HALF = 64
TOP = 31
"""The loop id of what stands in no loop."""

_NAMES = {op: op.name.lower().replace("_", "-") for op in Op}
_OPS = {name: op for op, name in _NAMES.items()}
_LIMITS = {"spec": 127, "loop": 31, "immediate": 65535}
_BODY = frozenset({Op.LD_MEM, Op.ST_MEM, Op.RD_BUF, Op.WR_BUF})


@dataclass(frozen=True)
class Fusion:
    """One instruction."""

    op: Op
    spec: int = 0
    loop: int = 0
    immediate: int = 0

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise ProgramError(f"{name} of a {_NAMES[self.op]} must be in 0..{limit}, not {value}")

    def word(self) -> int:
        return self.op << 28 | self.spec << 21 | self.loop << 16 | self.immediate

    def __str__(self) -> str:
        name = _NAMES[self.op]
        if self.op == Op.BLOCK_END:
            return f"{name} {self.immediate}" if self.immediate else name
        if self.op == Op.SETUP:
            half = ":high" if self.loop else ""
            return f"{name} {_name(Register, self.spec)}{half}, {self.immediate}"
        if self.op == Op.LOOP:
            return f"{name} {self.loop}, level {self.spec}, {self.immediate}"
        if self.op == Op.GEN_ADDR:
            half = ":high" if self.spec & HIGH_HALF else ""
            return f"{name} {_name(Space, self.spec % HIGH_HALF)}{half}, loop {self.loop}, {self.immediate}"
        if self.op == Op.COMPUTE:
            return f"{name} loop {self.loop}, {self.immediate}"
        return f"{name} {_name(Space, self.spec)}, loop {self.loop}, {self.immediate}"


def _name(kind: type[IntEnum], value: int) -> str:
    return kind(value).name.lower().replace("_", ".") if value in kind._value2member_map_ else str(value)


def stride_words(space: Space, loop: int, stride: int) -> list[Fusion]:
    """The `gen-addr`s of a stride of up to 32 bits, two's complement."""
    stride &= 0xFFFFFFFF
    words = [Fusion(Op.GEN_ADDR, space, loop, stride & 0xFFFF)]
    if stride >> 16:
        words.append(Fusion(Op.GEN_ADDR, space | HIGH_HALF, loop, stride >> 16))
    return words


def encode(block: Iterable[Fusion]) -> bytes:
    """The bytes of a block, little-endian."""
    return b"".join(instruction.word().to_bytes(4, "little") for instruction in block)


def decode(code: bytes) -> list[Fusion]:
    """Inverse of `encode`; gaps are left out. Raises `ProgramError` at an illegal opcode."""
    if len(code) % 4:
        raise ProgramError(f"Fusion-ISA code must be whole 32-bit words, not {len(code)} bytes")
    words = [int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code), 4)]
    return [_decode_word(index, word) for index, word in enumerate(words) if word]


def _decode_word(index: int, word: int) -> Fusion:
    if word >> 28 not in list(Op):
        raise ProgramError(f"Instruction {index} has opcode {word >> 28}, which is not one of {[int(op) for op in Op]}")
    return Fusion(Op(word >> 28), word >> 21 & 127, word >> 16 & 31, word & 0xFFFF)


def format_text(block: Iterable[Fusion]) -> str:
    """One line an instruction: `parse_text` reads it."""
    return "".join(f"{instruction}\n" for instruction in block)


def parse_text(lines: Sequence[str]) -> list[Fusion]:
    """Instructions of text lines; blank lines and what follows `#` are left out.

    Raises
    ------
    ProgramError
        Naming the line that is no instruction.
    """
    block = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        if text:
            try:
                block.append(_parse_line(text))
            except (ValueError, KeyError, IndexError):
                raise ProgramError(f"line {number} must be a Fusion-ISA instruction, not {text!r}") from None
    return block


def _parse_line(text: str) -> Fusion:
    name, _, rest = text.partition(" ")
    op = _OPS[name]
    parts = [part.split()[-1] for part in rest.split(",")] if rest else []
    if op == Op.BLOCK_END and len(parts) <= 1:
        return Fusion(op, immediate=int(*parts))
    if len(parts) != {Op.SETUP: 2, Op.COMPUTE: 2}.get(op, 3):
        raise ValueError
    if op == Op.SETUP:
        where, half = _parse_name(Register, parts[0])
        return Fusion(op, where, half, int(parts[1]))
    if op == Op.LOOP:
        return Fusion(op, int(parts[1]), int(parts[0]), int(parts[2]))
    if op == Op.GEN_ADDR:
        where, half = _parse_name(Space, parts[0])
        return Fusion(op, where | half * HIGH_HALF, int(parts[1]), int(parts[2]))
    if op in _BODY:
        return Fusion(op, _parse_name(Space, parts[0])[0], int(parts[1]), int(parts[2]))
    return Fusion(op, 0, *(int(part) for part in parts))


def _parse_name(kind: type[IntEnum], text: str) -> tuple[int, int]:
    """Value of a name, and whether its upper half is meant."""
    name = text.removesuffix(":high")
    value = int(name) if name.isdigit() else kind[name.upper().replace(".", "_")].value
    return value, int(name != text)
