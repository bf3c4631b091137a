"""Storage between two streams: for timing (registers) and for slack (a deep queue in block RAM).

`stream_queue.StreamQueue` is the queue of a few items. All of these keep the order, lose nothing and pass an item a
cycle.
"""

from amaranth.hdl import *
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DeepQueue", "PipelineRegister", "SkidBuffer"]


class PipelineRegister(wiring.Component):
    """One register for `valid` and `payload`; latency 1.

    `i.ready` depends on `o.ready` of the same cycle: a row of these is a pipeline that stops as a whole.
    """

    latency = 1

    def __init__(self, shape) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m


class SkidBuffer(wiring.Component):
    """Registers in both directions, `i.ready` included, so that no path leads through; latency 1.

    The item that arrives while the output is held waits in a second register.
    """

    latency = 1

    def __init__(self, shape) -> None:
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        spare = Signal(self.shape)
        spare_valid = Signal()
        m.d.comb += self.i.ready.eq(~spare_valid)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [
                self.o.valid.eq(self.i.valid | spare_valid),
                self.o.payload.eq(Mux(spare_valid, spare, self.i.payload)),
                spare_valid.eq(0),
            ]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [spare.eq(self.i.payload), spare_valid.eq(1)]
        return m


class DeepQueue(wiring.Component):
    """Queue of `depth` items in block RAM; an item put into an empty queue comes out `latency` cycles later."""

    latency = 2

    def __init__(self, shape, depth: int) -> None:
        if depth < 2:
            raise ValueError(f"Depth of a queue must be at least 2, not {depth}")
        self.shape = shape
        self.depth = depth
        signature = stream.Signature(shape)
        super().__init__({"i": In(signature), "o": Out(signature), "level": Out(range(depth + 1))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=Shape.cast(self.shape).width, depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Value.cast(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.level.eq(queue.level),
        ]
        return m
