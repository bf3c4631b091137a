"""From bytes of a value to transfers: rows with a pitch, nests of more levels than an instruction has, runs.

A value is dense in scratchpads. In memory its rows may lie apart (`Place.rows`); what is asked for in dense bytes
becomes the transfers that move just these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatewright.hdl.instruction import RUN_PITCH_WIDTH, TRANSFER
from gatewright.targets.array.memory_map import Place

__all__ = ["transfers"]

_Levels = list[tuple[int, int]]
_MOST_SEGMENTS = TRANSFER.places["count0"].high
_LONGEST_RUN = TRANSFER.places["run"].high
_WIDEST_PITCH = (1 << RUN_PITCH_WIDTH) - 1
_GAP_BEATS = 4  # beats between the segments of a run that are less trouble than a burst for each


def transfers(
    place: Place, length: int, nest: Sequence[tuple[int, int]], bus_bytes: int, *, runs: bool
) -> Iterator[dict[str, int]]:
    """Fields of the transfers that move `length` bytes and a nest of (count, stride) around them, innermost first.

    All is counted in dense bytes, from `place` on. The transfers follow one another in the scratchpad.
    """
    levels: _Levels = []
    for count, stride in nest:
        if (not levels and stride == length) or count == 1:
            length *= count
        else:
            levels.append((count, stride))
    for part in _in_memory(place, place.start, length, levels):
        for each in _few_levels(*part, bus_bytes if runs else 0):
            yield _fields(place.region, *each, bus_bytes if runs else 0)


def _in_memory(place: Place, start: int, length: int, levels: _Levels) -> Iterator[tuple[int, int, _Levels]]:
    """The same in bytes of memory; strides and lengths that do not fit the rows are taken apart."""
    if place.rows is None:
        yield place.offset + start, length, levels
        return
    row, pitch = place.rows.bytes, place.rows.pitch
    number, within = divmod(start, row)
    offset = place.offset + number * pitch + within
    outer = [(count, stride // row * pitch) for count, stride in levels]
    fits = all(stride % row == 0 for _, stride in levels)
    if fits and within == 0 and length % row == 0:
        yield offset, row, _joined([(length // row, pitch), *outer])
    elif fits and within + length <= row:
        yield offset, length, _joined(outer)
    elif levels:
        *inner, (count, stride) = levels
        for index in range(count):
            yield from _in_memory(place, start + index * stride, length, inner)
    else:
        head = min(length, -start % row)
        whole = (length - head) // row * row
        for at, size in ((0, head), (head, whole), (head + whole, length - head - whole)):
            if size:
                yield from _in_memory(place, start + at, size, [])


def _joined(levels: _Levels) -> _Levels:
    """Without levels of one, and with those as one that go on where the level inside ends."""
    found: _Levels = []
    for count, stride in levels:
        if count == 1:
            continue
        if found and stride == found[-1][0] * found[-1][1]:
            found[-1] = (found[-1][0] * count, found[-1][1])
        else:
            found.append((count, stride))
    return found


def _few_levels(offset: int, length: int, levels: _Levels, run_bus: int) -> Iterator[tuple[int, int, _Levels]]:
    """Two levels at most, of counts that instructions can hold."""
    most = _most(length, levels[0][1], run_bus) if levels else 0
    if len(levels) > 2 or (len(levels) == 2 and most < levels[0][0]):
        *inner, (count, stride) = levels
        for index in range(count):
            yield from _few_levels(offset + index * stride, length, inner, run_bus)
        return
    if len(levels) == 1:
        (count, stride) = levels[0]
        step = most
        for done in range(0, count, step):
            yield offset + done * stride, length, [(min(step, count - done), stride)]
        return
    yield offset, length, levels


def _most(length: int, stride: int, run_bus: int) -> int:
    """Segments of a row that fit an instruction, as a run if they are one."""
    return min(_MOST_SEGMENTS, _LONGEST_RUN // stride) if _suits_run(length, stride, run_bus) else _MOST_SEGMENTS


def _suits_run(length: int, stride: int, run_bus: int) -> bool:
    """Whether a row is moved faster in one go than in segments."""
    if not run_bus or stride % run_bus or not length <= stride <= _WIDEST_PITCH:
        return False
    return stride // run_bus - -(-length // run_bus) <= _GAP_BEATS


def _fields(region: int, offset: int, length: int, levels: _Levels, run_bus: int) -> dict[str, int]:
    (count0, stride0), (count1, stride1) = [*levels, (1, 0), (1, 0)][:2]
    fields = {"region": region, "offset": offset, "length": length}
    fields |= {"count0": count0, "stride0": stride0, "count1": count1, "stride1": stride1}
    if count0 > 1 and _suits_run(length, stride0, run_bus) and not (offset % run_bus or stride1 % run_bus):
        fields["run"] = (count0 - 1) * stride0 + length
    return fields
