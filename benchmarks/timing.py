"""Times on a machine that other people use too: wall clock and processor, the best of several."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Timing", "best_of"]

_BUSY = 1.5
_SECONDS, _MOST = 2.0, 100


@dataclass(frozen=True)
class Timing:
    """Seconds; `processor` counts all threads and the child processes that ended meanwhile."""

    wall: float
    processor: float

    def within(self, limit: float) -> bool:
        """Whether the wall clock kept a limit, or would have if the processor had not been with others.

        Where the wall clock shows half as much again as was computed, the machine was busy with something else, and
        what was computed is the fairer figure.
        """
        return self.wall <= limit or (self.processor <= limit and self.wall > _BUSY * self.processor)

    def verdict(self, limit: float) -> str:
        """The same for the table."""
        if self.wall <= limit:
            return "yes"
        return "yes, in processor time" if self.within(limit) else "**no**"


def best_of(count: int, action: Callable[[], object]) -> Timing:
    """Do something at least so many times, what is short for two seconds; the least of each clock, since everything
    else adds to it.
    """
    end = time.perf_counter() + _SECONDS
    timings = [_once(action) for _ in range(count)]
    while time.perf_counter() < end and len(timings) < _MOST:
        timings.append(_once(action))
    return Timing(min(one.wall for one in timings), min(one.processor for one in timings))


def _once(action: Callable[[], object]) -> Timing:
    wall, processor = time.perf_counter(), _processor()
    action()
    return Timing(time.perf_counter() - wall, _processor() - processor)


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
