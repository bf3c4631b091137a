"""What a driver writes to place, start and reset a machine; register maps differ in this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gatewright.errors import ProgramError
from gatewright.host.bus import Bus
from gatewright.host.registers import Registers

__all__ = ["NngenOrders", "Orders", "OwnOrders", "orders_of"]

_ADDRESS_LIMIT = 1 << 32
_POLLS = 2000


class Orders(Protocol):
    """One machine's orders."""

    def place(self, base: int, offsets: Sequence[int], instructions: int) -> None:
        """Say where the regions lie, `offsets` from `base` on, and how long the program is; enable interrupts."""
        ...

    def start(self) -> None: ...

    def reset(self) -> None: ...

    def acknowledge(self) -> None:
        """Clear the interrupt."""
        ...

    def wait(self) -> bool:
        """As `Bus.wait_interrupt`; by looking at BUSY where there is no interrupt."""
        ...


class _Access:
    def __init__(self, bus: Bus, registers: Registers) -> None:
        self._bus = bus
        self._registers = registers

    def _write(self, name: str, value: int, index: int = 0) -> None:
        self._bus.write32(self._registers.offset(name, index), value)

    def wait(self) -> bool:
        return self._bus.wait_interrupt()


class OwnOrders(_Access):
    """The orders of the shell's own register map."""

    def place(self, base: int, offsets: Sequence[int], instructions: int) -> None:
        for index, offset in enumerate(offsets):
            self._write("REGION_BASE_LO", base + offset & 0xFFFF_FFFF, index)
            self._write("REGION_BASE_HI", base + offset >> 32, index)
        self._write("PROGRAM_LENGTH", instructions)
        self._write("IRQ_ENABLE", self._registers.mask("IRQ_ENABLE.done", "IRQ_ENABLE.error"))

    def start(self) -> None:
        self._write("CONTROL", self._registers.mask("CONTROL.start"))

    def reset(self) -> None:
        self._write("CONTROL", self._registers.mask("CONTROL.reset"))

    def acknowledge(self) -> None:
        self._write("IRQ_STATUS", self._registers.mask("IRQ_STATUS.done", "IRQ_STATUS.error"))


class NngenOrders(_Access):
    """The orders of NNgen's register maps."""

    def place(self, base: int, offsets: Sequence[int], instructions: int) -> None:
        """The program is in the machine: its length is not told.

        Raises
        ------
        ProgramError
            If an address has more than 32 bits.
        """
        if base + max(offsets) >= _ADDRESS_LIMIT:
            raise ProgramError(f"memory must lie below address {_ADDRESS_LIMIT:#x}, not at {base:#x}")
        self._write("GLOBAL_OFFSET", base)
        for index, offset in enumerate(offsets):
            self._write("BASE", offset, index)
        if "IER" in self._registers.offsets:
            self._write("IER", self._registers.mask("IER.busy"))

    def start(self) -> None:
        self._write("START", 1)

    def reset(self) -> None:
        self._write("RESET", 1)

    def acknowledge(self) -> None:
        if "IAR" in self._registers.offsets:
            self._write("IAR", self._registers.mask("IAR.busy", "IAR.extern"))

    def wait(self) -> bool:
        if "IER" in self._registers.offsets:
            return super().wait()
        return any(not self._bus.read32(self._registers.offset("BUSY")) for _ in range(_POLLS))


def orders_of(bus: Bus, registers: Registers) -> Orders:
    """The orders of the machine with these registers."""
    kind: Callable[[Bus, Registers], Orders] = OwnOrders if "CONTROL" in registers.offsets else NngenOrders
    return kind(bus, registers)
