"""Programs for the loopback machine, what they must do to memory, and a rig that runs them on its Verilog."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from loopback_machine import DELAY, NOTHING, LoopbackMachine

from gatewright.hdl.core_port import CorePort
from gatewright.hdl.csr_map import REGISTER_MAP, ErrorCode
from gatewright.hdl.emit import emit_verilog
from gatewright.hdl.instruction import HEADER, INSTRUCTION_BYTES, TRANSFER, Memory, Opcode, Queue, pack, unpack
from gatewright.sim.bus import SimulatedBus
from gatewright.sim.memory import MemoryOptions

BASE = 0x8000_0000
MEMORY_BYTES = 1 << 20
SCRATCH_BYTES = 1 << 16
PROGRAM_PLACE, SOURCE_PLACE, TARGET_PLACE = 0, 1 << 17, 1 << 19  # regions 0, 1 and 2
PROGRAM, SOURCE, TARGET = range(3)


def bit(*queues: Queue) -> int:
    """The queues as an instruction's `wait` or `signal`."""
    return sum(1 << queue for queue in queues)


def load(**fields: int) -> int:
    return _transfer(Opcode.LOAD, fields)


def store(**fields: int) -> int:
    return _transfer(Opcode.STORE, fields)


def delay(cycles: int, **fields: int) -> int:
    return pack(DELAY, {"opcode": Opcode.CORE0, "cycles": cycles, **fields})


def nothing(**fields: int) -> int:
    return pack(NOTHING, {"opcode": Opcode.CORE1, **fields})


def end() -> int:
    return pack(HEADER, {"opcode": Opcode.END})


def _transfer(opcode: Opcode, fields: dict[str, int]) -> int:
    return pack(TRANSFER, {"opcode": opcode, "memory": Memory.OUTPUT, "count0": 1, "count1": 1, **fields})


def bytes_of(word: int) -> Iterator[tuple[int, int]]:
    """Memory address (offset from BASE) and scratchpad address of each byte that a transfer moves, in order."""
    fields = unpack(TRANSFER, word)
    start = (PROGRAM_PLACE, SOURCE_PLACE, TARGET_PLACE)[fields.region] + fields.offset
    scratch = fields.scratch
    for outer in range(fields.count1):
        for inner in range(fields.count0):
            segment = start + outer * fields.stride1 + inner * fields.stride0
            for byte in range(fields.length):
                yield segment + byte, (scratch + byte) % SCRATCH_BYTES
            scratch += fields.length


def after(memory: np.ndarray, program: Sequence[int]) -> np.ndarray:
    """The memory after the transfers of a program, one after the other."""
    memory, scratch = memory.copy(), np.zeros(SCRATCH_BYTES, np.uint8)
    for word in program:
        opcode = unpack(HEADER, word).opcode
        if opcode in (Opcode.LOAD, Opcode.STORE):
            there, here = np.array(list(bytes_of(word))).T
            if opcode == Opcode.LOAD:
                scratch[here] = memory[there]
            else:
                memory[there] = scratch[here]
    return memory


class PausingMachine(LoopbackMachine):
    """A loopback machine whose core takes commands, writes and reads only now and then."""

    def connect_core(self, m: Module, shell: CorePort, core: CorePort) -> None:
        noise = Signal(16, init=1)
        m.d.sync += noise.eq(Cat(noise[10] ^ noise[12] ^ noise[13] ^ noise[15], noise))
        for name, go in (("commands", noise[0]), ("write", noise[3] | noise[7]), ("read", noise[5] | noise[9])):
            giver, taker = getattr(shell, name), getattr(core, name)
            m.d.comb += [
                taker.valid.eq(giver.valid & go),
                taker.payload.eq(giver.payload),
                giver.ready.eq(taker.ready & go),
            ]
        m.d.comb += core.reset.eq(shell.reset)
        m.d.comb += [
            getattr(shell, name).eq(getattr(core, name))
            for name in ("completed", "read_data", "busy", "computing", "draining")
        ]


@functools.cache
def _verilog(machine: type[LoopbackMachine], bus_bits: int, options: tuple[tuple[str, int], ...]) -> str:
    return emit_verilog(machine(bus_bits, SCRATCH_BYTES, **dict(options)), "loopback")


class Rig:
    """A loopback machine on a simulated bus."""

    def __init__(
        self,
        bus_bits: int = 64,
        memory: MemoryOptions | None = None,
        *,
        seed: int = 0,
        base: int = BASE,
        machine: type[LoopbackMachine] = LoopbackMachine,
        **options: int,
    ) -> None:
        self.bus_bits = bus_bits
        self.bus_bytes = bus_bits // 8
        self.bus = SimulatedBus(
            _verilog(machine, bus_bits, tuple(options.items())),
            "loopback",
            memory_bytes=MEMORY_BYTES,
            data_width=bus_bits,
            options=memory or MemoryOptions(),
            seed=seed,
            base=base,
        )

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.bus.close()

    def read(self, name: str, index: int = 0) -> int:
        return self.bus.read32(REGISTER_MAP.offset(name, index))

    def write(self, name: str, value: int, index: int = 0) -> None:
        self.bus.write32(REGISTER_MAP.offset(name, index), value)

    def status(self, field: str) -> int:
        return REGISTER_MAP.field("STATUS", field).extract(self.read("STATUS"))

    def error(self) -> ErrorCode:
        return ErrorCode(self.status("error_code"))

    def order(self, field: str) -> None:
        self.write("CONTROL", REGISTER_MAP.field("CONTROL", field).insert(1))

    def place(self, program: Sequence[int]) -> None:
        """Put the program into memory and tell the machine where all is."""
        words = b"".join(word.to_bytes(INSTRUCTION_BYTES, "little") for word in program)
        self.bus.memory[PROGRAM_PLACE : PROGRAM_PLACE + len(words)] = np.frombuffer(words, np.uint8)
        for region, place in enumerate((PROGRAM_PLACE, SOURCE_PLACE, TARGET_PLACE)):
            self.write("REGION_BASE_LO", self.bus.base + place & 0xFFFF_FFFF, region)
            self.write("REGION_BASE_HI", self.bus.base + place >> 32, region)
        self.write("PROGRAM_LENGTH", len(program))
        self.write("IRQ_ENABLE", 3)
        self.write("IRQ_STATUS", 3)

    def run(self, program: Sequence[int], timeout_cycles: int = 100_000) -> bool:
        """Run a program to its interrupt; returns whether it came."""
        self.place(program)
        self.order("start")
        return self.bus.wait_interrupt(timeout_cycles)

    def check(self, program: Sequence[int], timeout_cycles: int = 100_000) -> None:
        """Run a program; the memory must be as after its transfers."""
        self.place(program)
        expected = after(self.bus.memory, program)
        assert self.run(program, timeout_cycles), self.report()
        assert self.read("STATUS") == 2, self.report()
        different = np.flatnonzero(expected != self.bus.memory)
        assert different.size == 0, f"{different.size} bytes differ, the first at {different[0]:#x}"
        assert self.bus.outstanding == 0

    def stamps(self, count: int) -> list[int]:
        return [self.read("STAMP", index) for index in range(count)]

    def report(self) -> str:
        names = ("STATUS", "FAULT_INDEX", "FAULT_ADDRESS_LO", "CYCLES_LO", "DISPATCHED", "COMPLETED", "HEAD", "ACTIVE")
        lines = [(name, [hex(self.read(name, i)) for i in range(REGISTER_MAP[name].count)]) for name in names]
        return ", ".join(f"{name} {' '.join(values)}" for name, values in lines)
