"""Cycle model: the shell's queues and memory, and the core's closed form, over a program's instructions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from gatewright.hdl.instruction import Memory, Opcode, Queue
from gatewright.hdl.shell_model import MemoryTiming, ModelInstruction, ShellModel, Taken
from gatewright.hdl.timeline import Process
from gatewright.program import Program
from gatewright.targets.array.cycles_post import Results, post_ports
from gatewright.targets.array.timing import (
    COMPUTES_IN_FLIGHT,
    NEXT_CYCLES,
    START_CYCLES,
    completion_cycles,
    drain_cycles,
    drain_delay,
)
from gatewright.targets.bitfusion.assembler import decode_steps, pixel_tiles, tap_words
from gatewright.targets.bitfusion.blocks import (
    FILTER_LOOP,
    LAST,
    POST_FIELDS,
    Operation,
    apply,
    initial_state,
    words_of,
)
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.isa import Op
from gatewright.targets.bitfusion.timing import MOST_UNDER_WAY, switch_cycles, written_cycles

__all__ = ["CycleCount", "count_cycles"]


class CycleCount:
    """Cycles of a whole run, of each layer (they sum to the whole), and counters by the names of the registers."""

    def __init__(self, model: ShellModel, core: _Core, layers: int) -> None:
        self.cycles = model.cycles
        self.counters = {**model.counters, "COMPUTE_BUSY": core.busy, "STALL_DRAIN": core.draining}
        stamps = [model.stamps[index] for index in range(layers)]
        if stamps:
            stamps[-1] = self.cycles
        self.layers = tuple(stop - start for start, stop in zip([0, *stamps], stamps, strict=False))


class _Core:
    """Decoder, feed and drain. A word takes a cycle, from the one after its instruction was accepted on."""

    def __init__(self, config: FusionConfig) -> None:
        self.config, self.array = config, config.array()
        self.state = initial_state()
        self.free = 0  # first cycle in which the decoder takes an instruction
        self.idle = 0  # first cycle in which the feed takes a `compute`
        self.fence: int | None = None  # tiles that may be under way behind a `block-end`
        self.changed = False
        self.switched = 0  # first cycle in which other settings of the post unit may wait
        self.tile_end = -switch_cycles(self.array)
        self.ends: deque[int] = deque([self.tile_end] * (MOST_UNDER_WAY + 1), MOST_UNDER_WAY + 1)
        self.completed: deque[int] = deque([-1] * COMPUTES_IN_FLIGHT, COMPUTES_IN_FLIGHT)
        self.busy = self.draining = 0

    def process(self, model: ShellModel) -> Process:
        while True:
            command = yield from model.next_command(Queue.COMPUTE, lambda _: self.free)
            now = model.time.now
            for word in words_of(command.fields):
                now += 1
                if word.op == Op.COMPUTE:
                    now = max(now, self.idle, self.completed[0] + 1, self._after_changes())
                    done = self._compute(now, word.immediate)
                    model.time.call(done - model.time.now, lambda: model.complete(Queue.COMPUTE))
                    for taken in self._ports(word.immediate):
                        model.take(taken)
                elif word.op == Op.BLOCK_END:
                    self.fence = word.immediate
                elif apply(self.state, word) in POST_FIELDS:
                    self.changed = True
            self.free = now

    @property
    def _opens(self) -> bool:
        """Whether the next `compute` brings settings of the post unit."""
        return self.changed or self.fence is not None

    def _after_changes(self) -> int:
        """First cycle in which a `compute` may start after a `block-end`, and with settings of its own."""
        written = 0
        if self.fence is not None:
            written = min(self.completed[-1], self.ends[-1 - self.fence] + written_cycles(self.array)) + 1
        return max(written, self.switched if self._opens else 0)

    def _compute(self, now: int, flags: int) -> int:
        """The cycle in which a `compute` that starts now reports its completion."""
        s, array = self.state, self.array
        steps = tap_words(s) * s["slot"]
        tiles, rows = pixel_tiles(s)
        count = tiles * s[f"count{FILTER_LOOP}"]
        unhindered = now + START_CYCLES + steps - 1
        first = max(unhindered, self.tile_end + (switch_cycles(array) if self._opens else drain_cycles(array)))
        distance = max(steps, drain_cycles(array))
        self.tile_end = first + (count - 1) * distance
        self.ends.extend(self.tile_end - tile * distance for tile in reversed(range(min(count, MOST_UNDER_WAY + 1))))
        if self._opens:
            self.switched = first + drain_delay(array)
        self.fence, self.changed = None, False
        self.busy += count * steps
        self.draining += first - unhindered + (count - 1) * (distance - steps)
        self.idle = self.tile_end + NEXT_CYCLES
        self.results = Results(first, self.tile_end, distance, s["rows"] if tiles > 1 else rows, rows)
        self.completed.append(self.tile_end + completion_cycles(array, rows if flags & LAST else 0))
        return self.completed[-1]

    def _ports(self, flags: int) -> Iterator[Taken]:
        """What the results of the last `compute` take from the DMA."""
        if not flags & LAST:
            return
        s, memories = self.state, {"to_next": Memory.ACTIVATION, "to_obuf": Memory.OUTPUT}
        written = [memory for name, memory in memories.items() if s[name]]
        yield from post_ports(self.array, self.results, written, s["pool_count"], residual=bool(s["add"]))


def count_cycles(program: Program, config: FusionConfig, memory: MemoryTiming | None = None) -> CycleCount:
    """Cycles from start to done with a memory of fixed latency and full bandwidth."""
    queues = {Opcode.LOAD: Queue.LOAD, Opcode.STORE: Queue.STORE}
    reported = {Opcode.LOAD, Opcode.STORE, Operation.RUN}
    instructions = [
        ModelInstruction(step.opcode, queues.get(step.opcode, Queue.COMPUTE), step.fields, step.opcode in reported)
        for step in decode_steps(program.regions[0].data)
    ]
    core = _Core(config)
    bases = [0] * len(program.regions)
    model = ShellModel(
        instructions, config.bus_bytes, config.queue_depth, memory or MemoryTiming(), bases, core.process
    )
    model.run()
    return CycleCount(model, core, len(program.layers))
