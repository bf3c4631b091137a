"""The host side of a machine: one driver for simulator and board. Knows programs and registers, no compiler.

All of it but `export` needs NumPy alone, so that build folders can carry a copy to a board.
"""

from gatewright.host.bus import Bus
from gatewright.host.driver import COUNTERS, Driver, memory_size
from gatewright.host.mmap_bus import MmapBus, Window
from gatewright.host.registers import Registers

__all__ = ["COUNTERS", "Bus", "Driver", "MmapBus", "Registers", "Window", "memory_size"]
