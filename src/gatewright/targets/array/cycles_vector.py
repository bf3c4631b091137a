"""The vector unit as `timing_vector` describes it: when it takes a command, and when a COMPUTE completes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from gatewright.hdl.instruction import Memory, Opcode
from gatewright.hdl.shell_model import Taken
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa_vector import VectorOperation
from gatewright.targets.array.nest import pixels_of, vector_taps
from gatewright.targets.array.timing import GATHER_LATENCY
from gatewright.targets.array.timing_vector import (
    NEXT_CYCLES,
    START_CYCLES,
    fetch_cycles,
    settings_cycles,
    vector_completion_cycles,
    vector_in_flight,
    vector_latency,
    vector_steps,
)

__all__ = ["VectorCore"]


class VectorCore:
    """Takes commands in cycles that `ready` allows."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.registers: dict[Opcode, Mapping[str, int]] = {}
        self.accepts = 0  # first cycle in which the sequencer takes a command
        self.settled = 0  # first cycle in which it takes a CONFIG_LANES or CONFIG_POST
        self.next_fetch = 0  # first cycle in which a group with parameters per channel may start
        in_flight = vector_in_flight(config)
        self.completed: deque[int] = deque([-1] * in_flight, in_flight)
        self.busy = 0
        self.taken: list[Taken] = []  # by the last COMPUTE

    def ready(self, opcode: Opcode) -> int:
        """First cycle in which a command is taken, as far as this unit alone has a say."""
        if opcode == VectorOperation.CONFIG_POST:
            return max(self.accepts, self.settled, self.completed[-1] + 1)
        if opcode == VectorOperation.CONFIG_LANES:
            return max(self.accepts, self.settled)
        return max(self.accepts, self.completed[0] + 1) if opcode == VectorOperation.COMPUTE else self.accepts

    def configure(self, opcode: Opcode, fields: Mapping[str, int]) -> None:
        self.registers[opcode] = fields

    def compute(self, now: int, f: Mapping[str, int]) -> int:
        """The cycle in which a COMPUTE accepted now reports its completion."""
        config, per_channel = self.config, bool(self.registers[VectorOperation.CONFIG_POST]["per_channel"])
        pixels = pixels_of(self.registers[VectorOperation.CONFIG_PIXELS], f).size
        taps = vector_taps(self.registers[VectorOperation.CONFIG_TAPS]).size
        first = now + START_CYCLES
        if per_channel:
            first = max(first, self.next_fetch)
        last = first + vector_steps(config, taps, pixels, f["groups"], per_channel) - 1
        if per_channel:
            self.next_fetch = last - pixels * taps + 1 + fetch_cycles(config)
        self.busy += pixels * taps * f["groups"]
        self.accepts = last + NEXT_CYCLES
        self.settled = first + settings_cycles(config)
        self.completed.append(last + vector_completion_cycles(config))
        self.taken = list(self._ports(first, last, taps))
        return self.completed[-1]

    def _ports(self, first: int, last: int, taps: int) -> Iterator[Taken]:
        """Ports that a COMPUTE takes from the DMA: for b in each step, for results after the last tap of each."""
        latency, walk = vector_latency(self.config), self.registers[VectorOperation.CONFIG_WALK]
        if self.registers[VectorOperation.CONFIG_LANES]["operand"]:
            yield Taken(Memory.OUTPUT, False, first + GATHER_LATENCY, last + GATHER_LATENCY + 1)
        for name, memory in (("to_activation", Memory.ACTIVATION), ("to_output", Memory.OUTPUT)):
            if walk[name]:
                yield Taken(memory, True, first + latency + taps - 1, last + latency + 1, taps)
