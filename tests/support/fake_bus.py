"""A bus with a machine behind it that exists only as registers: it does what a test tells it to, in no time."""

from collections.abc import Callable

import numpy as np

from gatewright.hdl.csr_map import REGISTER_MAP, SHELL_ID, SHELL_VERSION

__all__ = ["FakeBus"]


class FakeBus:
    """Registers of the shell over a dictionary; `behave(bus)` is what happens when a program is started."""

    base = 0x1_2000_0000

    def __init__(
        self, digest: int, behave: Callable[["FakeBus"], None], size: int = 1 << 16, patience: int = 1
    ) -> None:
        self.memory = np.full(size, 0xA5, np.uint8)
        self.behave = behave
        self.patience = patience  # calls of wait_interrupt that find nothing yet
        self.words: dict[int, int] = {}
        self.started = 0
        self.put("ID", SHELL_ID)
        self.put("VERSION", SHELL_VERSION)
        self.put("CONFIG_DIGEST", digest)

    def put(self, name: str, value: int, index: int = 0) -> None:
        """Set a register from the machine's side."""
        self.words[REGISTER_MAP.offset(name, index)] = value

    def get(self, name: str, index: int = 0) -> int:
        return self.words.get(REGISTER_MAP.offset(name, index), 0)

    def field(self, register: str, name: str, value: int = 1) -> int:
        return REGISTER_MAP.field(register, name).insert(value)

    def region(self, index: int) -> int:
        """Where a region was placed, as an index into `memory`."""
        return (self.get("REGION_BASE_HI", index) << 32 | self.get("REGION_BASE_LO", index)) - self.base

    def finish(self) -> None:
        """End as a program that reached its END."""
        self.put("STATUS", self.field("STATUS", "done"))
        self.put("IRQ_STATUS", self.field("IRQ_STATUS", "done"))

    def fail(self, code: int) -> None:
        self.put("STATUS", self.field("STATUS", "error") | self.field("STATUS", "error_code", code))
        self.put("IRQ_STATUS", self.field("IRQ_STATUS", "error"))

    def read32(self, offset: int) -> int:
        return self.words.get(offset, 0)

    def write32(self, offset: int, value: int) -> None:
        if offset == REGISTER_MAP.offset("CONTROL"):
            self._control(value)
        elif offset == REGISTER_MAP.offset("IRQ_STATUS"):
            self.words[offset] = self.read32(offset) & ~value
        else:
            self.words[offset] = value

    def wait_interrupt(self) -> bool:
        if self.get("IRQ_STATUS") & self.get("IRQ_ENABLE") and self.patience == 0:
            return True
        self.patience = max(0, self.patience - 1)
        self.put("READ_BEATS", self.get("READ_BEATS") + bool(self.get("IRQ_STATUS")))
        return False

    def _control(self, value: int) -> None:
        if value & self.field("CONTROL", "reset"):
            self.put("STATUS", 0)
        if value & self.field("CONTROL", "start"):
            self.started += 1
            self.put("STATUS", self.field("STATUS", "busy"))
            self.behave(self)
