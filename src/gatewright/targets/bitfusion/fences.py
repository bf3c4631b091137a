"""How many tiles a `block-end` may leave under way: none that is read too early.

A tile that has ended when a `compute` starts is written within `written_cycles`. So only what begins in that time could
come too early. The first tiles of the `compute`s in it must read no byte that the tiles under way write, both taken as
ranges that enclose all of it. Results need no such proof: see `timing`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from gatewright.errors import ProgramError
from gatewright.ir.packing import packed_bytes
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.bitfusion.assembler import inputs_of, pixel_count, pixel_tiles, tap_words
from gatewright.targets.bitfusion.blocks import (
    FILTER_LOOP,
    LAST,
    PIXEL_LOOPS,
    Operation,
    apply,
    initial_state,
    words_of,
)
from gatewright.targets.bitfusion.isa import SIGNED, Op
from gatewright.targets.bitfusion.timing import MOST_UNDER_WAY, written_cycles

__all__ = ["UnderWay", "prove_fences"]

State = Mapping[str, int]
_Range = tuple[int, int]


class UnderWay:
    """Follows a program: `fence` for each `block-end`, `begins` for each `compute`."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self._latest: deque[tuple[State, int]] = deque(maxlen=MOST_UNDER_WAY)
        self._before: list[tuple[State, int]] = []  # the fence, the latest one first
        self._left = 0  # cycles in which they may be under way

    def fence(self) -> None:
        self._before, self._left = list(reversed(self._latest)), written_cycles(self.config)

    def begins(self, state: State, flags: int) -> int:
        """Tiles that the last fence may leave under way, as far as a `compute` on this state is concerned."""
        most = MOST_UNDER_WAY
        if self._left > 0:
            steps = tap_words(state) * state["slot"]
            most = self._apart(_early_reads(state, -(-self._left // steps)))
            self._left -= pixel_tiles(state)[0] * state[f"count{FILTER_LOOP}"] * steps
        self._latest.append((dict(state), flags))
        return most

    def _apart(self, reads: _Range) -> int:
        """The latest tiles before the fence that write none of these bytes, up to the first that does."""
        found = 0
        for state, flags in self._before:
            tiles, _ = pixel_tiles(state)
            total = tiles * state[f"count{FILTER_LOOP}"]
            for count in range(1, min(total, MOST_UNDER_WAY - found) + 1):
                first = _first_pixel(state, tiles - count) if count <= tiles else None
                if flags & LAST and state["to_next"] and _common(reads, _latest_results(state, first)):
                    return found + count - 1
            found = min(found + total, MOST_UNDER_WAY)
        return MOST_UNDER_WAY


def prove_fences(steps: Sequence[Step], config: ArrayConfig) -> None:
    """Check that no `compute` behind a `block-end` reads what may be under way.

    Raises
    ------
    ProgramError
        Naming the instruction with the `block-end`, and how many tiles it may leave.
    """
    state, under_way = initial_state(), UnderWay(config)
    allowed, place = 0, 0
    for index, step in enumerate(steps):
        if step.opcode not in (Operation.BLOCK, Operation.RUN):
            continue
        for word in words_of(step.fields):
            apply(state, word)
            if word.op == Op.BLOCK_END:
                allowed, place = word.immediate, index
                under_way.fence()
            elif word.op == Op.COMPUTE:
                most = under_way.begins(state, word.immediate)
                if allowed > most:
                    raise ProgramError(f"Instruction {place} may leave {most} tiles under way, not {allowed}")


def _first_pixel(state: State, tile: int) -> int:
    """The pixel that a tile of pixels begins with."""
    if not state["share"]:
        return tile * state["rows"]
    turns = state[f"count{PIXEL_LOOPS[1]}"]
    turn, place = divmod(tile, turns)
    return turn * ((turns - 1) * state["rows"] + state["last_rows"]) + place * state["rows"]


def _early_reads(state: State, tiles: int) -> _Range:
    """Bytes of the input buffer that enclose what is read for the first so many tiles of pixels."""
    shared = bool(state["share"])
    turns = tiles if shared else tiles * state["rows"]  # of the innermost loop, or the one that visits tiles
    early = {**state, "last_rows": state["rows"]}
    for loop in PIXEL_LOOPS[shared:]:
        early[f"count{loop}"] = min(state[f"count{loop}"], turns)
        turns = -(-turns // state[f"count{loop}"])
    return next(((access.start, access.stop) for access in inputs_of(early)), (0, 0))


def _latest_results(state: State, first: int | None) -> _Range:
    """Bytes of the input buffer that enclose the last filter tile's results from pixel `first` on, or all results."""
    pixels, count, step = pixel_count(state) // state["pool_count"], state["out_count"], state["out_step"]
    row_step = state["out_delta"] + (count - 1) * step
    ordered = step >= 0 and row_step >= (count - 1) * step
    skipped = (first or 0) // state["pool_count"]
    start, last = (pixel // count * row_step + pixel % count * step for pixel in (skipped, pixels - 1))
    if not ordered:
        return 0, 1 << 20
    distance = (state[f"count{FILTER_LOOP}"] - 1) * state["filter_step"]
    stop = last + distance + packed_bytes(state["last_columns"], state["output"] % SIGNED)
    return state["next_base"] + start + (0 if first is None else distance), state["next_base"] + stop


def _common(a: _Range, b: _Range) -> bool:
    """Whether ranges share bytes."""
    return a[0] < b[1] and b[0] < a[1]
