"""Cycle model: the shell's queues and memory, and the core's closed form, over a program's instructions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from gatewright.hdl.axi import BURST_BEATS
from gatewright.hdl.burst import longest_burst
from gatewright.hdl.instruction import Memory, Opcode, Queue
from gatewright.hdl.shell_model import MemoryTiming, ModelInstruction, ShellModel, Taken
from gatewright.hdl.timeline import Process
from gatewright.program import Program
from gatewright.targets.array.assembler import Step, decode
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.cycles_post import Results, post_ports
from gatewright.targets.array.cycles_vector import VectorCore
from gatewright.targets.array.isa import Operation
from gatewright.targets.array.isa_vector import VECTOR_UNIT
from gatewright.targets.array.nest import array_taps, pixels_of
from gatewright.targets.array.timing import (
    COMPUTES_IN_FLIGHT,
    NEXT_CYCLES,
    START_CYCLES,
    completion_cycles,
    drain_cycles,
    tile_cycles,
)

__all__ = ["CycleCount", "count_cycles", "count_steps"]


class CycleCount:
    """Cycles of a whole run, of each layer (they sum to the whole), and counters by the names of the registers."""

    def __init__(self, model: ShellModel, core: _Core, layers: int) -> None:
        self.cycles = model.cycles
        self.counters = {**model.counters, "COMPUTE_BUSY": core.busy + core.vector.busy, "STALL_DRAIN": core.draining}
        stamps = [model.stamps[index] for index in range(layers)]
        if stamps:
            stamps[-1] = self.cycles
        ends = [0, *accumulate(stamps, max)]  # a layer that ends before an earlier one takes no time
        self.layers = tuple(stop - start for start, stop in pairwise(ends))


class _Core:
    """The core as `timing` and, where there is a vector unit, `timing_vector` describe it."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.pixels: Mapping[str, int] = {}
        self.taps: Mapping[str, int] = {}
        self.post: Mapping[str, int] = {}
        self.vector = VectorCore(config)
        self.taken = -1  # cycle in which the last command was taken
        self.accepts = 0  # first cycle in which the array takes a command
        self.tile_end = -drain_cycles(config)
        self.completed: deque[int] = deque([-1] * COMPUTES_IN_FLIGHT, COMPUTES_IN_FLIGHT)
        self.busy = self.draining = 0

    def process(self, model: ShellModel) -> Process:
        while True:
            command = yield from model.next_command(Queue.COMPUTE, self._ready)
            now = self.taken = model.time.now
            if command.fields["unit"] == VECTOR_UNIT:
                self._vector(model, command)
            elif command.opcode == Operation.COMPUTE:
                done = self._compute(now, command.fields)
                model.time.call(done - now, lambda: model.complete(Queue.COMPUTE))
                for taken in self._ports(command.fields):
                    model.take(taken)
            elif command.opcode == Operation.CONFIG_POST:
                self.post = command.fields
            elif command.opcode == Operation.CONFIG_PIXELS:
                self.pixels = command.fields
            elif command.opcode == Operation.CONFIG_TAPS:
                self.taps = command.fields

    def _ready(self, command: ModelInstruction) -> int:
        vector = self.vector
        if command.fields["unit"] == VECTOR_UNIT:
            ready = max(self.taken + 1, vector.ready(command.opcode))
            return max(ready, self.completed[-1] + 1) if command.opcode == Operation.COMPUTE else ready
        ready = max(self.taken + 1, self.accepts)
        if command.opcode == Operation.COMPUTE:
            return max(ready, self.completed[0] + 1, vector.completed[-1] + 1)
        if command.opcode in (Operation.CONFIG_POST, Operation.CONFIG_RANGE):
            return max(ready, self.completed[-1] + 1)
        return ready

    def _vector(self, model: ShellModel, command: ModelInstruction) -> None:
        if command.opcode == Operation.COMPUTE:
            now = model.time.now
            model.time.call(self.vector.compute(now, command.fields) - now, lambda: model.complete(Queue.COMPUTE))
            for taken in self.vector.taken:
                model.take(taken)
        else:
            self.vector.configure(command.opcode, command.fields)

    def _compute(self, now: int, f: Mapping[str, int]) -> int:
        """The cycle in which a COMPUTE accepted now reports its completion."""
        config = self.config
        steps = tile_cycles(config, array_taps(self.taps, config).size)
        pixels = pixels_of(self.pixels, f).size
        tiles = -(-pixels // config.rows)
        count = tiles * f["filter_tiles"]
        unhindered = now + START_CYCLES + steps - 1
        first = max(unhindered, self.tile_end + drain_cycles(config))
        distance = max(steps, drain_cycles(config))
        self.tile_end = first + (count - 1) * distance
        self.busy += count * steps
        self.draining += first - unhindered + (count - 1) * (distance - steps)
        self.accepts = self.tile_end + NEXT_CYCLES
        rows = pixels - (tiles - 1) * config.rows
        self.results = Results(first, self.tile_end, distance, min(pixels, config.rows), rows)
        self.completed.append(self.tile_end + completion_cycles(config, rows if f["last"] else 0))
        return self.completed[-1]

    def _ports(self, f: Mapping[str, int]) -> Iterator[Taken]:
        """What the results of the last COMPUTE take from the DMA."""
        if not f["last"]:
            return
        post, memories = self.post, {"to_activation": Memory.ACTIVATION, "to_output": Memory.OUTPUT}
        written = [memory for name, memory in memories.items() if post[name]]
        yield from post_ports(self.config, self.results, written, post["pool_count"], residual=bool(post["residual"]))


def count_cycles(
    program: Program, config: ArrayConfig, memory: MemoryTiming | None = None, *, rom: bool = False
) -> CycleCount:
    """Cycles from start to done with a memory of fixed latency and full bandwidth; with `rom`, without fetching."""
    return count_steps(decode(program.code), len(program.layers), config, memory, rom=rom)


def count_steps(
    steps: Sequence[Step], layers: int, config: ArrayConfig, memory: MemoryTiming | None = None, *, rom: bool = False
) -> CycleCount:
    """As `count_cycles`, of a program's complete steps for so many layers."""
    queues = {Opcode.LOAD: Queue.LOAD, Opcode.STORE: Queue.STORE}
    reported = {Opcode.LOAD, Opcode.STORE, Operation.COMPUTE}
    instructions = [
        ModelInstruction(step.opcode, queues.get(step.opcode, Queue.COMPUTE), step.fields, step.opcode in reported)
        for step in steps
    ]
    core = _Core(config)
    bases = [0] * (1 + max((step.fields["region"] for step in steps if step.opcode in queues), default=0))
    model = ShellModel(
        instructions,
        config.bus_bytes,
        config.queue_depth,
        memory or MemoryTiming(),
        bases,
        core.process,
        rom=rom,
        burst_beats=longest_burst(config.bus_bytes) if rom else BURST_BEATS,
    )
    model.run()
    return CycleCount(model, core, layers)
