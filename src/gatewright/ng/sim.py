"""What an NNgen test bench does with an accelerator's registers, for anything with `read32` and `write32`.

`saxi` is a `Simulation`, or the bus of a board. Addresses are those of register map 1.3.4, unless `saxi` says otherwise
with `global_offset` and `base_registers`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["get_header", "set_global_addrs", "set_global_offset", "start", "sw_rst", "wait"]

HEADER, START, BUSY, RESET = 0, 16, 20, 24
GLOBAL_OFFSET, BASE = 128, 132
_WORD = 4
STEP = 200
"""Cycles that a simulation lets pass between two looks at BUSY."""


class Registers(Protocol):
    """A register port."""

    def read32(self, address: int, /) -> int: ...

    def write32(self, address: int, value: int, /) -> None: ...


@runtime_checkable
class Waiting(Protocol):
    """A register port that knows how to wait, such as a `Simulation`."""

    def wait(self) -> None: ...


def get_header(saxi: Registers, index: int) -> int:
    """One of the four numbers that identify an accelerator."""
    return saxi.read32(HEADER + _WORD * index)


def set_global_offset(saxi: Registers, addr: int) -> None:
    """The address that is added to every base."""
    saxi.write32(getattr(saxi, "global_offset", GLOBAL_OFFSET), addr)


def set_global_addrs(saxi: Registers, *addrs: int | None, offset: int = 0) -> None:
    """Write base registers from number `offset` on, 0 being that of temporaries; None leaves one as it is."""
    first = getattr(saxi, "base_registers", (BASE,))[0]
    for index, addr in enumerate(addrs, offset):
        if addr is not None:
            saxi.write32(first + _WORD * index, addr)


def start(saxi: Registers) -> None:
    """Begin a run, and see it begin."""
    saxi.write32(START, 1)
    while saxi.read32(START):
        pass


def wait(saxi: Registers) -> None:
    """Wait for the end of a run."""
    if isinstance(saxi, Waiting):
        saxi.wait()
    while saxi.read32(BUSY):
        pass


def sw_rst(saxi: Registers) -> None:
    """Reset the accelerator, as soon as it has no burst under way."""
    saxi.write32(RESET, 1)
    wait(saxi)
