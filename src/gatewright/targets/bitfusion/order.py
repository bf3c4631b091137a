"""The order of a program's instructions: loads go as early as they can start, so that weights come ahead of their use.

Instructions are dispatched in order into queues of a few entries. A load behind many `compute`s would wait until these
are in their queue, however long the bus has been idle; one before them may fill its own queue in their place. So both
are put in the order in which they are going to start, as far as a simple estimate of their times tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatewright.hdl.instruction import TOKEN_WIDTH, Queue
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.conflicts import Conflicts
from gatewright.targets.array.timing import completion_cycles, drain_cycles
from gatewright.targets.bitfusion.assembler import FusionEffects, State, pixel_tiles, tap_words
from gatewright.targets.bitfusion.blocks import FILTER_LOOP, Operation
from gatewright.targets.bitfusion.config import FusionConfig

__all__ = ["loads_ahead"]

_LATENCY = 40
"""Cycles from the last request of a load to its data, about."""

_MOST_AHEAD = 1 << (TOKEN_WIDTH - 1)
"""Loads before the first one that no earlier instruction needs: each may leave a token, and more come with a queue."""


@dataclass
class _Unit:
    """Instructions that stay together: a load, a store, or what leads to a `compute`; how long the queue is busy."""

    queue: Queue
    steps: list[Step] = field(default_factory=list)
    cycles: int = 0
    latency: int = 0  # from the end of `cycles` to the completion
    needs: set[int] = field(default_factory=set)  # units before it that must have completed


def loads_ahead(steps: Sequence[Step], config: FusionConfig) -> list[Step]:
    """The steps with loads moved towards the start, across what they have no bytes in common with.

    Loads keep their order, and so do all others.
    """
    units = _units(steps, config)
    loads = [index for index, unit in enumerate(units) if unit.queue == Queue.LOAD]
    others = [index for index, unit in enumerate(units) if unit.queue != Queue.LOAD]
    ordered: list[Step] = []
    free = dict.fromkeys(Queue, 0)
    done: dict[int, int] = {}
    needed = -1  # the latest load that others in `ordered` need

    def start(index: int) -> int | None:
        """When a unit can start; None if a unit that it needs does not come before it yet."""
        if any(other not in done for other in units[index].needs):
            return None
        return max([free[units[index].queue], *(done[other] for other in units[index].needs)])

    load = other = 0
    while load < len(loads) or other < len(others):
        times = [start(line[at]) if at < len(line) else None for line, at in ((loads, load), (others, other))]
        ahead = load - needed - 1
        first = times[1] is None or (times[0] is not None and times[0] < times[1] and ahead < _MOST_AHEAD)
        index, at = (loads[load], times[0]) if first else (others[other], times[1])
        assert at is not None
        unit = units[index]
        free[unit.queue] = at + unit.cycles
        done[index] = free[unit.queue] + unit.latency
        ordered += unit.steps
        if first:
            load += 1
        else:
            other += 1
            places = [place for place in range(needed + 1, load) if loads[place] in unit.needs]
            needed = max([needed, *places])
    return ordered


def _units(steps: Sequence[Step], config: FusionConfig) -> list[_Unit]:
    effects = FusionEffects(config)
    touched = [(effects.of(step), _cycles(step, effects.state, config)) for step in steps]
    conflicts = Conflicts(frozenset(access.space for accesses, _ in touched for access in accesses if access.writes))
    units: list[_Unit] = []
    unit_of: list[int] = []
    for index, (step, (accesses, cycles)) in enumerate(zip(steps, touched, strict=True)):
        if not units or not _leads(units[-1]):
            units.append(_Unit(step.queue))
        unit = units[-1]
        unit.steps.append(step)
        unit_of.append(len(units) - 1)
        unit.cycles += cycles
        unit.latency = _LATENCY if step.queue == Queue.LOAD else completion_cycles(config.array(), config.rows)
        for access in accesses:
            unit.needs |= {unit_of[other] for other in conflicts.before(access)} - {unit_of[index]}
            conflicts.add(access, index, step.queue)
    return units


def _leads(unit: _Unit) -> bool:
    """Whether the unit's last instruction belongs to a `compute` that comes behind it."""
    return unit.steps[-1].opcode == Operation.BLOCK


def _cycles(step: Step, state: State, config: FusionConfig) -> int:
    """Cycles that an instruction keeps its queue busy; `state` is that of its `compute`."""
    if step.opcode == Operation.BLOCK:
        return 0
    if step.opcode == Operation.RUN:
        tiles, _ = pixel_tiles(state)
        return (
            tiles * state[f"count{FILTER_LOOP}"] * max(tap_words(state) * state["slot"], drain_cycles(config.array()))
        )
    f = step.fields
    return -(-f["length"] // config.bus_bytes) * f["count0"] * f["count1"]
