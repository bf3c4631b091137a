"""The bench of the core for both of its units: commands of the vector unit, their meaning, their timing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from tests.targets.array.hdl.bench import Clock, Command, CoreBench
from tests.targets.array.hdl.reference import CoreReference

from gatewright.hdl.instruction import pack
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import PIXEL_LEVELS
from gatewright.targets.array.isa_vector import VECTOR_LAYOUTS, VECTOR_UNIT, VectorOperation
from gatewright.targets.array.model_vector import VectorMachine
from gatewright.targets.array.timing_vector import (
    NEXT_CYCLES,
    START_CYCLES,
    fetch_cycles,
    settings_cycles,
    vector_completion_cycles,
    vector_steps,
)

__all__ = ["UnitsBench", "VectorCommand"]

_NEVER = -1_000_000


class VectorCommand(Command):
    @property
    def fields(self) -> Mapping[str, int]:
        return dict.fromkeys(VECTOR_LAYOUTS[self.opcode].members, 0) | {"unit": VECTOR_UNIT} | self.given

    @property
    def word(self) -> int:
        return pack(VECTOR_LAYOUTS[self.opcode], {"opcode": int(self.opcode), "unit": VECTOR_UNIT, **self.given})


class UnitsReference(CoreReference):
    """Both units on the same scratchpads."""

    def __init__(self, config: ArrayConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.vector = VectorMachine(
            config.vector_lanes, config.vector_sum_width, self.memory, config.parameter_entry_bytes
        )

    def run(self, opcode: int, fields: Mapping[str, int]) -> None:
        if fields["unit"] == VECTOR_UNIT:
            self.vector.step(opcode, fields)
        else:
            super().run(opcode, fields)


@dataclass
class VectorClock:
    """When the vector unit accepts and completes commands, by the closed form, if nothing else is in its way."""

    config: ArrayConfig
    free: int = 0
    settings: dict[int, Mapping[str, int]] = field(default_factory=dict)
    first_step: int = _NEVER
    fetch: int = _NEVER
    completed: int = _NEVER
    computing: int = 0

    def earliest(self, command: Command) -> int:
        if command.opcode == VectorOperation.CONFIG_POST:
            return max(self.free, self.completed + 1)
        if command.opcode == VectorOperation.CONFIG_LANES:
            return max(self.free, self.first_step + settings_cycles(self.config))
        return self.free

    def accept(self, command: Command, cycle: int) -> None:
        f = command.fields
        self.free = cycle + 1
        if command.opcode != VectorOperation.COMPUTE:
            self.settings[command.opcode] = f
            return
        pixels, taps = self.settings[VectorOperation.CONFIG_PIXELS], self.settings[VectorOperation.CONFIG_TAPS]
        pixel_count = prod(pixels[f"count{level}"] for level in range(PIXEL_LEVELS - 1)) * f["outer_count"]
        tap_count = prod(taps[f"count{level}"] for level in range(3))
        per_channel = bool(self.settings[VectorOperation.CONFIG_POST]["per_channel"])
        steps = vector_steps(self.config, tap_count, pixel_count, f["groups"], per_channel)
        self.first_step = cycle + START_CYCLES
        if per_channel:
            self.first_step = max(self.first_step, self.fetch + fetch_cycles(self.config))
            self.fetch = self.first_step + steps - pixel_count * tap_count
        last_step = self.first_step + steps - 1
        self.computing += pixel_count * tap_count * f["groups"]
        self.free = last_step + NEXT_CYCLES
        self.completed = last_step + vector_completion_cycles(self.config)


class UnitsClock:
    """Both units: a COMPUTE of one is accepted after the other has completed all of its own."""

    def __init__(self, config: ArrayConfig, reference: CoreReference, free: int) -> None:
        self.array = Clock(config, reference, free)
        self.vector = VectorClock(config, free)
        self.completed: list[int] = []

    @property
    def computing(self) -> int:
        return self.array.computing + self.vector.computing

    @property
    def draining(self) -> int:
        return self.array.draining

    def earliest(self, command: Command) -> int:
        mine = self._unit(command).earliest(command)
        if command.opcode != VectorOperation.COMPUTE:
            return mine
        of_array = self.array.completed[-1] if self.array.completed else _NEVER
        return max(mine, 1 + (of_array if isinstance(command, VectorCommand) else self.vector.completed))

    def accept(self, command: Command, cycle: int) -> None:
        self._unit(command).accept(command, cycle)
        if command.opcode == VectorOperation.COMPUTE:
            vector = isinstance(command, VectorCommand)
            self.completed.append(self.vector.completed if vector else self.array.completed[-1])

    def _unit(self, command: Command) -> Any:
        return self.vector if isinstance(command, VectorCommand) else self.array


class UnitsBench(CoreBench):
    def _new_reference(self, seed: int) -> CoreReference:
        return UnitsReference(self.config, seed)

    def _new_clock(self, free: int = 0) -> UnitsClock:
        return UnitsClock(self.config, self.reference, free)
