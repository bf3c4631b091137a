"""Registers in a row."""

from amaranth.hdl import *

__all__ = ["delayed"]


def delayed(m: Module, value: Value, cycles: int, name: str, *, keep_reset: bool = False) -> Value:
    """`value` as it was `cycles` cycles ago, through registers named after `name`.

    Flags that must be inactive after a reset ask for `keep_reset`; data does without.
    """
    for stage in range(1, cycles + 1):
        register = Signal.like(value, name=f"{name}_{stage}", reset_less=not keep_reset)
        m.d.sync += register.eq(value)
        value = register
    return value
