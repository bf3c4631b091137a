"""Cycles of the core, as numbers that the hardware is built from and the cycle model counts with.

Time runs in *steps*: in each, the array's corner takes one tap of the pixel in row 0. A tile of pixels takes
`tile_cycles` steps, one after the other, over all taps. A COMPUTE that is accepted in cycle a takes its first step in
a + `START_CYCLES`; there is no other cycle without a step between its tiles, unless a tile would end less than
`drain_cycles` after the one before it (of this COMPUTE or an earlier one). So, if the tile before ended in e,

    the first tile ends in  max(a + START_CYCLES + tile_cycles - 1, e + drain_cycles),
    each further one        max(tile_cycles, drain_cycles) cycles later;

the next command can be accepted `NEXT_CYCLES` after the end of the last tile, and `completed` comes `completion_cycles`
after it. CONFIG_PIXELS and CONFIG_TAPS take one cycle; so do CONFIG_POST and CONFIG_RANGE, in the cycle after the
`completed` of all COMPUTEs before it or later. No more than `COMPUTES_IN_FLIGHT` are accepted and not yet completed:
one more waits for the cycle after a `completed`.
"""

from typing import Any

import numpy as np

from gatewright.hdl.requantise import Requantiser, ResidualAdder
from gatewright.hdl.scratchpad import READ_LATENCY, WRITE_LATENCY
from gatewright.targets.array.config import ArrayConfig

__all__ = [
    "CHOICE",
    "COMPUTES_IN_FLIGHT",
    "FEED_LATENCY",
    "NEXT_CYCLES",
    "RESULT_LATENCY",
    "START_CYCLES",
    "choice_registers",
    "completion_cycles",
    "compute_cycles",
    "drain_cycles",
    "drain_delay",
    "drain_distance",
    "post_latency",
    "row_latency",
    "tile_cycles",
]

START_CYCLES = 2
"""From the acceptance of a COMPUTE to its first step."""

NEXT_CYCLES = 1
"""From the last step of a COMPUTE to the acceptance of the next command: two cycles between COMPUTEs have no step."""

COMPUTES_IN_FLIGHT = 4

GATHER_LATENCY = 3
"""From a step to its request to the activation scratchpad: point, product and bounds, address."""

FEED_LATENCY = GATHER_LATENCY + READ_LATENCY + 1
"""From a step to its operands at the array's corner."""

RESULT_LATENCY = 4
"""From the last operands at an element's inputs to its result in its register."""

SUM_LATENCY = 2
"""From a step of the drain to its sums at the post unit; parameters come one cycle later."""

CHOICE = 16
"""Most results between which one is chosen in a cycle."""


def tile_cycles(config: ArrayConfig, tap_words: int) -> int:
    """Steps of one tile of pixels (times one tile of filters): each tap word feeds the array for `word_length`."""
    return tap_words * config.word_length


def drain_cycles(config: ArrayConfig) -> int:
    """Least distance between the ends of two tiles: results must be taken before the next ones replace them."""
    return int(drain_distance(config.rows, config.columns, config.lane_groups))


def drain_distance(rows: Any, columns: Any, groups: Any) -> Any:
    """`drain_cycles` of arrays of `rows` x `columns` with this many lane groups, numbers or arrays of them.

    The result of row r and column c is there r + c cycles after that of row 0 and column 0, until the next tile's comes
    as much later. Lane group g of row r is taken r * groups + g cycles after the first, which is not before
    columns - groups (see `drain_delay`). The last row's first group is what waits longest; and each takes its cycle.
    """
    return rows * groups + np.maximum(columns - rows - 2 * groups + 2, 0)


def drain_delay(config: ArrayConfig) -> int:
    """From the last step of a tile to the first of the drain, such that no result is taken before it is there."""
    # Lane group g, taken g cycles after the first, ends with column (g + 1) * post_lanes - 1 or the last one; the last
    # group decides. Later rows come a cycle later each, and are taken later still.
    result = FEED_LATENCY + RESULT_LATENCY + config.columns - config.lane_groups
    return result - row_latency(config)


def row_latency(config: ArrayConfig) -> int:
    """From a step of the drain to the choice of its row."""
    return SUM_LATENCY - choice_registers(config.rows, config.lane_groups)


def choice_registers(rows: int, groups: int = 1) -> int:
    """Registers between the results of a column and the choice of a lane group: no choice of more than `CHOICE`."""
    registers = 0
    while rows > CHOICE:
        rows = -(-rows // CHOICE)
        registers += 1
    return registers + (rows * groups > CHOICE)


def post_latency(config: ArrayConfig) -> int:
    """From a step of the drain to the request to write its results."""
    return (
        SUM_LATENCY
        + 1
        + Requantiser.LATENCY
        + config.residual * ResidualAdder.LATENCY
        + config.lut * READ_LATENCY
        + config.pool
    )


def completion_cycles(config: ArrayConfig, rows: int) -> int:
    """From the last step of a COMPUTE to its `completed`; `rows` pixels in its last tile, 0 without `last`."""
    drain = max(rows * config.lane_groups, 1)
    return drain_delay(config) + drain - 1 + post_latency(config) + WRITE_LATENCY


def compute_cycles(config: ArrayConfig, tap_words: int, pixels: int, filter_tiles: int) -> int:
    """From the acceptance of a COMPUTE to its `completed` when no other one is in the way."""
    steps = tile_cycles(config, tap_words)
    tiles = -(-pixels // config.rows)
    rows = pixels - (tiles - 1) * config.rows
    feed = steps + (tiles * filter_tiles - 1) * max(steps, drain_cycles(config))
    return START_CYCLES - 1 + feed + completion_cycles(config, rows)
