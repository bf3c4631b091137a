"""The machine whose multipliers are made of 2-bit bricks: the operand widths of a layer set its speed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np

from gatewright.hdl.csr_map import REGISTER_MAP, RegisterMap
from gatewright.ir import Graph
from gatewright.passes import Pass, narrow_sums, to_signed
from gatewright.program import Program, Result
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.cycles import count_cycles
from gatewright.targets.bitfusion.lower import lower
from gatewright.targets.bitfusion.model import execute
from gatewright.targets.bitfusion.supports import SUPPORT
from gatewright.targets.target import Support, Target

__all__ = ["BitfusionTarget", "FusionConfig"]


class BitfusionTarget(Target[FusionConfig]):
    """See `docs/machines/bitfusion.md`."""

    name: ClassVar[str] = "bitfusion"
    summary: ClassVar[str] = "array of fusion units: 2, 4, 6 or 8 bits a layer, on either side; the narrower the faster"
    config_type: ClassVar[type] = FusionConfig
    supports: ClassVar[Support] = SUPPORT
    passes: ClassVar[tuple[Pass, ...]] = (narrow_sums, to_signed)
    top: ClassVar[str] = "gatewright_bitfusion"

    def fitted(self, graph: Graph, config: FusionConfig, given: Collection[str]) -> FusionConfig:
        """The least widths of results and sums with which the most of the network runs."""
        found, fewest = config, len(self.refused(graph, config))
        for wider in config.wider(given):
            if not fewest:
                break
            left = len(self.refused(graph, wider))
            if left < fewest:
                found, fewest = wider, left
        return found

    def lower(self, graph: Graph, config: FusionConfig) -> Program:
        return lower(graph, config)

    def run(self, program: Program, inputs: Sequence[np.ndarray]) -> Result:
        config = self.config_of(program)
        outputs = execute(program, config, inputs)
        count = count_cycles(program, config)
        return Result("model", outputs, count.cycles, count.counters, count.layers)

    def hardware(self, config: FusionConfig) -> str:
        from gatewright.targets.bitfusion.hdl.machine import emit_machine

        return emit_machine(config, self.top)

    def core(self, config: FusionConfig) -> str:
        from gatewright.targets.bitfusion.hdl.machine import emit_core

        return emit_core(config)

    def register_map(self, config: FusionConfig) -> RegisterMap:
        return REGISTER_MAP

    def digest(self, config: FusionConfig) -> int:
        return config.digest()

    def data_width(self, config: FusionConfig) -> int:
        return config.bus_bits

    def multipliers(self, config: FusionConfig) -> int:
        return config.multipliers

    def multipliers_outside_array(self, config: FusionConfig) -> int:
        from gatewright.targets.bitfusion.hdl.machine import multipliers_outside_array

        return multipliers_outside_array(config)

    def memory_bytes(self, config: FusionConfig) -> int:
        from gatewright.targets.bitfusion.hdl.machine import memory_bytes

        return memory_bytes(config)

    def multiplier_bits(self, config: FusionConfig) -> int:
        return config.multiplier_width or 17
