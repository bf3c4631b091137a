"""Cycle model of the shell: fetch, dispatch, tokens, load and store DMA, and the memory behind them.

Mirrors `hdl.fetch`, `hdl.dispatch`, `hdl.load` and `hdl.store` a burst at a time; each constant is the latency that the
component's docstring states. A machine adds the process that stands for its core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from gatewright.hdl.axi import BURST_BEATS
from gatewright.hdl.burst import BurstPlanner
from gatewright.hdl.core_port import READ_LATENCY
from gatewright.hdl.dispatch_queue import FLIGHT_DEPTH
from gatewright.hdl.fetch import BURST_INSTRUCTIONS, QUEUE_DEPTH, TAKEN_CYCLES
from gatewright.hdl.instruction import INSTRUCTION_BYTES, Memory, Opcode, Queue
from gatewright.hdl.timeline import Gate, Process, Timeline

__all__ = ["MemoryTiming", "ModelInstruction", "ShellModel", "Taken"]

ROM_LATENCY = 3  # from the start to the first instruction, out of ROM
LOAD_OUTSTANDING, STORE_OUTSTANDING = 8, 4


@dataclass(frozen=True)
class MemoryTiming:
    """Latencies in cycles, limits in bursts, and pauses, as `sim.MemoryOptions` defines them."""

    read_latency: int = 32
    write_latency: int = 32
    read_limit: int = 8
    write_limit: int = 4
    run_cycles: int = 0
    pause_cycles: int = 0
    read_wait: int = 0
    write_wait: int = 0
    serial: bool = False
    write_gap: int = 1

    def last_beat(self, first: int, beats: int) -> int:
        """The cycle of the last of so many beats of which the first can move in cycle `first`."""
        if not self.pause_cycles:
            return first + beats - 1
        run = self.run_cycles
        period = run + self.pause_cycles
        rounds, place = divmod(first, period)
        rounds, rest = divmod(rounds * run + (place if place < run else run) + beats - 1, run)
        return rounds * period + rest


@dataclass(frozen=True)
class ModelInstruction:
    """What the shell needs to know of an instruction; `fields` are those of its layout."""

    opcode: Opcode
    queue: Queue
    fields: Mapping[str, int]
    reported: bool = True  # its unit says when it completes


@dataclass
class _Queue:
    waiting: deque[tuple[int, ModelInstruction]] = field(
        default_factory=deque
    )  # (cycle it can be offered, instruction)
    flight: deque[ModelInstruction] = field(default_factory=deque)
    reports: int = 0
    changed: Gate = field(default_factory=Gate)


@dataclass(slots=True)
class _Burst:
    """Beats on their way into a scratchpad (or out of it, or instructions), and when the memory answers a write."""

    memory: Memory | None
    first: int
    last: int
    response: int = 0

    def delay(self, cycles: int) -> None:
        self.first, self.last, self.response = self.first + cycles, self.last + cycles, self.response + cycles


@dataclass(frozen=True)
class Taken:
    """Cycles [start, stop) of which a core takes the port of a scratchpad that the DMA shares, one in `every`."""

    memory: Memory
    writes: bool
    start: int
    stop: int
    every: int | Fraction = 1

    def lost(self, burst: _Burst) -> int:
        """Cycles that a burst of one beat a cycle loses."""
        begin = max(burst.first, self.start)
        if burst.memory != self.memory or begin >= self.stop or begin > burst.last:
            return 0
        window, beats = self.stop - begin, burst.last - begin + 1
        free = window - ceil(window / self.every)
        return window - free if beats > free else ceil(beats / (self.every - 1))


class ShellModel:
    """Runs a program; the core is a process made by `core(model)` that takes commands with `next_command`.

    Results: `cycles`, `stamps` (by index), `counters`.
    """

    def __init__(
        self,
        program: Sequence[ModelInstruction],
        bus_bytes: int,
        queue_depth: int,
        memory: MemoryTiming,
        region_bases: Sequence[int],
        core: Callable[[ShellModel], Process],
        *,
        rom: bool = False,
        burst_beats: int = BURST_BEATS,
    ) -> None:
        self.program, self.bus_bytes, self.queue_depth, self.memory = program, bus_bytes, queue_depth, memory
        self.region_bases = region_bases
        self.time = Timeline()
        self.queues = {queue: _Queue() for queue in Queue}
        self.tokens = {(a, b): 0 for a in Queue for b in Queue if a != b}
        self.stamps: dict[int, int] = {}
        self.counters = {"READ_BEATS": 0, "WRITE_BEATS": 0}
        self.cycles = 0
        self._fetched: list[tuple[_Burst, int]] = []  # of each instruction its burst, and the beats behind it
        self._fetch_changed, self._dispatch_changed = Gate(), Gate()
        self._reserved = 0
        self._address_free = 0  # first cycle in which the AR register takes a request
        self._reads_free = 0  # first cycle in which R is free
        self._reads: deque[_Burst] = deque()  # outstanding
        self._writes: deque[_Burst] = deque()
        self._writes_free = 0  # first cycle in which W is free
        self._taken: list[Taken] = []
        self._core = core
        self._rom = rom
        self._burst_bytes = burst_beats * bus_bytes

    def run(self) -> None:
        time = self.time
        if self._rom:
            self._fetched = [(_Burst(None, 0, ROM_LATENCY + index - 1), 0) for index in range(len(self.program))]
        else:
            time.start(self._fetch())
        time.start(self._dispatch())
        for which, issue in ((Queue.LOAD, self._load), (Queue.STORE, self._store)):
            accepted: deque[tuple[int, ModelInstruction]] = deque()
            changed = Gate()
            time.start(self._accept(which, accepted, changed))
            time.start(issue(accepted, changed))
        time.start(self._core(self))
        time.run()

    # Ports of scratchpads that the core shares with the DMA, and has precedence at.

    def take(self, taken: Taken) -> None:
        """A core takes a port from now on: transfers under way get what is left of it."""
        self._taken = [other for other in self._taken if other.stop > self.time.now]
        self._taken.append(taken)
        late = 0
        for burst in self._reads if taken.writes else self._writes:
            burst.delay(late)
            late += self._lose(burst, taken)
        if taken.writes:
            self._reads_free += late
        else:
            self._writes_free += late

    def _lose(self, burst: _Burst, taken: Taken) -> int:
        lost = taken.lost(burst)
        burst.last, burst.response = burst.last + lost, burst.response + lost
        return lost

    def _finish(self, which: Queue, burst: _Burst) -> None:
        """Report the instruction whose last burst this is, when it is over: it may be delayed until then."""
        end = burst.response if which == Queue.STORE else burst.last + 1
        if end > self.time.now:
            self.time.call(end - self.time.now, lambda: self._finish(which, burst))
        else:
            self.complete(which)

    # Reads share one address register (fetch first) and one data channel.

    def _read(self, now: int, beats: int, memory: Memory | None = None) -> tuple[int, _Burst]:
        """Request a burst from cycle `now` on: the cycle in which the address register takes it, and the burst."""
        at = max(now, self._address_free)
        handshake = at + 1 + self.memory.read_wait
        while self._reads and self._reads[0].last < min(handshake, self.time.now):
            self._reads.popleft()
        limit = self.memory.read_limit
        if len(self._reads) >= limit and self._reads[-limit].last >= handshake:  # they end in order
            handshake = self._reads[-limit].last + 1
        self._address_free = handshake
        begins = max(handshake, self._reads_free - 1) if self.memory.serial else handshake
        first = max(begins + self.memory.read_latency, self._reads_free)
        burst = _Burst(memory, first, self.memory.last_beat(first, beats))
        for taken in self._taken:
            if taken.writes:
                self._lose(burst, taken)
        self._reads_free = burst.last + 1
        self._reads.append(burst)
        self.counters["READ_BEATS"] += beats
        return at, burst

    # Fetch and dispatch.

    def _fetch(self) -> Process:
        beats_each = INSTRUCTION_BYTES // self.bus_bytes
        place, left = 0, len(self.program)
        yield 1
        while left:
            while self._reserved > QUEUE_DEPTH - BURST_INSTRUCTIONS:
                yield self._fetch_changed
            count = min(left, BURST_INSTRUCTIONS - place % BURST_INSTRUCTIONS)
            self._reserved += count
            place, left = place + count, left - count
            at, burst = self._read(self.time.now, count * beats_each)
            yield at - self.time.now
            self._fetched += [(burst, beats_each * behind) for behind in reversed(range(count))]
            self.time.notify(self._dispatch_changed)
            yield 1

    def _dispatch(self) -> Process:
        time = self.time
        for index, instruction in enumerate(self.program):
            while len(self._fetched) <= index:
                yield self._dispatch_changed
            burst, beats = self._fetched[index]
            while burst.last + 1 - beats > time.now:  # a core may delay the burst until then
                yield burst.last + 1 - beats - time.now
            if instruction.opcode == Opcode.END:
                while any(queue.waiting or queue.flight for queue in self.queues.values()):
                    yield self._dispatch_changed
                self.cycles = time.now
                return
            queue = self.queues[instruction.queue]
            while len(queue.waiting) >= self.queue_depth:
                yield self._dispatch_changed
            queue.waiting.append((time.now + 1, instruction))
            time.call(TAKEN_CYCLES, self._take_instruction)
            time.notify(queue.changed)
            yield 1

    def _take_instruction(self) -> None:
        """There is room for one more instruction in the queue of the fetch."""
        self._reserved -= 1
        self.time.notify(self._fetch_changed)

    # Queues and tokens.

    def next_command(
        self, which: Queue, ready: Callable[[ModelInstruction], int] | None = None
    ) -> Generator[int | Gate, None, ModelInstruction]:
        """Wait until the oldest instruction of a queue can start, and start it.

        `ready` gives the cycle from which its unit takes the instruction; without it the unit takes it at once.
        """
        queue, time = self.queues[which], self.time
        while True:
            while not queue.waiting or len(queue.flight) >= FLIGHT_DEPTH:
                yield queue.changed
            at, instruction = queue.waiting[0]
            if ready is not None:
                at = max(at, ready(instruction))
            if at > time.now:
                yield at - time.now
                continue
            givers = [giver for giver in Queue if instruction.fields["wait"] >> giver & 1]
            if all(self.tokens[giver, which] for giver in givers):
                break
            yield queue.changed
        for giver in givers:
            self.tokens[giver, which] -= 1
        queue.waiting.popleft()
        queue.flight.append(instruction)
        time.call(1, lambda: time.notify(self._dispatch_changed))
        self._retire(which)
        return instruction

    def complete(self, which: Queue) -> None:
        """The oldest reported instruction of a queue completes in this cycle."""
        self.queues[which].reports += 1
        self._retire(which)

    def _retire(self, which: Queue) -> None:
        queue, time = self.queues[which], self.time
        while queue.flight and (not queue.flight[0].reported or queue.reports):
            instruction = queue.flight.popleft()
            queue.reports -= instruction.reported
            if instruction.fields["stamp"]:
                self.stamps[instruction.fields["stamp_index"]] = time.now
            for taker in Queue:
                if instruction.fields["signal"] >> taker & 1:
                    self._give(which, taker)
        time.call(1, lambda: time.notify(queue.changed))
        time.call(1, lambda: time.notify(self._dispatch_changed))

    def _give(self, giver: Queue, taker: Queue) -> None:
        def arrive() -> None:
            self.tokens[giver, taker] += 1
            self.time.notify(self.queues[taker].changed)

        self.time.call(1, arrive)

    # Transfers.

    def bursts(self, fields: Mapping[str, int]) -> list[int]:
        """Beats of each burst of a transfer."""
        block = self._burst_bytes
        start = self.region_bases[fields["region"]] + fields["offset"]
        run = fields.get("run", 0)
        found = []
        for outer in range(fields["count1"]):
            for inner in range(1 if run else fields["count0"]):
                at = start + outer * fields["stride1"] + inner * fields["stride0"]
                stop = at + (run or fields["length"])
                while at < stop:
                    end = min(stop, (at // block + 1) * block)
                    found.append(-(-end // self.bus_bytes) - at // self.bus_bytes)
                    at = end
        return found

    def _accept(self, which: Queue, accepted: deque[tuple[int, ModelInstruction]], changed: Gate) -> Process:
        """Instructions into a DMA: one is walked, the next may wait behind it."""
        while True:
            while len(accepted) >= 2:
                yield changed
            instruction = yield from self.next_command(which)
            accepted.append((self.time.now + BurstPlanner.LATENCY, instruction))
            self.time.notify(changed)
            yield 1

    def _load(self, accepted: deque[tuple[int, ModelInstruction]], changed: Gate) -> Process:
        time = self.time
        before = _Burst(None, -1, -1)
        outstanding: deque[_Burst] = deque([before] * LOAD_OUTSTANDING, LOAD_OUTSTANDING)
        while True:
            while not accepted:
                yield changed
            ready, instruction = accepted[0]
            yield max(0, ready - time.now)
            at = time.now
            for beats in self.bursts(instruction.fields):
                at = max(at, outstanding[0].last + 1)
                if not self._rom:  # fetch may come between
                    yield at - time.now
                at, burst = self._read(at, beats, Memory(instruction.fields["memory"]))
                at += 1
                outstanding.append(burst)
            yield at - time.now
            self._finish(Queue.LOAD, outstanding[-1])
            accepted.popleft()
            time.notify(changed)

    def _write(self, instruction: ModelInstruction, first: int, beats: int, before: _Burst) -> _Burst:
        burst = _Burst(Memory(instruction.fields["memory"]), first, self.memory.last_beat(first, beats))
        for taken in self._taken:
            if not taken.writes:
                self._lose(burst, taken)
        burst.response = max(burst.last + self.memory.write_latency, before.response + 1)
        self._writes_free = burst.last + self.memory.write_gap
        while self._writes and self._writes[0].response < self.time.now:
            self._writes.popleft()
        self._writes.append(burst)
        self.counters["WRITE_BEATS"] += beats
        return burst

    def _store(self, accepted: deque[tuple[int, ModelInstruction]], changed: Gate) -> Process:
        time = self.time
        limit = min(STORE_OUTSTANDING, self.memory.write_limit)
        outstanding: deque[_Burst] = deque([_Burst(None, -1, -1, -1)] * limit, limit)
        address_free = 0
        while True:
            while not accepted:
                yield changed
            ready, instruction = accepted[0]
            yield max(0, ready - time.now)
            at = time.now
            for beats in self.bursts(instruction.fields):
                at = max(at, outstanding[0].response + 1)
                at = max(at, address_free)
                address_free = at + 1 + self.memory.write_wait
                first = max(at + READ_LATENCY + 2, address_free + self.memory.write_gap, self._writes_free)
                outstanding.append(self._write(instruction, first, beats, outstanding[-1]))
                at += 1
            yield at - time.now
            self._finish(Queue.STORE, outstanding[-1])
            accepted.popleft()
            time.notify(changed)
