"""The bitfusion machine: shell and core."""

from functools import cache

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl import emit_verilog
from gatewright.hdl.axi import Axi4, Axi4Lite
from gatewright.hdl.dispatch import DispatchRules
from gatewright.hdl.instruction import Memory
from gatewright.hdl.shell import Shell, ShellParameters
from gatewright.targets.array.hdl.machine import memory_bits
from gatewright.targets.bitfusion.blocks import Operation
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.hdl.array import FusionArray, fusion_parameters
from gatewright.targets.bitfusion.hdl.core import FusionCore

__all__ = ["FusionMachine", "emit_core", "emit_machine", "memory_bytes", "multipliers_outside_array"]


def shell_parameters(config: FusionConfig) -> ShellParameters:
    """The shell of this machine; its capability words are the configuration's parameters, in their order."""
    rules = DispatchRules(
        opcodes=frozenset({Operation.BLOCK, Operation.RUN}),
        completing=frozenset({Operation.RUN}),
        load_memories=frozenset(Memory) - (frozenset() if config.lut else {Memory.TABLE}),
        store_memories=frozenset({Memory.OUTPUT}),
    )
    capabilities = {name: int(getattr(config, name)) for name in config.names()}
    return ShellParameters(config.bus_bits, rules, config.digest(), capabilities, config.queue_depth)


class FusionMachine(wiring.Component):
    """AXI4 master for programs and data, AXI4-Lite slave for registers, interrupt."""

    def __init__(self, config: FusionConfig) -> None:
        self.config = config
        super().__init__({"m_axi": Out(Axi4(config.bus_bits)), "s_axi": In(Axi4Lite()), "irq": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.shell = shell = Shell(shell_parameters(self.config))
        m.submodules.core = core = FusionCore(self.config)
        wiring.connect(m, shell.core, core.port)
        wiring.connect(m, shell.m_axi, wiring.flipped(self.m_axi))
        wiring.connect(m, wiring.flipped(self.s_axi), shell.s_axi)
        m.d.comb += self.irq.eq(shell.irq)
        return m


def emit_machine(config: FusionConfig, name: str = "gatewright_bitfusion") -> str:
    """Verilog of the machine; depends on the configuration alone."""
    return emit_verilog(FusionMachine(config), name)


def emit_core(config: FusionConfig, name: str = "gatewright_bitfusion_array") -> str:
    """Verilog of the array of fusion units on its own."""
    parameters = fusion_parameters(config.rows, config.columns, config.accumulator_width)
    return emit_verilog(FusionArray(parameters), name)


def multipliers_outside_array(config: FusionConfig) -> int:
    """Multipliers of any width that are not those of the array: one for addresses, the others in the post unit."""
    return 1 + config.post_lanes * (bool(config.multiplier_width) + 2 * config.residual)


@cache
def memory_bytes(config: FusionConfig) -> int:
    """All memories of the design: buffers, queues, tables, stamps."""
    return sum(memory_bits(Fragment.get(FusionMachine(config), None))) // 8
