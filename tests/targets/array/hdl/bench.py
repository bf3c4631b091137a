"""Drives the Verilated core as the shell would, and checks its timing in every run."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from tests.targets.array.hdl.reference import CoreReference

from gatewright.hdl import emit_verilog
from gatewright.hdl.core_port import READ_LATENCY, ScratchWrite
from gatewright.hdl.instruction import Memory, pack
from gatewright.sim import Model
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.core import Core
from gatewright.targets.array.isa import LAYOUTS, Operation, parameter_dtype
from gatewright.targets.array.timing import (
    COMPUTES_IN_FLIGHT,
    FEED_LATENCY,
    NEXT_CYCLES,
    START_CYCLES,
    completion_cycles,
    drain_cycles,
    tile_cycles,
)

__all__ = ["Command", "CoreBench", "core_bench"]

_PATIENCE = 100_000
_ACCEPT = "accept"


@dataclass(frozen=True)
class Command:
    opcode: int
    given: Mapping[str, int]

    @property
    def fields(self) -> Mapping[str, int]:
        """All fields, 0 where none was given."""
        return dict.fromkeys(LAYOUTS[self.opcode].members, 0) | self.given

    @property
    def word(self) -> int:
        return pack(LAYOUTS[self.opcode], {"opcode": int(self.opcode), **self.given})


@dataclass
class Clock:
    """When the core will accept and complete commands, by the closed form."""

    config: ArrayConfig
    reference: CoreReference
    free: int = 0
    tile_end: int = -1_000_000
    completed: list[int] = field(default_factory=list)
    computing: int = 0
    draining: int = 0

    def earliest(self, command: Command) -> int:
        if command.opcode in (Operation.CONFIG_POST, Operation.CONFIG_RANGE):
            return max(self.free, self.completed[-1] + 1 if self.completed else 0)
        if command.opcode == Operation.COMPUTE and len(self.completed) >= COMPUTES_IN_FLIGHT:
            return max(self.free, self.completed[-COMPUTES_IN_FLIGHT] + 1)
        return self.free

    def accept(self, command: Command, cycle: int) -> None:
        self.free = cycle + 1
        if command.opcode != Operation.COMPUTE:
            return
        steps = tile_cycles(self.config, self.reference.tap_words())
        pixels = self.reference.pixel_count(command.fields)
        tiles = -(-pixels // self.config.rows)
        unhindered = cycle + START_CYCLES + steps - 1
        first = max(unhindered, self.tile_end + drain_cycles(self.config))
        count = tiles * command.fields["filter_tiles"]
        distance = max(steps, drain_cycles(self.config))
        self.computing += count * steps
        self.draining += first - unhindered + (count - 1) * (distance - steps)
        self.tile_end = first + (count - 1) * distance
        self.free = self.tile_end + NEXT_CYCLES
        rows = pixels - (tiles - 1) * self.config.rows if command.fields["last"] else 0
        self.completed.append(self.tile_end + completion_cycles(self.config, rows))


class CoreBench:
    """A core with its reference: `load` fills the scratchpads, `run` executes commands on both and compares."""

    def __init__(self, model: Model, config: ArrayConfig, seed: int = 0) -> None:
        self.model = model
        self.config = config
        self.reference = self._new_reference(seed)
        self.clock = self._new_clock()
        self.random = random.Random(seed)
        self.cycle = 0
        self.computing = 0
        self.draining = 0
        self.completed: list[int] = []
        self._writes: list[tuple[int, int, int, int]] = []
        self._reads: list[int] = []
        self._arriving: list[tuple[int, int]] = []
        self._read_bytes: dict[int, bytes] = {}

    def _new_reference(self, seed: int) -> CoreReference:
        return CoreReference(self.config, seed)

    def _new_clock(self, free: int = 0) -> Any:
        return Clock(self.config, self.reference, free)

    def load(self) -> None:
        """Write the reference's memories into the core's."""
        size = self.config.bus_bytes
        for memory, contents in self.reference.memory.items():
            for address in range(0, contents.size, size):
                self.write(memory, address, contents[address : address + size])
        while self._writes:
            self._tick()

    def write(self, memory: Memory, address: int, contents: np.ndarray, mask: int = -1) -> None:
        """Queue one beat."""
        lanes = (1 << self.config.bus_bytes) - 1
        self._writes.append(
            (int(memory), address % (1 << 20), int.from_bytes(contents.tobytes(), "little"), mask & lanes)
        )

    def run(self, commands: Sequence[Command], stall: float = 0.0, disturb: float = 0.0) -> None:
        """Execute commands, pausing with probability `stall` before each; `disturb` of the cycles see DMA traffic."""
        for command in commands:
            self._send(command, stall, disturb)
            self.reference.run(command.opcode, command.fields)
        while len(self.completed) < len(self.clock.completed):
            self._step(disturb)
        assert self.completed == self.clock.completed
        assert (self.computing, self.draining) == (self.clock.computing, self.clock.draining)
        self.model.set("port_commands_valid", 0)
        for _ in range(4):
            self._step(0)
        assert not self.model.get("port_busy")
        while self._writes or self._arriving:
            self._tick()

    def abandon(self, commands: Sequence[Command], cycles: int) -> None:
        """Offer commands for some cycles, then reset the core softly; the reference does not take part."""
        rest = list(commands)
        for _ in range(cycles):
            self.model.set("port_commands_valid", bool(rest))
            if rest:
                self.model.set("port_commands_payload", rest[0].word)
                if self.model.get("port_commands_ready"):
                    rest.pop(0)
            self.model.tick()
        self.model.set("port_commands_valid", 0)
        self.model.set("port_reset", 1)
        self.model.tick()
        self.model.set("port_reset", 0)
        assert not self.model.get("port_busy")
        self.clock = self._new_clock(self.cycle)
        self.completed.clear()
        self.computing = self.draining = 0
        for _ in range(FEED_LATENCY):
            self.model.tick()  # taps that were on their way

    def _send(self, command: Command, stall: float, disturb: float) -> None:
        while self.random.random() < stall:
            self._step(disturb)
        self.model.set("port_commands_payload", command.word)
        self.model.set("port_commands_valid", 1)
        start = self.cycle
        while not self.model.get("port_commands_ready"):
            self._step(disturb)
            assert self.cycle < start + _PATIENCE, "the core accepts no command"
        assert self.cycle == max(start, self.clock.earliest(command))
        self.clock.accept(command, self.cycle)
        self._step(disturb)
        self.model.set("port_commands_valid", 0)

    def _step(self, disturb: float) -> None:
        if self.random.random() < disturb:
            self._disturb()
        self._tick()

    def _disturb(self) -> None:
        """Write what is there already into memory that no command changes, or nothing (masked off) anywhere; read."""
        if not self._writes:
            memory = self.random.choice(list(Memory))
            contents = self.reference.memory[memory]
            size = self.config.bus_bytes
            if memory in (Memory.ACTIVATION, Memory.OUTPUT):
                address = self.random.randrange(contents.size // 2 - size)
                self.write(memory, self.random.randrange(1 << 20), contents[:size], mask=0)
            else:
                address = self.random.randrange(0, contents.size, size)
            self.write(memory, address, contents[address : address + size])
        if not self._reads:
            self._reads.append(self.random.randrange(self.config.output_bytes // 2 - self.config.bus_bytes))

    def _tick(self) -> None:
        """One cycle of both DMA ports."""
        model = self.model
        model.set("port_write_valid", bool(self._writes))
        if self._writes:
            memory, address, contents, mask = self._writes[0]
            layout = ScratchWrite(self.config.bus_bits)
            model.set(
                "port_write_payload",
                memory
                | address << layout["address"].offset
                | contents << layout["data"].offset
                | mask << layout["mask"].offset,
            )
        model.set("port_read_valid", bool(self._reads))
        if self._reads:
            model.set("port_read_payload", self._reads[0])
        if self._arriving and self._arriving[0][0] == self.cycle:
            _, address = self._arriving.pop(0)
            found = model.get("port_read_data").to_bytes(self.config.bus_bytes, "little")
            self._read_bytes[address] = found
            if address < self.config.output_bytes // 2 - self.config.bus_bytes:  # where commands write nothing
                assert found == self.reference.memory[Memory.OUTPUT][address : address + len(found)].tobytes()
        if self._writes and model.get("port_write_ready"):
            self._writes.pop(0)
        if self._reads and model.get("port_read_ready"):
            self._arriving.append((self.cycle + READ_LATENCY, self._reads.pop(0)))
        if model.get("port_completed"):
            self.completed.append(self.cycle)
        self.computing += model.get("port_computing")
        self.draining += model.get("port_draining")
        model.tick()
        self.cycle += 1

    def check_outputs(self) -> None:
        """Read the output scratchpad back, at odd addresses, and compare."""
        size = self.config.bus_bytes
        addresses = [(3 + address) % self.config.output_bytes for address in range(0, self.config.output_bytes, size)]
        self._reads = list(addresses)
        while self._reads or self._arriving:
            self._tick()
        found = b"".join(self._read_bytes[address] for address in addresses)
        expected = np.roll(self.reference.memory[Memory.OUTPUT], -3)
        different = np.flatnonzero(np.frombuffer(found, np.uint8) != expected)
        assert different.size == 0, f"{different.size} bytes differ, the first at {(int(different[0]) + 3)}"

    def check_activations(self) -> None:
        """Copy the activation scratchpad to the output scratchpad by unit weights, and compare."""
        config = self.config
        width = min(config.word_length, config.columns)
        for command in self._copy(width):
            if command.opcode == Operation.COMPUTE:
                self._load_unit_weights(width)
            self.run([command])
        expected = self.reference.memory[Memory.ACTIVATION].view(np.int8)
        found = self.reference.memory[Memory.OUTPUT].view(np.int8)
        assert np.array_equal(found, expected)  # of the reference alone: the copy is what it should be
        self.check_outputs()

    def _load_unit_weights(self, width: int) -> None:
        config, memory = self.config, self.reference.memory
        weights = np.zeros((config.word_length, config.weight_word_bytes), np.uint8)
        weights[np.arange(width), np.arange(width) * config.weight_element_bytes] = 1
        memory[Memory.WEIGHT][: weights.size] = weights.ravel()
        parameters = np.zeros(config.lane_groups * config.post_lanes, parameter_dtype(config.bias_width))
        parameters["mul_shift"] = 1
        memory[Memory.PARAMETER][: parameters.nbytes] = parameters.view(np.uint8)
        self.load()

    def _copy(self, width: int) -> Iterator[Command]:
        config = self.config
        assert config.activation_bytes == config.output_bytes
        count = -(-config.activation_bytes // width)
        ones = {f"count{level}": 1 for level in range(4)}
        yield Command(Operation.CONFIG_PIXELS, ones | {"count0": count, "dx0": width})
        taps = {"words": 1, "count_s": 1, "count_r": 1}
        yield Command(Operation.CONFIG_TAPS, taps | {"row_bytes": (1 << 20) - 1, "pitch": 0, "pad": 0})
        if config.result_width > 8:
            yield Command(Operation.CONFIG_RANGE, {"low": -128, "high": 127})
        bounds = {"low": -128, "high": 127} if config.result_width == 8 else {}
        yield Command(
            Operation.CONFIG_POST, bounds | {"pool_count": 1, "to_output": 1, "out_count": 1, "out_delta": width}
        )
        compute = {"outer_count": 1, "height": 1, "filter_tiles": 1, "last_columns": width, "first": 1, "last": 1}
        yield Command(Operation.COMPUTE, compute)


@cache
def _verilog(config: ArrayConfig) -> str:
    return emit_verilog(Core(config), "core")


@contextmanager
def core_bench(config: ArrayConfig, seed: int = 0, kind: type[CoreBench] = CoreBench) -> Iterator[CoreBench]:
    with Model.from_verilog(_verilog(config), "core", seed=seed) as model:
        model.reset()
        bench = kind(model, config, seed)
        bench.load()
        yield bench
