"""Instructions of the shell: layout, packing, and the transfers that every machine shares.

An instruction is `INSTRUCTION_BITS` wide and lies little-endian in memory. Its first bits are the `HEADER`; what
follows depends on the opcode. A machine adds its own compute instructions with `instruction_layout`. The same layouts
are read by the decoder in hardware, the assembler, the disassembler, the instruction-set model and the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cached_property

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from gatewright.errors import ProgramError

__all__ = [
    "HEADER",
    "INSTRUCTION_BITS",
    "INSTRUCTION_BYTES",
    "REGION_COUNT",
    "REGION_SPACE",
    "RUN_PITCH_WIDTH",
    "STAMP_COUNT",
    "TOKEN_WIDTH",
    "TRANSFER",
    "Instruction",
    "InstructionLayout",
    "Memory",
    "Opcode",
    "Queue",
    "instruction_layout",
    "pack",
    "unpack",
]

INSTRUCTION_BITS = 256
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
REGION_COUNT = 8
"""Regions of a machine that fetches its program."""
REGION_SPACE = 64
"""Regions that an instruction can name."""
STAMP_COUNT = 256
TOKEN_WIDTH = 6


class Queue(IntEnum):
    """The three in-order queues; an instruction's opcode says which one it goes to."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2


class Opcode(IntEnum):
    """Operation codes; 0 is illegal so that a run into blank memory stops at once."""

    ILLEGAL = 0
    LOAD = 1
    STORE = 2
    END = 3
    # from here on: compute queue, meaning given by the machine's core
    CORE0 = 8
    CORE1 = 9
    CORE2 = 10
    CORE3 = 11
    CORE4 = 12
    CORE5 = 13
    CORE6 = 14
    CORE7 = 15


class Memory(IntEnum):
    """Scratchpads that a transfer can name."""

    ACTIVATION = 0
    WEIGHT = 1
    PARAMETER = 2
    OUTPUT = 3
    TABLE = 4


class QueueMask(IntFlag):
    """Bit set of queues, as in the `wait` and `signal` fields."""

    LOAD = 1 << Queue.LOAD
    COMPUTE = 1 << Queue.COMPUTE
    STORE = 1 << Queue.STORE


_HEADER_FIELDS: dict[str, Shape] = {
    "opcode": unsigned(4),
    "wait": unsigned(3),  # take one token from each of these queues before starting
    "signal": unsigned(3),  # give one token to each of these queues on completion
    "stamp": unsigned(1),  # record the cycle counter on completion ...
    "stamp_index": unsigned(8),  # ... at this index
    "unit": unsigned(2),  # which datapath of the core (0: the array; 1: reserved for a vector path)
    "reserved": unsigned(3),
}


@dataclass(frozen=True)
class _Field:
    offset: int
    width: int
    low: int
    high: int


def _field(offset: int, shape: Shape) -> _Field:
    half = 1 << (shape.width - 1)
    return _Field(offset, shape.width, *((-half, half - 1) if shape.signed else (0, 2 * half - 1)))


class InstructionLayout(data.StructLayout):
    """A layout that knows where its fields are without asking twice."""

    @cached_property
    def places(self) -> Mapping[str, _Field]:
        return {name: _field(field.offset, Shape.cast(field.shape)) for name, field in self}


HEADER = InstructionLayout(_HEADER_FIELDS)


def instruction_layout(fields: Mapping[str, Shape]) -> InstructionLayout:
    """Layout of one instruction: the header, then `fields`, then padding up to `INSTRUCTION_BITS`.

    Raises
    ------
    ProgramError
        If the fields do not fit.
    """
    used = HEADER.size + sum(Shape.cast(shape).width for shape in fields.values())
    if used > INSTRUCTION_BITS:
        raise ProgramError(f"Instruction fields need {used} bits, but an instruction has {INSTRUCTION_BITS}")
    padding: dict[str, Shape] = {"padding": unsigned(INSTRUCTION_BITS - used)} if used < INSTRUCTION_BITS else {}
    return InstructionLayout({**_HEADER_FIELDS, **fields, **padding})


RUN_PITCH_WIDTH = 16
# LOAD moves memory -> scratchpad, STORE scratchpad -> memory. Memory side: `count1` x `count0` segments of `length`
# contiguous bytes, `stride0` and `stride1` bytes apart (from start to start); scratchpad side: all bytes in a row from
# `scratch` on. Addresses in bytes. Counts are at least 1. `run` is 0, or the bytes from the first to the last of a row
# of `count0` segments: then a machine may move each row in one go of bursts and drop what lies between the segments.
# For a run, addresses and strides are multiples of the bus's bytes, and `length` <= `stride0` < 2^16.
TRANSFER = instruction_layout(
    {
        "memory": unsigned(3),
        "region": unsigned((REGION_SPACE - 1).bit_length()),
        "offset": unsigned(32),
        "scratch": unsigned(20),
        "length": unsigned(20),
        "count0": unsigned(14),
        "stride0": signed(24),
        "count1": unsigned(14),
        "stride1": signed(24),
        "run": unsigned(20),
    }
)


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction: its layout and the values of its fields."""

    layout: InstructionLayout
    fields: Mapping[str, int]

    def __getattr__(self, name: str) -> int:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None


def pack(layout: InstructionLayout, values: Mapping[str, int]) -> int:
    """Pack field values (missing ones are 0) into one instruction word.

    Raises
    ------
    ProgramError
        If a field is unknown or its value does not fit.
    """
    word, fields = 0, layout.places
    for name, value in values.items():
        if name not in fields:
            raise ProgramError(f"Instruction has no field {name!r}; it has {', '.join(fields)}")
        field, number = fields[name], int(value)
        if not field.low <= number <= field.high:
            raise ProgramError(f"Instruction field {name!r} must be in {field.low}..{field.high}, not {number}")
        word |= (number & ((1 << field.width) - 1)) << field.offset
    return word


def unpack(layout: InstructionLayout, word: int) -> Instruction:
    """Inverse of `pack`: every field but the padding."""
    values = {}
    for name, field in layout.places.items():
        value = (word >> field.offset) & ((1 << field.width) - 1)
        if name not in ("padding", "reserved"):
            values[name] = value - (1 << field.width) if value > field.high else value
    return Instruction(layout, values)
