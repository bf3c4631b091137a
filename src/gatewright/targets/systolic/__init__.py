"""The systolic machine: an output-stationary array with im2col in hardware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from gatewright.hdl.csr_map import REGISTER_MAP, RegisterMap
from gatewright.hdl.pins import Pins
from gatewright.ir import Graph
from gatewright.passes import Pass, narrow_sums, to_signed
from gatewright.program import Program, Result
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.cycles import count_cycles
from gatewright.targets.array.engines import engines
from gatewright.targets.array.hdl.array import emit_core
from gatewright.targets.array.lower import lower
from gatewright.targets.array.model import execute
from gatewright.targets.array.supports import SUPPORT
from gatewright.targets.target import Support, Target

__all__ = ["SystolicConfig", "SystolicTarget"]

SystolicConfig = ArrayConfig


class SystolicTarget(Target[ArrayConfig]):
    """See `docs/machines/systolic.md`."""

    name: ClassVar[str] = "systolic"
    summary: ClassVar[str] = (
        "output-stationary array of rows x columns, up to 16 bits, dyadic or multiplier requantisation"
    )
    config_type: ClassVar[type] = ArrayConfig
    supports: ClassVar[Support] = SUPPORT
    passes: ClassVar[tuple[Pass, ...]] = (narrow_sums, to_signed)
    top: ClassVar[str] = "gatewright_systolic"

    def lower(self, graph: Graph, config: ArrayConfig) -> Program:
        return lower(graph, config)

    def run(self, program: Program, inputs: Sequence[np.ndarray]) -> Result:
        config = self.config_of(program)
        outputs = execute(program, config, inputs)
        count = count_cycles(program, config)
        return Result("model", outputs, count.cycles, count.counters, count.layers)

    def hardware(self, config: ArrayConfig) -> str:
        from gatewright.targets.array.hdl.machine import emit_machine

        return emit_machine(config, self.top)

    def core(self, config: ArrayConfig) -> str:
        return emit_core(config)

    def register_map(self, config: ArrayConfig) -> RegisterMap:
        return REGISTER_MAP

    def pins(self, config: ArrayConfig) -> Pins:
        return Pins()

    def engines(self, config: ArrayConfig) -> tuple[tuple[str, str], ...]:
        return engines(config)

    def schedule(self, program: Program) -> tuple[int, ...]:
        return count_cycles(program, self.config_of(program)).layers

    def multipliers(self, config: ArrayConfig) -> int:
        return config.multipliers

    def multipliers_outside_array(self, config: ArrayConfig) -> int:
        from gatewright.targets.array.hdl.machine import multipliers_outside_array

        return multipliers_outside_array(config)

    def memory_bytes(self, config: ArrayConfig) -> int:
        from gatewright.targets.array.hdl.machine import memory_bytes

        return memory_bytes(config)
