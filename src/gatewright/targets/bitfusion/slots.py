"""How runs of taps are fed: in words of so many steps, which each pixel of a tile reads for itself, or all share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from gatewright.targets.array.job import Job, Level
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.packing import chunk_steps, lanes_of, split_parts

__all__ = [
    "SHARED_DISTANCES",
    "Slots",
    "arranged",
    "best_slots",
    "most_shared",
    "most_steps",
    "shared_window",
    "slots_of",
]

SHARED_DISTANCES = (1, 2, 3, 6)
"""Bytes between adjacent pixels that can share a word: one or three channels of a byte, at strides of 1 and 2."""


@dataclass(frozen=True)
class Slots:
    """How a run of taps is fed: `words` words, each in a slot of `steps` steps of `lanes` bytes.

    A tile has up to `rows` pixels, each of which reads its own word, in a step of its own. Or, with `share`, they are
    so many bytes apart in one row of the image, and one word is read for all of them; with two `lines`, two rows of the
    image have every other pixel.
    """

    words: int
    steps: int
    lanes: int
    rows: int
    share: int = 0
    lines: int = 1

    @property
    def word_bytes(self) -> int:
        return self.steps * self.lanes

    def tiles(self, inner: int, pixels: int) -> int:
        """Tiles of `pixels` pixels, of which `inner` at a time are adjacent in each line."""
        if self.share:
            return -(-inner * self.lines // self.rows) * (pixels // (inner * self.lines))
        return -(-pixels // self.rows)


def most_steps(config: FusionConfig, lanes: int) -> int:
    """Steps of the longest slot: as many as a word of the input buffer has inputs for."""
    return config.feed_window // lanes


def slots_of(
    run_bytes: int, input_width: int, weight_width: int, config: FusionConfig, pixels: int | None = None
) -> Slots:
    """The slots of fewest steps in which every pixel of a tile reads its own word, in a step of its own.

    `pixels` is the number of all of them, if it is known: a tile has no more.
    """
    rows = min(config.rows, pixels or config.rows)
    *_, words, steps = min(_choices(run_bytes, (input_width, weight_width), rows, config.feed_window))
    return Slots(words, steps, _lanes(weight_width), rows)


def _lanes(weight_width: int) -> int:
    return lanes_of(min(weight_width, 8))


def _choices(run_bytes: int, widths: tuple[int, int], least: int, room: int) -> Iterator[tuple[int, int, int, int]]:
    """(steps in all, chunks, words, steps of a word of `room` bytes at most): words have at least `least` steps."""
    lanes = _lanes(widths[1])
    unit = {6: 3, 16: 2}.get(widths[0], 1)  # a word ends with a group
    need, most = -(-run_bytes // lanes), room // lanes // unit * unit
    if most <= 0:
        return
    for words in range(-(-need // most), -(-need // least) + 1):
        steps = -(-max(least, -(-need // words)) // unit) * unit
        if steps <= most:
            yield words * steps, words * -(-steps // chunk_steps(widths[0])), words, steps


def arranged(levels: Sequence[Level], lines: int = 1) -> tuple[Level, Level, tuple[Level, ...]]:
    """A nest of pixels in the order in which they share words.

    The lines (the first level of `lines` turns from row to row of the image, if there are several), pixels that follow
    each other in one of them at one distance, and the levels around these.
    """
    outer = [level for level in levels if level.count > 1]
    line = next((level for level in outer if _is_lines(level)), Level(1)) if lines > 1 else Level(1)
    outer = [level for level in outer if level is not line] or [Level(1)]
    first = outer.pop(0)
    while outer and not first.dy and not outer[0].dy and outer[0].dx == first.count * first.dx:
        first = Level(first.count * outer.pop(0).count, 0, first.dx)
    return line, first, tuple(outer)


def _is_lines(level: Level) -> bool:
    return level.count == 2 and level.dy != 0 and level.dx == 0


def shared_window(config: FusionConfig, lines: int) -> int:
    """Bytes of a shared word that the rows pass on."""
    return config.feed_window // (1 if lines == 1 else 4)


def most_shared(config: FusionConfig) -> int:
    """Bytes of a pixel's word that is shared, at most; longer ones last as long as reading for each row, or nearly."""
    return 2 * config.rows


def best_slots(job: Job, widths: tuple[int, int], config: FusionConfig) -> Slots:
    """The slots of a job (distances in bytes of packed values) that take an image through the array the soonest.

    Pixels share their words where they are adjacent and no other way is as fast; those of a pool may change places.
    Sums of shared words cannot wait in the array for more weights, so that those of a tile of filters must be on chip.
    """
    levels = (*job.window, *job.columns)
    pixels = prod(level.count for level in (*levels, job.rows))
    runs, least = job.taps.rows * job.taps.segments, drain_cycles(config.array())

    def cycles(slots: Slots) -> int:
        inner = arranged(levels, slots.lines)[1].count
        return slots.tiles(inner, pixels) * max(runs * slots.words * slots.steps, least)

    parts = split_parts(widths[0]) if pixels == 1 else 1  # rows that may work on it
    own = slots_of(job.taps.segment_bytes, *widths, config, pixels * parts)
    shared = [
        slots
        for lines in ((1, 2) if any(map(_is_lines, job.window)) else (1,))
        for slots in _shared(job.taps.segment_bytes, widths, arranged(levels, lines), config)
        if runs * slots.words * -(-slots.steps // chunk_steps(widths[0])) * 4 * config.columns <= config.wbuf_bytes
    ]
    return min([own, *shared], key=lambda slots: (cycles(slots), -slots.rows))


def _shared(
    run_bytes: int, widths: tuple[int, int], pixels: tuple[Level, Level, tuple[Level, ...]], config: FusionConfig
) -> Iterator[Slots]:
    """Ways to share words, of tiles with any number of rows."""
    line, inner, outer = pixels
    if inner.dy or inner.dx not in SHARED_DISTANCES or widths[1] > 8 or len(outer) > 1:
        return
    for each in range(1, min(config.rows // line.count, inner.count) + 1):
        room = min(shared_window(config, line.count) - (each - 1) * inner.dx, most_shared(config))
        choices = list(_choices(run_bytes, widths, line.count, room))
        if choices:
            *_, words, steps = min(choices)
            yield Slots(words, steps, _lanes(widths[1]), line.count * each, inner.dx, line.count)
