"""Dispatch: from the instruction stream to the three units."""

from collections.abc import Collection
from dataclasses import dataclass

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.burst import COMMAND, FAULT
from gatewright.hdl.csr import STAMP, register_shape
from gatewright.hdl.csr_map import INDEX_WIDTH, REGISTER_MAP
from gatewright.hdl.dispatch_queue import QUEUE_SET, IssueQueue, TokenBank
from gatewright.hdl.instruction import HEADER, INSTRUCTION_BITS, REGION_COUNT, TRANSFER, Memory, Opcode, Queue

__all__ = ["DispatchRules", "Dispatcher", "InstructionDecoder"]


@dataclass(frozen=True)
class DispatchRules:
    """What the machine's instruction set allows."""

    opcodes: frozenset[Opcode]
    """Opcodes that go to the core."""
    completing: frozenset[Opcode]
    """Those among them whose completion the core reports."""
    load_memories: frozenset[Memory]
    """Scratchpads that a LOAD can fill."""
    store_memories: frozenset[Memory]
    """Scratchpads that a STORE can read."""
    regions: int = REGION_COUNT
    """Regions that a transfer can name."""

    def __post_init__(self) -> None:
        core = {opcode for opcode in Opcode if opcode >= Opcode.CORE0}
        if not self.opcodes <= core:
            raise ValueError(f"Opcodes of a core must be CORE0 to CORE7, not {sorted(self.opcodes - core)}")
        if not self.completing <= self.opcodes:
            raise ValueError(
                f"Completing opcodes must be opcodes of the core; {self.completing - self.opcodes} are not"
            )


def _is_one_of(value: Value, members: Collection[int]) -> Value:
    return Cat(value == member for member in sorted(members)).any()


