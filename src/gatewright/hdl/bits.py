"""Shifts and choices of wide words, in forms that synthesise small and simulate fast."""

from collections.abc import Sequence

from amaranth.hdl import *
from amaranth.utils import exact_log2

__all__ = ["choose", "first_units", "rotate_left", "rotate_right"]


def rotate_left(m: Module, value: Value, amount: Value, unit: int, name: str) -> Value:
    """`value` rotated towards higher bits by `amount` units of `unit` bits."""
    for level in range(len(amount)):
        step = unit << level
        rotated = Signal.like(value, name=f"{name}_{level}")
        m.d.comb += rotated.eq(Mux(amount[level], Cat(value[-step:], value[:-step]), value))
        value = rotated
    return value


def rotate_right(m: Module, value: Value, amount: Value, unit: int, name: str) -> Value:
    """`value` rotated towards lower bits by `amount` units of `unit` bits."""
    for level in range(len(amount)):
        step = unit << level
        rotated = Signal.like(value, name=f"{name}_{level}")
        m.d.comb += rotated.eq(Mux(amount[level], Cat(value[step:], value[:step]), value))
        value = rotated
    return value


def first_units(amount: Value, count: int, unit: int = 1) -> Value:
    """`count` units of `unit` bits, of which the first `amount` are ones; `amount` has log2(count) bits."""
    # A right shift of ones: a left shift would be calculated in twice the width, a mask bit by bit.
    width = (count - 1) * unit
    return Const((1 << width) - 1, width) >> Cat(Const(0, exact_log2(unit)), ~amount) if count > 1 else Const(0, 1)


def choose(values: Sequence[Value], index: Value) -> Value:
    """The value with this index, by a tree of choices between two; the tree is as deep as the index has bits."""
    if len(values) == 1:
        return values[0]
    half = 1 << (len(values) - 1).bit_length() - 1
    top = half.bit_length() - 1
    return Mux(index[top], choose(values[half:], index[:top]), choose(values[:half], index[:top]))
