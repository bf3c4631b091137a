"""A first-in first-out queue between two streams."""

from amaranth.hdl import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamQueue"]


class StreamQueue(wiring.Component):
    """Queue of `depth` items (at least 2); an item put into an empty queue comes out one cycle later.

    One item a cycle in and out. `i.ready` and `o.valid` come from registers.
    """

    def __init__(self, shape, depth: int) -> None:
        if depth < 2:
            raise ValueError(f"Depth of a queue must be at least 2, not {depth}")
        self.shape = shape
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        width = Shape.cast(self.shape).width
        m.submodules.storage = storage = memory.Memory(shape=unsigned(width), depth=self.depth, init=[])
        write = storage.write_port()
        read = storage.read_port(domain="comb")
        put = Signal()
        take = Signal()
        m.d.comb += [
            put.eq(self.i.valid & self.i.ready),
            take.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(self.level != self.depth),
            self.o.valid.eq(self.level != 0),
            write.en.eq(put),
            write.data.eq(self.i.payload),
            Value.cast(self.o.payload).eq(read.data),
        ]
        m.d.sync += self.level.eq(self.level + put - take)
        for pointer, step in ((write.addr, put), (read.addr, take)):
            place = Signal(range(self.depth), name="put_place" if step is put else "take_place")
            m.d.comb += pointer.eq(place)
            with m.If(step):
                m.d.sync += place.eq(Mux(place == self.depth - 1, 0, place + 1))
        return m
