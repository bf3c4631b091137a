"""A machine on a board under Linux: registers and memory mapped into this process."""

from __future__ import annotations

import mmap
import os
import select
import struct
import time
from pathlib import Path
from types import TracebackType

import numpy as np

__all__ = ["MmapBus", "Window"]


class Window:
    """A stretch of a file such as `/dev/mem`, `/dev/uio0` or `/dev/udmabuf0`, mapped shared and uncached."""

    def __init__(self, path: Path | str, offset: int, size: int) -> None:
        page = mmap.ALLOCATIONGRANULARITY
        begin = offset // page * page
        handle = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            self._map = mmap.mmap(handle, size + offset - begin, offset=begin)
        finally:
            os.close(handle)
        self._view = memoryview(self._map)[offset - begin :]

    @property
    def bytes(self) -> np.ndarray:
        return np.frombuffer(self._view, np.uint8)

    @property
    def words(self) -> memoryview:
        """The same as 32-bit numbers in the machine's order; each access is one access on the bus."""
        return self._view[: len(self._view) // 4 * 4].cast("I")

    def close(self) -> None:
        self._view.release()
        self._map.close()


class MmapBus:
    """Registers in one window, memory shared with the machine in another, at address `base` for the machine.

    The interrupt comes from the UIO device `interrupt` (such as `/dev/uio0`); without one, some bits of a register
    (`ended`: offset, bits) are looked at every millisecond. A machine that works is never silent for longer
    than `patience` seconds.
    The memory must not be cached, or be coherent with the machine: reserved memory, or a udmabuf opened with O_SYNC.
    """

    def __init__(
        self,
        registers: Window,
        memory: Window,
        base: int,
        ended: tuple[int, int],
        interrupt: Path | str | None = None,
        patience: float = 1.0,
    ) -> None:
        self._windows = (registers, memory)
        self._words = registers.words
        self.memory = memory.bytes
        self.base = base
        self._ended = ended
        self._patience = patience
        self._interrupt = None if interrupt is None else os.open(interrupt, os.O_RDWR)

    def __enter__(self) -> MmapBus:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def read32(self, offset: int) -> int:
        return self._words[offset // 4]

    def write32(self, offset: int, value: int) -> None:
        self._words[offset // 4] = value

    def wait_interrupt(self) -> bool:
        if self._interrupt is None:
            return self._poll()
        os.write(self._interrupt, struct.pack("=I", 1))  # lets the UIO driver pass the next interrupt on
        ready, _, _ = select.select([self._interrupt], [], [], self._patience)
        if ready:
            os.read(self._interrupt, 4)
        return bool(ready) or self._has_ended()

    def close(self) -> None:
        """Give the windows back; `memory` must not be used any more."""
        del self.memory
        self._words.release()
        for window in self._windows:
            window.close()
        if self._interrupt is not None:
            os.close(self._interrupt)

    def _has_ended(self) -> bool:
        offset, bits = self._ended
        return self.read32(offset) & bits != 0

    def _poll(self) -> bool:
        end = time.monotonic() + self._patience
        while not self._has_ended():
            if time.monotonic() > end:
                return False
            time.sleep(0.001)
        return True
