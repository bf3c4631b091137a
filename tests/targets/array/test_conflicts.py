"""Conflicts: what they remember is what a list of every access would say, but for what later accesses cover."""

import random

from gatewright.hdl.instruction import Queue
from gatewright.targets.array.conflicts import Access, Conflicts


def _every(history: list[tuple[Access, Queue]], access: Access) -> set[int]:
    """Byte by byte: the last write, and the last read of each queue since, of each byte."""
    found = set()
    for byte in range(access.start, access.stop):
        reads: dict[Queue, int] = {}
        write = None
        for index, (other, queue) in enumerate(history):
            if other.space == access.space and other.start <= byte < other.stop:
                if other.writes:
                    write, reads = index, {}
                else:
                    reads[queue] = index
        found |= {index for index in [write, *(reads.values() if access.writes else ())] if index is not None}
    return found


def test_random_accesses_conflict_with_the_last_ones_of_their_bytes() -> None:
    generator = random.Random(1)
    for _ in range(30):
        conflicts = Conflicts(frozenset({"a", "b"}))
        history: list[tuple[Access, Queue]] = []
        for index in range(40):
            start = generator.randrange(30)
            stop = start + generator.randrange(1, 12)
            access = Access(generator.choice("ab"), start, stop, generator.random() < 0.4)
            assert set(conflicts.before(access)) == _every(history, access)
            queue = generator.choice(list(Queue))
            conflicts.add(access, index, queue)
            history.append((access, queue))


def test_reads_of_a_space_that_is_never_written_are_forgotten() -> None:
    conflicts = Conflicts(frozenset({"a"}))
    conflicts.add(Access("constants", 0, 8, False), 0, Queue.LOAD)
    assert conflicts.before(Access("constants", 0, 8, True)) == []
