"""A machine of the array datapath: shell and core."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl import emit_verilog
from gatewright.hdl.axi import Axi4, Axi4Lite
from gatewright.hdl.burst import AddressSpace
from gatewright.hdl.csr_map import REGISTER_MAP, RegisterMap
from gatewright.hdl.dispatch import DispatchRules
from gatewright.hdl.instruction import REGION_COUNT, Memory, Opcode
from gatewright.hdl.shell import Shell, ShellParameters
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.core import Core
from gatewright.targets.array.isa import Operation
from gatewright.targets.array.isa_vector import VECTOR_LAYOUTS

__all__ = ["Machine", "Rom", "emit_machine", "memory_bits", "memory_bytes", "multipliers_outside_array"]


@dataclass(frozen=True)
class Rom:
    """A program in the machine, the digest that then stands for configuration and program, and the machine's registers.

    `numbers` are the values of registers that never change and that this register map alone has.
    """

    program: tuple[int, ...]
    digest: int
    register_map: RegisterMap = REGISTER_MAP
    numbers: tuple[tuple[str, int | tuple[int, ...]], ...] = ()
    space: AddressSpace = field(default_factory=AddressSpace)


def _opcodes(config: ArrayConfig) -> frozenset[Opcode]:
    of_array = {Operation.CONFIG_PIXELS, Operation.CONFIG_TAPS, Operation.CONFIG_POST, Operation.COMPUTE}
    of_ranges = {Operation.CONFIG_RANGE} if config.result_width > 8 else set()
    return frozenset(of_array | of_ranges | (set(VECTOR_LAYOUTS) if config.vector_lanes else set()))


def shell_parameters(config: ArrayConfig, rom: Rom | None = None) -> ShellParameters:
    """The shell of this machine; its capability words are the configuration's parameters, in their order."""
    table = config.lut or (config.vector_lanes and config.vector_table)
    rules = DispatchRules(
        opcodes=_opcodes(config),
        completing=frozenset({Operation.COMPUTE}),
        load_memories=frozenset(Memory) - (frozenset() if table else {Memory.TABLE}),
        store_memories=frozenset({Memory.OUTPUT}),
        regions=rom.space.regions if rom else REGION_COUNT,
    )
    capabilities = {name: int(getattr(config, name)) for name in config.names()}
    if rom is None:
        return ShellParameters(config.bus_bits, rules, config.digest(), capabilities, config.queue_depth)
    return ShellParameters(
        config.bus_bits,
        rules,
        rom.digest,
        capabilities,
        config.queue_depth,
        program=rom.program,
        register_map=rom.register_map,
        numbers=dict(rom.numbers),
        space=rom.space,
    )


class Machine(wiring.Component):
    """AXI4 master for programs and data, AXI4-Lite slave for registers, interrupt.

    With a `rom`, the program is part of the machine, and memory holds data only.
    """

    def __init__(self, config: ArrayConfig, rom: Rom | None = None) -> None:
        self.config = config
        self.rom = rom
        super().__init__({"m_axi": Out(Axi4(config.bus_bits)), "s_axi": In(Axi4Lite()), "irq": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.shell = shell = Shell(shell_parameters(self.config, self.rom))
        m.submodules.core = core = Core(self.config)
        wiring.connect(m, shell.core, core.port)
        wiring.connect(m, shell.m_axi, wiring.flipped(self.m_axi))
        wiring.connect(m, wiring.flipped(self.s_axi), shell.s_axi)
        m.d.comb += self.irq.eq(shell.irq)
        return m


def emit_machine(config: ArrayConfig, name: str = "gatewright_systolic", rom: Rom | None = None) -> str:
    """Verilog of the machine; depends on the configuration alone (and the program, where it is in ROM)."""
    return emit_verilog(Machine(config, rom), name)


def multipliers_outside_array(config: ArrayConfig) -> int:
    """Multipliers of any width that are not those of the array: one for addresses in each unit, the others in lanes."""
    each_lane = (not config.dyadic) + 2 * config.residual
    return 1 + config.post_lanes * each_lane + _multipliers_of_vector_unit(config)


def _multipliers_of_vector_unit(config: ArrayConfig) -> int:
    if not config.vector_lanes:
        return 0
    of_a = config.vector_operand or config.vector_affine
    of_b = config.vector_operand and config.vector_affine
    return 1 + config.vector_lanes * (of_a + of_b + 1)


@cache
def memory_bytes(config: ArrayConfig, rom: Rom | None = None) -> int:
    """All memories of the design: scratchpads, queues, tables, stamps, program."""
    return sum(memory_bits(Fragment.get(Machine(config, rom), None))) // 8


def memory_bits(fragment: Fragment) -> Iterator[int]:
    if isinstance(fragment, MemoryInstance):
        contents = fragment._data
        yield Shape.cast(contents.shape).width * contents.depth
    for child, *_ in fragment.subfragments:
        yield from memory_bits(child)
