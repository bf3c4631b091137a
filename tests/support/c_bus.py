"""A `Bus` as the C runtime wants it: the structure `gw_bus`, with functions that call back into Python."""

import ctypes

from gatewright.host import Bus

__all__ = ["CBus"]

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
WAIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class CBus(ctypes.Structure):
    _fields_ = (
        ("context", ctypes.c_void_p),
        ("read32", READ),
        ("write32", WRITE),
        ("wait_interrupt", WAIT),
        ("memory", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
    )

    @classmethod
    def around(cls, bus: Bus) -> "CBus":
        return cls(
            None,
            READ(lambda _, offset: bus.read32(offset)),
            WRITE(lambda _, offset, value: bus.write32(offset, value)),
            WAIT(lambda _: bus.wait_interrupt()),
            bus.memory.ctypes.data,
            bus.base,
            len(bus.memory),
        )
