"""The shell: everything of a machine but its core."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import Axi4, Axi4Lite, AxiLiteTarget, ReadChannel, RequestRegister
from gatewright.hdl.burst import AddressSpace
from gatewright.hdl.core_port import CorePort
from gatewright.hdl.csr import Registers
from gatewright.hdl.csr_map import CAPABILITY_SPACE, REGISTER_MAP, SHELL_ID, SHELL_VERSION, ErrorCode, RegisterMap
from gatewright.hdl.dispatch import Dispatcher, DispatchRules
from gatewright.hdl.fetch import FetchUnit
from gatewright.hdl.instruction import Queue
from gatewright.hdl.load import LoadUnit
from gatewright.hdl.rom import ProgramRom
from gatewright.hdl.shell_control import FAULT_CODES, RunControl, RunCounters
from gatewright.hdl.shell_orders import connect_bases, connect_orders
from gatewright.hdl.store import StoreUnit

__all__ = ["Shell", "ShellParameters"]

_STORE_ID = 0


@dataclass(frozen=True)
class ShellParameters:
    """What a machine's shell depends on."""

    bus_bits: int
    rules: DispatchRules
    digest: int
    """The machine's configuration, as in CONFIG_DIGEST."""
    capabilities: Mapping[str, int] = field(default_factory=dict)
    """Values that software reads from CAPABILITY, in order."""
    queue_depth: int = 8
    read_bursts: int = 8
    """Load bursts outstanding at once."""
    write_bursts: int = 4
    """Store bursts outstanding at once."""
    program: tuple[int, ...] = ()
    """The instructions of a machine with its program in ROM; without them, they are fetched from memory."""
    register_map: RegisterMap = REGISTER_MAP
    numbers: Mapping[str, int | Sequence[int]] = field(default_factory=dict)
    """Values of registers that never change and are this map's alone."""
    space: AddressSpace = field(default_factory=AddressSpace)

    def __post_init__(self) -> None:
        if len(self.capabilities) > CAPABILITY_SPACE:
            raise ValueError(f"Capabilities must be at most {CAPABILITY_SPACE}, not {len(self.capabilities)}")

    def constants(self) -> dict[str, int | Sequence[int]]:
        """Registers that never change."""
        return {
            "ID": SHELL_ID,
            "VERSION": SHELL_VERSION,
            "CONFIG_DIGEST": self.digest,
            "CAPABILITY_COUNT": len(self.capabilities),
            "CAPABILITY": list(self.capabilities.values()),
            **self.numbers,
        }


