"""Registers that hold parts of an instruction."""

from amaranth.hdl import *
from amaranth.lib import data

from gatewright.hdl.instruction import HEADER, INSTRUCTION_BITS

__all__ = ["fields_of", "take"]


def fields_of(layout: data.StructLayout, *names: str) -> data.StructLayout:
    """The named fields of an instruction, or all that are its own."""
    own = tuple(name for name, _ in layout if name not in HEADER.members and name != "padding")
    return data.StructLayout({name: layout[name].shape for name in names or own})


def take(register: data.View, layout: data.StructLayout, word: Value) -> list:
    """Assignments of a register made by `fields_of` from an instruction word."""
    assert len(word) == INSTRUCTION_BITS
    instruction = data.View(layout, word)
    return [register[name].eq(instruction[name]) for name, _ in register.shape()]
