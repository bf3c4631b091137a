"""The driver: puts a program into memory, runs it, and reads results, counters and time stamps. Any `Bus` will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gatewright.errors import DataError, MachineFault, ProgramError
from gatewright.host.bus import Bus
from gatewright.host.orders import orders_of
from gatewright.host.registers import Registers
from gatewright.program import Program, Result

__all__ = ["COUNTERS", "Driver", "memory_size"]

REGION_ALIGNMENT = 4096
COUNTERS = ("COMPUTE_BUSY", "STALL_LOAD", "STALL_STORE", "STALL_FETCH", "STALL_DRAIN", "READ_BEATS", "WRITE_BEATS")
_RESET_POLLS = 100_000
_COUNT_MASK = 0xFFFF_FFFF  # stamps count that far and begin again


def memory_size(program: Program) -> int:
    """Bytes of shared memory that a program needs when regions begin at multiples of 4 KiB."""
    return _placement(program)[-1]


def _placement(program: Program) -> list[int]:
    """Offset of each region, and then the end."""
    offsets = [0]
    for region in program.memory_regions:
        offsets.append(offsets[-1] + -(-region.size // REGION_ALIGNMENT) * REGION_ALIGNMENT)
    return offsets


class Driver:
    """One program on one machine.

    Raises
    ------
    ProgramError
        If there is no such machine on the bus, or its version or configuration is not the one the program is for.
    """

    def __init__(self, bus: Bus, registers: Registers, program: Program) -> None:
        self._bus = bus
        self._registers = registers
        self._program = program
        self._placement = _placement(program)
        self._orders = orders_of(bus, registers)
        self._check_machine()

    def run(self, inputs: Sequence[np.ndarray], progress: Callable[[int], None] | None = None) -> Result:
        """Load the program, run it once on graph integers, and collect everything that was measured.

        `progress` is called with the cycles so far whenever the machine has been looked at.
        """
        self.load()
        self.write_inputs(inputs)
        self.start()
        self.wait(progress)
        return Result("rtl", self.read_outputs(), self.cycles(), self.counters(), self.layer_cycles())

    def load(self) -> None:
        """Bring the machine to rest, copy the image into memory, and tell the machine where it is."""
        if self._read("STATUS"):
            self.reset()
        base, memory = self._bus.base, self._bus.memory
        if len(memory) < self._placement[-1]:
            raise ProgramError(f"memory must have at least {self._placement[-1]} bytes, not {len(memory)}")
        for region, offset in zip(self._program.memory_regions, self._placement, strict=False):
            memory[offset : offset + len(region.data)] = np.frombuffer(region.data, np.uint8)
        self._orders.place(base, self._placement[:-1], self._program.instruction_count)

    def write_inputs(self, inputs: Sequence[np.ndarray]) -> None:
        """Write graph integers, in the order of `Program.inputs`."""
        bindings = self._program.inputs
        if len(inputs) != len(bindings):
            raise DataError(f"{len(bindings)} inputs must be given, not {len(inputs)}")
        for binding, array in zip(bindings, inputs, strict=True):
            start = self._placement[binding.region] + binding.offset
            self._bus.memory[start : start + binding.size] = np.frombuffer(binding.pack(array), np.uint8)

    def start(self) -> None:
        self._orders.acknowledge()
        self._orders.start()

    def wait(self, progress: Callable[[int], None] | None = None) -> None:
        """Wait for the end of the run.

        Raises
        ------
        MachineFault
            If the machine stops with an error or gets no further; the message says why, and which instruction waits.
        """
        before: tuple[int, ...] = ()
        while not self._orders.wait():
            before = self.expect_progress(before)
            if progress is not None:
                progress(self.cycles())
        self._orders.acknowledge()
        self.expect_no_error()

    def expect_progress(self, before: tuple[int, ...]) -> tuple[int, ...]:
        """Numbers that change while the machine gets on; `MachineFault` if they are those of `before`."""
        now = self._activity()
        if now == before:
            raise MachineFault(self._describe_stillness())
        return now

    def expect_no_error(self) -> None:
        """Raise `MachineFault`, with the reason, if the machine has stopped with an error."""
        status = self._read("STATUS")
        if self._registers.extract("STATUS.error", status):
            raise MachineFault(self._describe_error(status))

    def reset(self) -> None:
        """Soft reset: outstanding bursts end, then the machine is as before its first run."""
        self._orders.reset()
        for _ in range(_RESET_POLLS):
            if not self._read("STATUS"):
                return
        raise MachineFault(f"The machine does not come out of reset: {self._describe_status()}")

    def read_outputs(self) -> dict[str, np.ndarray]:
        """Graph integers by the graph's names."""
        outputs = {}
        for binding in self._program.outputs:
            start = self._placement[binding.region] + binding.offset
            outputs[binding.name] = binding.unpack(self._bus.memory[start : start + binding.size])
        return outputs

    def cycles(self) -> int:
        """Cycles from start to end, or to now."""
        while True:
            high, low = self._read("CYCLES_HI"), self._read("CYCLES_LO")
            if self._read("CYCLES_HI") == high:
                return high << 32 | low

    def counters(self) -> dict[str, int]:
        """The performance counters by their names in small letters."""
        return {name.lower(): self._read(name) for name in COUNTERS}

    def layer_cycles(self) -> tuple[int, ...]:
        """Cycles of each layer, from the last end of a layer before it; the last one's include the end of the program.

        A layer that has ended before one that comes before it in the program takes none.
        """
        stamps = [self._read("STAMP", index) for index in range(len(self._program.layers))]
        ends = [*stamps[:-1], self.cycles() & _COUNT_MASK] if stamps else []
        found: list[int] = []
        latest = 0
        for end in ends:
            taken = end - latest & _COUNT_MASK
            taken = 0 if found and taken > _COUNT_MASK // 2 else taken
            found.append(taken)
            latest = latest + taken & _COUNT_MASK
        return tuple(found)

    def _check_machine(self) -> None:
        wanted = self._registers
        found = self._read("ID")
        if found != wanted.id:
            raise ProgramError(
                f"ID of the machine must be {wanted.id:#010x}, not {found:#010x}: is it a Gatewright one?"
            )
        version = self._read("VERSION")
        if version >> 16 != wanted.version >> 16:
            raise ProgramError(
                f"version of the machine must be {wanted.version >> 16}, not {version >> 16}.{version & 0xFFFF}"
            )
        digest = self._read("CONFIG_DIGEST")
        if digest != self._program.config_digest:
            program, values = self._program, ", ".join(f"{k}={v}" for k, v in self._program.config.items())
            raise ProgramError(
                f"{program.name!r} was compiled for another configuration of {program.target}: its digest is "
                f"{program.config_digest:#010x}, the machine's {digest:#010x}. The program is for {values}"
            )

    def _activity(self) -> tuple[int, ...]:
        completed = [self._read("COMPLETED", queue) for queue in range(len(self._registers.queues))]
        return (*completed, *(self._read(name) for name in ("READ_BEATS", "WRITE_BEATS", "COMPUTE_BUSY")))

    def _describe_error(self, status: int) -> str:
        code = self._registers.extract("STATUS.error_code", status)
        text = self._registers.errors.get(code, "unknown error")
        index = self._read("FAULT_INDEX")
        message = (
            f"The machine stopped: {text} (code {code}) at instruction {index} of {self._program.instruction_count}"
        )
        if "bus error" in text:
            address = self._read("FAULT_ADDRESS_HI") << 32 | self._read("FAULT_ADDRESS_LO")
            message += f", burst at address {address:#x} ({self._name_address(address)})"
        return message

    def _describe_stillness(self) -> str:
        waiting = [line for queue in range(len(self._registers.queues)) for line in self._describe_queue(queue)]
        oldest = min(waiting, default=(0, "no instruction is waiting"))[1]
        others = "".join(f"\n  {text}" for _, text in sorted(waiting)[1:])
        return f"The machine makes no progress: {self._describe_status()}; oldest waiting: {oldest}{others}"

    def _describe_status(self) -> str:
        status = self._read("STATUS")
        names = [
            name for name in ("busy", "done", "error", "resetting") if self._registers.extract(f"STATUS.{name}", status)
        ]
        return f"status {' '.join(names) or 'idle'} after {self.cycles()} cycles"

    def _describe_queue(self, queue: int) -> list[tuple[int, str]]:
        """What the queue's oldest instructions wait for, each after its index."""
        name, registers, found = self._registers.queues[queue], self._registers, []
        active, head = self._read("ACTIVE", queue), self._read("HEAD", queue)
        if registers.extract("ACTIVE.valid", active):
            index = registers.extract("ACTIVE.index", active)
            found.append((index, f"instruction {index} in the {name} unit has begun and does not end"))
        if registers.extract("HEAD.valid", head):
            index, lacks = registers.extract("HEAD.index", head), registers.extract("HEAD.lacks", head)
            tokens = [other for bit, other in enumerate(registers.queues) if lacks >> bit & 1]
            wanted = f"a token from {' and '.join(tokens)}" if tokens else "its unit"
            found.append((index, f"instruction {index} at the head of the {name} queue waits for {wanted}"))
        return found

    def _name_address(self, address: int) -> str:
        offset = address - self._bus.base
        for region, start in zip(self._program.memory_regions, self._placement, strict=False):
            if start <= offset < start + region.size:
                return f"region {region.name!r} + {offset - start:#x}"
        return "in no region"

    def _read(self, name: str, index: int = 0) -> int:
        return self._bus.read32(self._registers.offset(name, index))
