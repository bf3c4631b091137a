"""How a host reaches a machine: registers, shared memory, interrupt. The simulator and a board are both a `Bus`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

__all__ = ["Bus"]


@runtime_checkable
class Bus(Protocol):
    """One machine on one bus.

    `memory` is what host and machine share, as writable bytes; the machine sees its first byte at address `base`.
    Addresses of registers are byte offsets into the machine's register space, multiples of 4.
    """

    @property
    def base(self) -> int: ...

    @property
    def memory(self) -> np.ndarray: ...

    def read32(self, offset: int) -> int:
        """Read a register: an unsigned 32-bit number."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        ...

    def wait_interrupt(self) -> bool:
        """Wait for the machine's interrupt line, but no longer than a machine that works would be silent.

        True if the line is active. False is no error yet: the driver looks whether the machine got any further, and
        calls again if it did. Time passes here (a fixed number of cycles in the simulator, a moment on a board).
        """
        ...
