"""Cycle model of the shell: fetch, dispatch, tokens, load and store DMA, and the memory behind them.

Mirrors `hdl.fetch`, `hdl.dispatch`, `hdl.load` and `hdl.store` a burst at a time; each constant is the latency that the
component's docstring states. A machine adds the process that stands for its core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from gatewright.hdl.axi import BURST_BEATS
from gatewright.hdl.burst import BurstPlanner
from gatewright.hdl.core_port import READ_LATENCY
from gatewright.hdl.dispatch_queue import FLIGHT_DEPTH
from gatewright.hdl.fetch import BURST_INSTRUCTIONS, QUEUE_DEPTH
from gatewright.hdl.instruction import INSTRUCTION_BYTES, Opcode, Queue
from gatewright.hdl.timeline import Gate, Process, Timeline

__all__ = ["MemoryTiming", "ModelInstruction", "ShellModel"]

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
        period = self.run_cycles + self.pause_cycles
        rounds, place = divmod(first, period)
        rounds, rest = divmod(rounds * self.run_cycles + min(place, self.run_cycles) + beats - 1, self.run_cycles)
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
        self._fetched: list[int] = []  # cycle from which each instruction can be dispatched
        self._fetch_changed, self._dispatch_changed, self._reads_changed = Gate(), Gate(), Gate()
        self._reserved = 0
        self._address_free = 0  # first cycle in which the AR register takes a request
        self._reads_free = 0  # first cycle in which R is free
        self._reads: deque[int] = deque()  # last cycles of the outstanding reads
        self._core = core
        self._rom = rom
        self._burst_bytes = burst_beats * bus_bytes

    def run(self) -> None:
        time = self.time
        if self._rom:
            self._fetched = [ROM_LATENCY + index for index in range(len(self.program))]
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

    # Reads share one address register (fetch first) and one data channel.

    def _read(self, now: int, beats: int) -> int:
        """Request a burst from cycle `now` on; afterwards `self._last` is the cycle of its last beat.

        Returns the cycle in which the address register takes the request.
        """
        at = max(now, self._address_free)
        handshake = at + 1 + self.memory.read_wait
        while self._reads and self._reads[0] < handshake:
            self._reads.popleft()
        if len(self._reads) >= self.memory.read_limit:
            handshake = max(handshake, self._reads[len(self._reads) - self.memory.read_limit] + 1)
        self._address_free = handshake
        begins = max(handshake, self._reads_free - 1) if self.memory.serial else handshake
        first = max(begins + self.memory.read_latency, self._reads_free)
        self._last = self.memory.last_beat(first, beats)
        self._reads_free = self._last + 1
        self._reads.append(self._last)
        self.counters["READ_BEATS"] += beats
        return at

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
            yield self._read(self.time.now, count * beats_each) - self.time.now
            first = self._last - count * beats_each + 1
            self._fetched += [first + (i + 1) * beats_each for i in range(count)]
            self.time.notify(self._dispatch_changed)
            yield 1

    def _dispatch(self) -> Process:
        time = self.time
        for index, instruction in enumerate(self.program):
            while len(self._fetched) <= index:
                yield self._dispatch_changed
            if self._fetched[index] > time.now:
                yield self._fetched[index] - time.now
            if instruction.opcode == Opcode.END:
                while any(queue.waiting or queue.flight for queue in self.queues.values()):
                    yield self._dispatch_changed
                self.cycles = time.now
                return
            queue = self.queues[instruction.queue]
            while len(queue.waiting) >= self.queue_depth:
                yield self._dispatch_changed
            queue.waiting.append((time.now + 1, instruction))
            self._reserved -= 1
            time.notify(self._fetch_changed)
            time.notify(queue.changed)
            yield 1

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
        outstanding: deque[int] = deque([-1] * LOAD_OUTSTANDING, LOAD_OUTSTANDING)
        while True:
            while not accepted:
                yield changed
            ready, instruction = accepted[0]
            yield max(0, ready - time.now)
            at = time.now
            for beats in self.bursts(instruction.fields):
                at = max(at, outstanding[0] + 1)
                if not self._rom:  # fetch may come between
                    yield at - time.now
                at = self._read(at, beats) + 1
                outstanding.append(self._last)
            yield at - time.now
            time.call(max(0, self._last + 1 - time.now), lambda: self.complete(Queue.LOAD))
            accepted.popleft()
            time.notify(changed)

    def _store(self, accepted: deque[tuple[int, ModelInstruction]], changed: Gate) -> Process:
        time = self.time
        limit = min(STORE_OUTSTANDING, self.memory.write_limit)
        responses: deque[int] = deque([-1] * limit, limit)
        data_free = address_free = 0
        while True:
            while not accepted:
                yield changed
            ready, instruction = accepted[0]
            yield max(0, ready - time.now)
            at = time.now
            for beats in self.bursts(instruction.fields):
                at = max(at, responses[0] + 1)
                at = max(at, address_free)
                address_free = at + 1 + self.memory.write_wait
                first = max(at + READ_LATENCY + 2, address_free + self.memory.write_gap, data_free)
                last = self.memory.last_beat(first, beats)
                data_free = last + self.memory.write_gap
                responses.append(max(last + self.memory.write_latency, responses[-1] + 1))
                self.counters["WRITE_BEATS"] += beats
                at += 1
            yield at - time.now
            time.call(responses[-1] - time.now, lambda: self.complete(Queue.STORE))
            accepted.popleft()
            time.notify(changed)