class Shell(wiring.Component):
    """AXI4 master, AXI4-Lite slave, interrupt, and the port to the core (connect `core` to the core's own port).

    A machine is a shell and a core: see docs/shell.md for how they meet, and for the timing.
    """

    def __init__(self, parameters: ShellParameters) -> None:
        self.parameters = parameters
        self.rom = bool(parameters.program)
        super().__init__(
            {
                "m_axi": Out(Axi4(parameters.bus_bits)),
                "s_axi": In(Axi4Lite()),
                "irq": Out(1),
                "core": In(CorePort(parameters.bus_bits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        parameters = self.parameters
        bus_bits = parameters.bus_bits
        m.submodules.target = target = AxiLiteTarget()
        m.submodules.registers = registers = Registers(parameters.constants(), parameters.register_map)
        m.submodules.control = control = RunControl()
        m.submodules.counters = counters = RunCounters()
        fetch = ProgramRom(parameters.program) if parameters.program else FetchUnit(bus_bits)
        dispatch = Dispatcher(parameters.rules, parameters.queue_depth)
        load = LoadUnit(bus_bits, parameters.read_bursts, parameters.space)
        store = StoreUnit(bus_bits, parameters.write_bursts, parameters.space)
        m.submodules.fetch = ResetInserter(control.reset)(fetch)
        m.submodules.dispatch = ResetInserter(control.reset | control.launch)(dispatch)
        m.submodules.load = ResetInserter(control.reset)(load)
        m.submodules.store = ResetInserter(control.reset)(store)

        wiring.connect(m, wiring.flipped(self.s_axi), target.axi)
        wiring.connect(m, target.registers, registers.bus)
        self._control(m, registers, control, dispatch, (fetch, load, store))
        self._flow(m, registers, control, fetch, dispatch, (load, store))
        self._report(m, registers, control, counters, dispatch)
        self._read_channel(m, fetch, load)
        self._write_channel(m, store)
        self._core(m, control, dispatch, load, store)
        return m

    def _control(self, m: Module, registers, control: RunControl, dispatch: Dispatcher, units) -> None:
        """Orders, faults and the interrupt."""
        fetch, load, store = units
        faults = {
            ErrorCode.ILLEGAL_INSTRUCTION: dispatch.illegal,
            ErrorCode.WRITE_BUS_ERROR: store.fault,
            ErrorCode.TOKEN_OVERFLOW: dispatch.overflow,
            ErrorCode.PROGRAM_END_MISSING: dispatch.missing_end,
        }
        for code, fault in zip(FAULT_CODES, control.faults, strict=True):
            if code is ErrorCode.READ_BUS_ERROR:
                m.d.comb += fault.eq(load.fault if self.rom else Mux(load.fault.valid, load.fault, fetch.fault))
            else:
                m.d.comb += fault.eq(faults[code])
        connect_orders(m, registers, control, dispatch, self.irq)
        m.d.comb += [
            control.ended.eq(dispatch.ended & (self.rom or fetch.quiet)),
            control.quiet.eq((self.rom or fetch.quiet) & load.quiet & store.quiet),
            registers.status.busy.eq(control.run),
            registers.status.done.eq(control.done),
            registers.status.error.eq(control.error),
            registers.status.resetting.eq(control.resetting),
            registers.status.error_code.eq(control.error_code),
            registers.fault_index.eq(control.fault_index),
            Cat(registers.fault_address_lo, registers.fault_address_hi).eq(control.fault_address),
        ]

    def _flow(
        self, m: Module, registers, control: RunControl, fetch: FetchUnit, dispatch: Dispatcher, transfers
    ) -> None:
        """Instructions from fetch through dispatch to load and store."""
        load, store = transfers
        wiring.connect(m, fetch.instructions, dispatch.instructions)
        wiring.connect(m, dispatch.units[Queue.LOAD], load.commands)
        wiring.connect(m, dispatch.units[Queue.STORE], store.commands)
        connect_bases(m, registers, transfers, self.parameters.space)
        m.d.comb += [
            fetch.start.eq(control.launch),
            load.halt.eq(~control.run),
            store.halt.eq(~control.run),
            dispatch.run.eq(control.run),
            dispatch.exhausted.eq(fetch.exhausted),
        ]
        if not self.rom:
            m.d.comb += [
                fetch.base_low.eq(registers.region_base_lo[0]),
                fetch.base_high.eq(registers.region_base_hi[0]),
                fetch.length.eq(registers.program_length),
                fetch.halt.eq(~control.run | dispatch.ending),
            ]

    def _report(self, m: Module, registers, control: RunControl, counters: RunCounters, dispatch: Dispatcher) -> None:
        """Counters, stamps, and what each queue waits for."""
        wiring.connect(m, dispatch.stamp, registers.stamp)
        head = dispatch.heads[Queue.COMPUTE]
        m.d.comb += [
            dispatch.cycles.eq(counters.cycles),
            counters.clear.eq(control.launch | control.reset),
            counters.run.eq(control.run),
            counters.computing.eq(self.core.computing),
            counters.draining.eq(self.core.draining),
            counters.lacks_load.eq(head.lacks[Queue.LOAD]),
            counters.lacks_store.eq(head.lacks[Queue.STORE]),
            counters.starving.eq(~head.valid & ~self.core.busy & ~dispatch.ending),
            counters.read_beat.eq(self.m_axi.r.valid & self.m_axi.r.ready),
            counters.write_beat.eq(self.m_axi.w.valid & self.m_axi.w.ready),
            Cat(registers.cycles_lo, registers.cycles_hi).eq(counters.cycles),
        ]
        for name in ("compute_busy", "stall_load", "stall_store", "stall_fetch", "stall_drain"):
            m.d.comb += getattr(registers, name).eq(getattr(counters, name))
        m.d.comb += [registers.read_beats.eq(counters.read_beats), registers.write_beats.eq(counters.write_beats)]
        for queue in Queue:
            m.d.comb += [
                registers.dispatched[queue].eq(dispatch.dispatched[queue]),
                registers.completed[queue].eq(dispatch.retired[queue]),
                registers.head[queue].eq(dispatch.heads[queue]),
                registers.active[queue].eq(dispatch.actives[queue]),
            ]

    def _read_channel(self, m: Module, fetch: FetchUnit, load: LoadUnit) -> None:
        units: tuple[Any, ...] = (load,) if self.rom else (fetch, load)  # AXI IDs and priority: fetch first
        m.submodules.reader = reader = ReadChannel(self.parameters.bus_bits, readers=len(units))
        for unit, requests, beats in zip(units, reader.requests, reader.beats, strict=True):
            wiring.connect(m, unit.requests, requests)
            wiring.connect(m, beats, unit.beats)
        wiring.connect(m, reader.ar, wiring.flipped(self.m_axi.ar))
        wiring.connect(m, wiring.flipped(self.m_axi.r), reader.r)

    def _write_channel(self, m: Module, store: StoreUnit) -> None:
        m.submodules.writer = writer = RequestRegister(self.parameters.bus_bits)
        wiring.connect(m, store.requests, writer.requests)
        wiring.connect(m, writer.channel, wiring.flipped(self.m_axi.aw))
        m.d.comb += [
            writer.request_id.eq(_STORE_ID),
            self.m_axi.w.valid.eq(store.beats.valid),
            self.m_axi.w.data.eq(store.beats.p.data),
            self.m_axi.w.strb.eq(store.beats.p.strb),
            self.m_axi.w.last.eq(store.beats.p.last),
            store.beats.ready.eq(self.m_axi.w.ready),
            store.responses.valid.eq(self.m_axi.b.valid),
            store.responses.p.error.eq(self.m_axi.b.resp[1]),
            self.m_axi.b.ready.eq(1),
        ]

    def _core(self, m: Module, control: RunControl, dispatch: Dispatcher, load: LoadUnit, store: StoreUnit) -> None:
        core = self.core
        commands = dispatch.units[Queue.COMPUTE]
        wiring.connect(m, load.write, wiring.flipped(core.write))
        wiring.connect(m, store.read, wiring.flipped(core.read))
        m.d.comb += [
            core.reset.eq(control.reset),
            core.commands.valid.eq(commands.valid),
            core.commands.payload.eq(commands.p.word),
            commands.ready.eq(core.commands.ready),
            store.read_data.eq(core.read_data),
            dispatch.completed.eq(Cat(load.completed, core.completed, store.completed)),
        ]
