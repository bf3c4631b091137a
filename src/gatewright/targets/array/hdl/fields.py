"""Registers that hold parts of an instruction."""

from collections.abc import Collection

from amaranth.hdl import *
from amaranth.lib import data

from gatewright.hdl.instruction import HEADER, INSTRUCTION_BITS

__all__ = ["fields_of", "narrowed", "take"]


def fields_of(layout: data.StructLayout, *names: str) -> data.StructLayout:
    """The named fields of an instruction, or all that are its own."""
    own = tuple(name for name, _ in layout if name not in HEADER.members and name != "padding")
    return data.StructLayout({name: layout[name].shape for name in names or own})


def take(register: data.View, layout: data.StructLayout, word: Value, names: Collection[str] | None = None) -> list:
    """Assignments of a register from the fields of an instruction word: the named ones, or all it has."""
    assert len(word) == INSTRUCTION_BITS
    instruction = data.View(layout, word)
    return [register[name].eq(instruction[name]) for name, _ in register.shape() if names is None or name in names]


def narrowed(layout: data.StructLayout, **shapes: ShapeLike) -> data.StructLayout:
    """The layout with other shapes for some of its fields."""
    return data.StructLayout({name: shapes.get(name, field.shape) for name, field in layout})
