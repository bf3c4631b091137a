"""The generated machine: one network, one accelerator, its program in ROM."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import ClassVar

import numpy as np

from gatewright.errors import ConfigError
from gatewright.hdl.csr_map import RegisterMap
from gatewright.hdl.instruction import INSTRUCTION_BYTES
from gatewright.hdl.nngen_pins import wrap
from gatewright.hdl.pins import Pins
from gatewright.ir import Graph
from gatewright.passes import Pass, narrow_sums, to_signed
from gatewright.program import Program, Result
from gatewright.targets.array.cycles import count_cycles
from gatewright.targets.array.engines import engines
from gatewright.targets.array.hdl.machine import Rom, emit_machine, memory_bytes, multipliers_outside_array
from gatewright.targets.array.lower import lower
from gatewright.targets.array.model import execute
from gatewright.targets.generated.choose import choose
from gatewright.targets.generated.config import GeneratedConfig
from gatewright.targets.generated.supports import SUPPORT
from gatewright.targets.target import Support, Target

__all__ = ["GeneratedConfig", "GeneratedTarget"]


class GeneratedTarget(Target[GeneratedConfig]):
    """See `docs/machines/generated.md`."""

    name: ClassVar[str] = "generated"
    summary: ClassVar[str] = "a machine made for one network: program in ROM, array and memories chosen for it"
    config_type: ClassVar[type] = GeneratedConfig
    supports: ClassVar[Support] = SUPPORT
    passes: ClassVar[tuple[Pass, ...]] = (narrow_sums, to_signed)
    top: ClassVar[str] = "gatewright_generated"

    def lower(self, graph: Graph, config: GeneratedConfig) -> Program:
        chosen = choose(graph, replace(config, program_bytes=0, program_digest="", unsigned_regions=0))
        program = lower(graph, chosen.array(), self.name, rom=True)
        chosen.expect_room(program)
        code = program.code
        digest = hashlib.sha256(code).hexdigest()[:16]
        unsigned = sum(1 << region for region in {b.region for b in (*program.inputs, *program.outputs) if b.unsigned})
        chosen = replace(chosen, program_bytes=len(code), program_digest=digest, unsigned_regions=unsigned)
        return replace(program, config=asdict(chosen), config_digest=chosen.digest())

    def run(self, program: Program, inputs: Sequence[np.ndarray]) -> Result:
        array = self.config_of(program).array()
        count = count_cycles(program, array, rom=True)
        return Result("model", execute(program, array, inputs), count.cycles, count.counters, count.layers)

    def hardware(self, config: GeneratedConfig) -> str:
        raise ConfigError("a generated machine holds its program: it is emitted from a compiled network")

    def hardware_for(self, config: GeneratedConfig, program: Program) -> str:
        inside = f"{config.module_name}_machine"
        machine = emit_machine(config.array(), inside, _rom(config, program))
        heading = f"// {config.module_name}, written by Gatewright"
        return f"{heading}\n\n{wrap(config.pins(), config.module_name, inside)}\n{machine}"

    def top_module(self, config: GeneratedConfig) -> str:
        return config.module_name

    def pins(self, config: GeneratedConfig) -> Pins:
        return config.pins()

    def register_map(self, config: GeneratedConfig) -> RegisterMap:
        raise ConfigError("a generated machine's register map depends on its program: it comes with a compiled network")

    def register_map_for(self, config: GeneratedConfig, program: Program) -> RegisterMap:
        return config.registers(program)

    def engines(self, config: GeneratedConfig) -> tuple[tuple[str, str], ...]:
        return engines(config.array())

    def schedule(self, program: Program) -> tuple[int, ...]:
        return count_cycles(program, self.config_of(program).array(), rom=True).layers

    def multipliers(self, config: GeneratedConfig) -> int:
        return config.rows * config.columns if config.chosen else config.multipliers

    def multipliers_outside_array(self, config: GeneratedConfig) -> int:
        return multipliers_outside_array(config.array())

    def memory_bytes(self, config: GeneratedConfig) -> int:
        return memory_bytes(config.array(), Rom((0,), 0, space=config.space(1))) + config.program_bytes


def _rom(config: GeneratedConfig, program: Program) -> Rom:
    code = program.code
    words = [code[at : at + INSTRUCTION_BYTES] for at in range(0, len(code), INSTRUCTION_BYTES)]
    numbers = {
        name: value if isinstance(value, int) else tuple(value)
        for name, value in config.register_values(program).items()
    }
    return Rom(
        tuple(int.from_bytes(word, "little") for word in words),
        config.digest(),
        config.registers(program),
        tuple(numbers.items()),
        replace(config.space(len(program.memory_regions)), unsigned=config.unsigned_regions),
    )
