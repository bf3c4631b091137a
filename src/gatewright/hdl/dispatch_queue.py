"""One instruction queue, and the tokens between queues."""

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.burst import COMMAND
from gatewright.hdl.csr import register_shape
from gatewright.hdl.csr_map import INDEX_WIDTH, REGISTER_MAP
from gatewright.hdl.instruction import HEADER, STAMP_COUNT, TOKEN_WIDTH, Queue
from gatewright.hdl.stream_queue import StreamQueue

__all__ = ["QUEUE_SET", "IssueQueue", "TokenBank"]

QUEUE_SET = len(Queue)  # one bit for each queue, as in an instruction's `wait`

FLIGHT_DEPTH = 16
"""Instructions of one queue that have started and not completed, at most."""

_FLIGHT = data.StructLayout(
    {
        "index": unsigned(INDEX_WIDTH),
        "signal": unsigned(QUEUE_SET),
        "stamp": unsigned(1),
        "stamp_index": unsigned((STAMP_COUNT - 1).bit_length()),
        "reported": unsigned(1),  # its unit says when it completes; others complete as soon as those before them have
    }
)


class TokenBank(wiring.Component):
    """Tokens from one queue to another, a counter for each ordered pair.

    Bit p of `available[q]` says that queue q has a token from queue p; bit p of `take[q]` takes it. Bit q of `give[p]`
    gives one from queue p to queue q; it is available in the next cycle. Bit p of `overflow`: a token that queue p
    gives has no room, and is lost.
    """

    available: Out(QUEUE_SET).array(QUEUE_SET)
    take: In(QUEUE_SET).array(QUEUE_SET)
    give: In(QUEUE_SET).array(QUEUE_SET)
    overflow: Out(QUEUE_SET)

    def elaborate(self, platform) -> Module:
        m = Module()
        for giver in Queue:
            full = []
            for taker in Queue:
                if giver is taker:
                    continue
                count = Signal(TOKEN_WIDTH, name=f"{giver.name.lower()}_to_{taker.name.lower()}")
                given, taken = self.give[giver][taker], self.take[taker][giver]
                m.d.sync += count.eq(count + given - taken)
                m.d.comb += self.available[taker][giver].eq(count.any())
                full.append(given & ~taken & count.all())
            m.d.comb += self.overflow[giver].eq(Cat(full).any())
        return m


class IssueQueue(wiring.Component):
    """Instructions of one queue, from dispatch to completion.

    The oldest instruction goes to the unit when the bank has all tokens it waits for (they are taken as it goes), the
    unit is ready and fewer than `FLIGHT_DEPTH` are under way. `completed` pulses report completions in order; an
    instruction whose opcode is not in `reported` completes without a pulse, as soon as all before it have. On
    completion it gives its tokens and, if it carries a stamp, offers its stamp index; it waits until that is taken.
    While `run` is low nothing starts or completes.

    Timing: an instruction put into an empty queue in cycle t is offered to the unit in cycle t + 1, as is one that
    waits for tokens given in cycle t. A completion reported in cycle t gives its tokens in cycle t.
    """

    def __init__(self, queue: Queue, depth: int, reported: frozenset[int]) -> None:
        self.queue = queue
        self.depth = depth
        self.reported = reported
        super().__init__(
            {
                "entries": In(stream.Signature(COMMAND)),
                "commands": Out(stream.Signature(COMMAND)),
                "run": In(1),
                "available": In(QUEUE_SET),
                "take": Out(QUEUE_SET),
                "completed": In(1),
                "give": Out(QUEUE_SET),
                "stamp": Out(stream.Signature(_FLIGHT["stamp_index"].shape)),
                "retired": Out(1),
                "head": Out(register_shape(REGISTER_MAP["HEAD"])),
                "active": Out(register_shape(REGISTER_MAP["ACTIVE"])),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.waiting = waiting = StreamQueue(COMMAND, self.depth)
        m.submodules.flight = flight = StreamQueue(_FLIGHT, FLIGHT_DEPTH)
        wiring.connect(m, wiring.flipped(self.entries), waiting.i)

        header = data.View(HEADER, waiting.o.p.word[: HEADER.size])
        lacks = Signal(QUEUE_SET)
        start = self.commands.valid & self.commands.ready
        m.d.comb += [
            lacks.eq(header.wait & ~self.available),
            self.commands.p.eq(waiting.o.p),
            self.commands.valid.eq(waiting.o.valid & ~lacks.any() & flight.i.ready & self.run),
            waiting.o.ready.eq(start),
            self.take.eq(Mux(start, header.wait, 0)),
            flight.i.valid.eq(start),
            flight.i.p.index.eq(waiting.o.p.index),
            flight.i.p.signal.eq(header.signal),
            flight.i.p.stamp.eq(header.stamp),
            flight.i.p.stamp_index.eq(header.stamp_index),
            flight.i.p.reported.eq(Cat(header.opcode == opcode for opcode in sorted(self.reported)).any()),
        ]

        oldest = flight.o.p
        reports = Signal(range(FLIGHT_DEPTH + 1))  # pulses whose instruction has not retired yet
        complete = flight.o.valid & (~oldest.reported | self.completed | reports.any()) & self.run
        retire = self.retired
        m.d.comb += [
            self.stamp.valid.eq(complete & oldest.stamp),
            self.stamp.p.eq(oldest.stamp_index),
            retire.eq(complete & (~oldest.stamp | self.stamp.ready)),
            flight.o.ready.eq(retire),
            self.give.eq(Mux(retire, oldest.signal, 0)),
        ]
        m.d.sync += reports.eq(reports + self.completed - (retire & oldest.reported))

        m.d.comb += [
            self.head.valid.eq(waiting.o.valid),
            self.head.lacks.eq(Mux(waiting.o.valid, lacks, 0)),
            self.head.index.eq(Mux(waiting.o.valid, waiting.o.p.index, 0)),
            self.active.valid.eq(flight.o.valid),
            self.active.index.eq(Mux(flight.o.valid, oldest.index, 0)),
        ]
        return m
