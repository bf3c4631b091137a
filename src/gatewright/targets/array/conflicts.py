"""Which earlier instructions touch the same bytes: accesses of a sequence so far, in order of address."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from gatewright.hdl.instruction import Queue

__all__ = ["Access", "Conflicts"]


class Access(NamedTuple):
    """Bytes [start, stop) of a memory: a scratchpad, or a region named ("region", index)."""

    space: object
    start: int
    stop: int
    writes: bool


class _Owners:
    """Disjoint ranges of bytes in order, and the instruction that each belongs to."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.indices: list[int] = []

    def span(self, start: int, stop: int) -> slice:
        """The ranges that share bytes with [start, stop)."""
        return slice(bisect_right(self.stops, start), bisect_left(self.starts, stop))

    def clear(self, start: int, stop: int) -> None:
        """Without the bytes [start, stop)."""
        at = self.span(start, stop)
        if at.start >= at.stop:
            return
        kept = []
        if self.starts[at.start] < start:
            kept.append((self.starts[at.start], start, self.indices[at.start]))
        if stop < self.stops[at.stop - 1]:
            kept.append((stop, self.stops[at.stop - 1], self.indices[at.stop - 1]))
        self._replace(at, kept)

    def give(self, start: int, stop: int, index: int) -> None:
        """Let the bytes [start, stop) belong to an instruction alone."""
        self.clear(start, stop)
        place = bisect_left(self.starts, start)
        self._replace(slice(place, place), [(start, stop, index)])

    def _replace(self, at: slice, ranges: list[tuple[int, int, int]]) -> None:
        self.starts[at] = [start for start, _, _ in ranges]
        self.stops[at] = [stop for _, stop, _ in ranges]
        self.indices[at] = [index for _, _, index in ranges]


class _Space:
    """One memory: reads of each queue, and writes."""

    def __init__(self) -> None:
        self.reads = {queue: _Owners() for queue in Queue}
        self.writes = _Owners()


class Conflicts:
    """Accesses so far, in each space, reads and writes apart.

    Bytes that cannot matter any more are forgotten: those that a later write covers, and those of a read that a later
    read by the same queue covers (queues complete in order). Of a space that is never written nothing is kept.
    """

    def __init__(self, written: frozenset[object]) -> None:
        self._spaces = {space: _Space() for space in written}

    def before(self, access: Access) -> list[int]:
        """Indices of earlier instructions that must not run at the same time as one with this access."""
        space = self._spaces.get(access.space)
        if space is None:
            return []
        found = space.writes.indices[space.writes.span(access.start, access.stop)]
        if access.writes:
            for reads in space.reads.values():
                found += reads.indices[reads.span(access.start, access.stop)]
        return found

    def add(self, access: Access, index: int, queue: Queue) -> None:
        space = self._spaces.get(access.space)
        if space is None:
            return
        if not access.writes:
            space.reads[queue].give(access.start, access.stop, index)
            return
        space.writes.give(access.start, access.stop, index)
        for reads in space.reads.values():
            reads.clear(access.start, access.stop)
