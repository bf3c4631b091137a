"""When a `compute` may follow another one, beside what `targets.array.timing` says of every core of this kind.

Results are *under way* from the last step of their tile until the feed can read them, `written_cycles` at most. Behind
a `block-end` with immediate n, a `compute` starts when no more than the n latest tiles can be under way: one cycle and
`written_cycles` after the end of the latest tile but n, or in the cycle after the last `completed`.

The post unit has settings of its own, which are replaced in the cycle before the first results of a `compute` behind a
`block-end` or a change of its fields. By then all earlier results are written: the first tile of such a `compute` ends
`switch_cycles` or more after the tile before. One replacement waits at a time: a `compute` that brings another one
starts `drain_delay` or more after the end of that tile.
"""

from __future__ import annotations

from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.timing import completion_cycles, drain_cycles, drain_delay

__all__ = ["MOST_UNDER_WAY", "switch_cycles", "written_cycles"]

MOST_UNDER_WAY = 15
"""Greatest immediate of a `block-end`."""


def written_cycles(config: ArrayConfig) -> int:
    """From the last step of a tile until a read of any of its results finds it."""
    return completion_cycles(config, config.rows)


def switch_cycles(config: ArrayConfig) -> int:
    """Between the ends of two tiles such that one's results are written when the other's begin to leave the array."""
    return max(written_cycles(config) - drain_delay(config) + 1, drain_cycles(config))
