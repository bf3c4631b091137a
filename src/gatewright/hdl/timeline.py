"""A small kernel for cycle models: processes that sleep for cycles or wait for something to change."""

from __future__ import annotations

import heapq
from collections.abc import Generator
from types import GeneratorType
from typing import Any

__all__ = ["Gate", "Process", "Timeline"]

Process = Generator["int | Gate", None, None]
"""Yields the cycles to sleep, or the gate to wait at."""


class Gate:
    """Something that changes; whoever waits here looks again after `notify`."""

    def __init__(self) -> None:
        self.waiting: list[Process] = []


class Timeline:
    """Runs processes in order of time; those of the same cycle in the order they became ready."""

    def __init__(self) -> None:
        self.now = 0
        self._count = 0
        self._agenda: list[tuple[int, int, Any]] = []

    def start(self, process: Process, delay: int = 0) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now + delay, self._count, process))

    def call(self, delay: int, action: Any) -> None:
        """Call `action()` after `delay` cycles."""
        self._count += 1
        heapq.heappush(self._agenda, (self.now + delay, self._count, action))

    def notify(self, gate: Gate) -> None:
        waiting, gate.waiting = gate.waiting, []
        for process in waiting:
            self.start(process)

    def run(self) -> None:
        """Until nobody has anything left to do; processes that still wait are stuck."""
        while self._agenda:
            self.now, _, entry = heapq.heappop(self._agenda)
            if type(entry) is not GeneratorType:
                entry()
                continue
            wish = next(entry, None)
            if isinstance(wish, Gate):
                wish.waiting.append(entry)
            elif wish is not None:
                self.start(entry, wish)