class InstructionDecoder(wiring.Component):
    """Says where an instruction goes: `queue` is one-hot, or it `is_end`, or it is illegal (neither).

    Illegal are: an opcode that the rules do not name, a transfer with a memory or region they do not name, with a
    count or length of 0, an instruction that waits for a token of its own queue or signals it, and reserved bits that
    are not 0.
    """

    def __init__(self, rules: DispatchRules) -> None:
        self.rules = rules
        super().__init__({"word": In(INSTRUCTION_BITS), "queue": Out(QUEUE_SET), "is_end": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        rules = self.rules
        header = data.View(HEADER, self.word[: HEADER.size])
        transfer = data.View(TRANSFER, self.word)
        sane = Signal()
        counted = Signal()
        placed = transfer.region < rules.regions
        chosen = Signal(QUEUE_SET)
        m.d.comb += [
            counted.eq(transfer.length.any() & transfer.count0.any() & transfer.count1.any() & placed),
            sane.eq(~(chosen & (header.wait | header.signal)).any() & ~header.reserved.any()),
            self.queue.eq(Mux(sane, chosen, 0)),
        ]
        with m.Switch(header.opcode):
            with m.Case(Opcode.LOAD):
                m.d.comb += chosen[Queue.LOAD].eq(counted & _is_one_of(transfer.memory, rules.load_memories))
            with m.Case(Opcode.STORE):
                m.d.comb += chosen[Queue.STORE].eq(counted & _is_one_of(transfer.memory, rules.store_memories))
            with m.Case(Opcode.END):
                m.d.comb += self.is_end.eq(sane)
            with m.Case(*sorted(rules.opcodes)):
                m.d.comb += chosen[Queue.COMPUTE].eq(1)
        return m


class Dispatcher(wiring.Component):
    """Takes instructions in order, one a cycle, into the queues of load, compute and store, which work on their own.

    `units` and `completed` are in the order of `Queue`. `ending` says that END was the next instruction in the cycle
    before; `ended`, that all before it have completed as well. When `run` is low nothing starts and nothing completes.
    An illegal instruction stays where it is, with a fault; so does the missing END (`missing_end`). Completions in the
    same cycle give their tokens in that cycle; of several stamps the lower queue's is written first, and the others
    complete later.

    Timing: an instruction offered in cycle t is offered to its unit in cycle t + 1, if nothing holds it up.
    """

    def __init__(self, rules: DispatchRules, queue_depth: int) -> None:
        self.rules = rules
        self.queue_depth = queue_depth
        super().__init__(
            {
                "run": In(1),
                "instructions": In(stream.Signature(INSTRUCTION_BITS)),
                "exhausted": In(1),
                "units": Out(stream.Signature(COMMAND)).array(QUEUE_SET),
                "completed": In(QUEUE_SET),
                "cycles": In(32),
                "stamp": Out(stream.Signature(STAMP, always_ready=True)),
                "ending": Out(1),
                "ended": Out(1),
                "illegal": Out(FAULT),
                "missing_end": Out(FAULT),
                "overflow": Out(FAULT),
                "dispatched": Out(INDEX_WIDTH).array(QUEUE_SET),
                "retired": Out(INDEX_WIDTH).array(QUEUE_SET),
                "heads": Out(register_shape(REGISTER_MAP["HEAD"])).array(QUEUE_SET),
                "actives": Out(register_shape(REGISTER_MAP["ACTIVE"])).array(QUEUE_SET),
            }
        )

    def _reported(self, queue: Queue) -> frozenset[int]:
        return {
            Queue.LOAD: frozenset({Opcode.LOAD}),
            Queue.COMPUTE: self.rules.completing,
            Queue.STORE: frozenset({Opcode.STORE}),
        }[queue]

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.decoder = decoder = InstructionDecoder(self.rules)
        m.submodules.tokens = tokens = TokenBank()
        queues = [IssueQueue(queue, self.queue_depth, self._reported(queue)) for queue in Queue]

        index = Signal(INDEX_WIDTH)
        offered = self.instructions.valid & self.run
        occupied = Cat(Cat(queue.head.valid, queue.active.valid) for queue in queues).any()
        m.d.comb += [
            decoder.word.eq(self.instructions.payload),
            self.ended.eq(self.ending & offered & ~occupied),
            self.illegal.valid.eq(offered & ~decoder.is_end & ~decoder.queue.any()),
            self.illegal.index.eq(index),
            self.missing_end.valid.eq(self.run & self.exhausted),
            self.missing_end.index.eq(index),
            self.instructions.ready.eq(
                self.run & Cat(queue.entries.valid & queue.entries.ready for queue in queues).any()
            ),
        ]
        m.d.sync += self.ending.eq(offered & decoder.is_end)
        with m.If(self.instructions.valid & self.instructions.ready):
            m.d.sync += index.eq(index + 1)

        for number, queue in zip(Queue, queues, strict=True):
            m.submodules[number.name.lower()] = queue
            self._connect(m, number, queue, tokens, offered & decoder.queue[number], index)
        self._stamp(m, queues)
        return m

    def _connect(
        self, m: Module, number: Queue, queue: IssueQueue, tokens: TokenBank, chosen: Value, index: Signal
    ) -> None:
        wiring.connect(m, queue.commands, wiring.flipped(self.units[number]))
        m.d.comb += [
            queue.run.eq(self.run),
            queue.entries.valid.eq(chosen),
            queue.entries.p.word.eq(self.instructions.payload),
            queue.entries.p.index.eq(index),
            queue.available.eq(tokens.available[number]),
            tokens.take[number].eq(queue.take),
            tokens.give[number].eq(queue.give),
            queue.completed.eq(self.completed[number]),
            self.heads[number].eq(queue.head),
            self.actives[number].eq(queue.active),
        ]
        with m.If(tokens.overflow[number]):
            m.d.comb += [self.overflow.valid.eq(1), self.overflow.index.eq(queue.active.index)]
        m.d.sync += [
            self.dispatched[number].eq(self.dispatched[number] + (chosen & queue.entries.ready)),
            self.retired[number].eq(self.retired[number] + queue.retired),
        ]

    def _stamp(self, m: Module, queues: list[IssueQueue]) -> None:
        m.d.comb += self.stamp.p.value.eq(self.cycles)
        for place, queue in reversed(list(enumerate(queues))):  # the last assignment wins: the lowest queue
            m.d.comb += queue.stamp.ready.eq(~Cat(lower.stamp.valid for lower in queues[:place]).any())
            with m.If(queue.stamp.valid):
                m.d.comb += [self.stamp.valid.eq(1), self.stamp.p.index.eq(queue.stamp.p)]
        # a stream that is always ready has nothing to say about it
