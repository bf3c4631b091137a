"""Cycles of the vector unit, as numbers that the hardware is built from and the cycle model counts with.

Time runs in *steps*: in each, every lane takes one tap of one element. A COMPUTE that is accepted in cycle a takes its
first step in a + `START_CYCLES`, then one a cycle: groups x pixels x taps of them. There is no other cycle without a
step, unless a group with parameters per channel would start less than `fetch_cycles` after the one before it that had
such. So, with n = pixels x taps steps in a group, the last step comes

    (groups - 1) * max(n, fetch_cycles) + n - 1        (without parameters per channel: groups * n - 1)

after the first one; the next command can be accepted `NEXT_CYCLES` after the last step, and `completed` comes
`vector_completion_cycles` after it. Each configuration command takes one cycle. CONFIG_LANES, which the later stages
still need, waits besides for the cycle `settings_cycles` after the first step of the COMPUTE before it, and CONFIG_POST
for the cycle after the `completed` of all COMPUTEs of the unit before it.

A COMPUTE waits until everything that the other unit has accepted is completed: it is accepted in the cycle after that.
"""

from gatewright.hdl.requantise import ShiftRoundClip
from gatewright.hdl.scratchpad import READ_LATENCY, WRITE_LATENCY
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.timing import GATHER_LATENCY, NEXT_CYCLES, START_CYCLES

__all__ = [
    "NEXT_CYCLES",
    "OPERAND_LATENCY",
    "START_CYCLES",
    "fetch_cycles",
    "settings_cycles",
    "sum_latency",
    "vector_completion_cycles",
    "vector_compute_cycles",
    "vector_in_flight",
    "vector_latency",
    "vector_steps",
]

OPERAND_LATENCY = GATHER_LATENCY + READ_LATENCY
"""From a step to the windows of its operands."""

PRODUCT_LATENCY = 3
"""From windows to products: element, difference to the zero point, product."""


def sum_latency(config: ArrayConfig) -> int:
    """From a step to the sum that it completes."""
    return OPERAND_LATENCY + PRODUCT_LATENCY + 2 * config.vector_product_shift + 1


def vector_latency(config: ArrayConfig) -> int:
    """From the last step of a result to the request to write it: bias, factor, product in two stages, tail, table."""
    return sum_latency(config) + 4 + ShiftRoundClip.LATENCY + config.vector_table * READ_LATENCY


def vector_completion_cycles(config: ArrayConfig) -> int:
    """From the last step of a COMPUTE to its `completed`."""
    return vector_latency(config) + WRITE_LATENCY


def fetch_cycles(config: ArrayConfig) -> int:
    """Reads of the parameter scratchpad for a group: the least distance between the starts of two that need them."""
    return max(config.vector_lanes // config.post_lanes, 1)


def settings_cycles(config: ArrayConfig) -> int:
    """From the first step of a COMPUTE until its settings may change."""
    return vector_latency(config) - 1


def vector_in_flight(config: ArrayConfig) -> int:
    """Most COMPUTEs accepted and not completed: what fits into the pipeline, one every three cycles."""
    return (START_CYCLES + vector_completion_cycles(config)) // (START_CYCLES + NEXT_CYCLES) + 1


def vector_steps(config: ArrayConfig, taps: int, pixels: int, groups: int, per_channel: bool) -> int:
    """Cycles from the first step of a COMPUTE to its last one, both included."""
    group = pixels * taps
    return (groups - 1) * max(group, fetch_cycles(config) if per_channel else 1) + group


def vector_compute_cycles(config: ArrayConfig, taps: int, pixels: int, groups: int, per_channel: bool) -> int:
    """From the acceptance of a COMPUTE to its `completed` when no other one is in the way."""
    steps = vector_steps(config, taps, pixels, groups, per_channel)
    return START_CYCLES - 1 + steps + vector_completion_cycles(config)
