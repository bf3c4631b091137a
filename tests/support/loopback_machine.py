"""The smallest machine, to bring up a bus, a board or a driver: its core only keeps bytes, so that it copies memory."""

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import Axi4, Axi4Lite
from gatewright.hdl.core_port import CorePort
from gatewright.hdl.dispatch import DispatchRules
from gatewright.hdl.instruction import Memory, Opcode, instruction_layout
from gatewright.hdl.scratchpad import ByteScratchpad
from gatewright.hdl.shell import Shell, ShellParameters

__all__ = ["DELAY", "NOTHING", "LoopbackCore", "LoopbackMachine"]

DELAY = instruction_layout({"cycles": unsigned(16)})
"""CORE0: takes `cycles` cycles (at least 1), and reports its completion."""

NOTHING = instruction_layout({})
"""CORE1: takes no time, and reports nothing."""


class LoopbackCore(wiring.Component):
    """A core with an output scratchpad, addressed in bytes, and two instructions: `DELAY` and `NOTHING`."""

    def __init__(self, bus_bits: int, scratch_bytes: int) -> None:
        self.bus_bits = bus_bits
        self.scratch_bytes = scratch_bytes
        super().__init__({"shell": Out(CorePort(bus_bits))})

    def elaborate(self, platform) -> Module:
        m = Module()
        self._delay(m)
        self._scratchpad(m)
        return m

    def _delay(self, m: Module) -> None:
        shell = self.shell
        delay = data.View(DELAY, shell.commands.payload)
        left = Signal(16)
        m.d.comb += [
            shell.commands.ready.eq(left == 0),
            shell.busy.eq(left != 0),
            shell.computing.eq(left != 0),
            shell.completed.eq(left == 1),
        ]
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Elif(shell.commands.valid & (delay.opcode == Opcode.CORE0)):
            m.d.sync += left.eq(Mux(delay.cycles == 0, 1, delay.cycles))

    def _scratchpad(self, m: Module) -> None:
        shell = self.shell
        m.submodules.scratchpad = scratchpad = ByteScratchpad(self.scratch_bytes, self.bus_bits // 8)
        m.d.comb += [
            shell.write.ready.eq(1),
            scratchpad.write_enable.eq(shell.write.valid),
            scratchpad.write_address.eq(shell.write.p.address),
            scratchpad.write_data.eq(shell.write.p.data),
            scratchpad.write_mask.eq(shell.write.p.mask),
            shell.read.ready.eq(1),
            scratchpad.read_enable.eq(shell.read.valid),
            scratchpad.read_address.eq(shell.read.p.address),
            shell.read_data.eq(scratchpad.read_data),
        ]


class LoopbackMachine(wiring.Component):
    """Shell and loopback core."""

    def __init__(self, bus_bits: int = 64, scratch_bytes: int = 1 << 16, queue_depth: int = 8, **options: Any) -> None:
        self.scratch_bytes = scratch_bytes
        opcodes = frozenset({Opcode.CORE0, Opcode.CORE1})
        rules = DispatchRules(
            opcodes, frozenset({Opcode.CORE0}), frozenset({Memory.OUTPUT}), frozenset({Memory.OUTPUT})
        )
        capabilities = {"scratch_bytes": scratch_bytes}
        self.parameters = ShellParameters(bus_bits, rules, 0, capabilities, queue_depth, **options)
        super().__init__({"m_axi": Out(Axi4(bus_bits)), "s_axi": In(Axi4Lite()), "irq": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.shell = shell = Shell(self.parameters)
        core = LoopbackCore(self.parameters.bus_bits, self.scratch_bytes)
        m.submodules.core = ResetInserter(shell.core.reset)(core)
        self.connect_core(m, shell.core, core.shell)
        wiring.connect(m, shell.m_axi, wiring.flipped(self.m_axi))
        wiring.connect(m, wiring.flipped(self.s_axi), shell.s_axi)
        m.d.comb += self.irq.eq(shell.irq)
        return m

    def connect_core(self, m: Module, shell, core) -> None:
        wiring.connect(m, shell, core)
