"""A machine as small as one can be: it copies words from one place of the memory to another."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

BURST = 8

CHANNELS = {
    "ar": {"id": 2, "addr": 64, "len": 8, "size": 3, "burst": 2},
    "aw": {"id": 2, "addr": 64, "len": 8, "size": 3, "burst": 2},
    "w": {"data": 64, "strb": 8, "last": 1},
    "r": {"id": 2, "data": 64, "resp": 2, "last": 1},
    "b": {"id": 2, "resp": 2},
}
LITE_CHANNELS = {
    "ar": {"addr": 16},
    "aw": {"addr": 16},
    "w": {"data": 32, "strb": 4},
    "r": {"data": 32, "resp": 2},
    "b": {"resp": 2},
}


def axi(channels, data_width=64):
    members = {}
    for name, payload in channels.items():
        sizes = {key: {"data": data_width, "strb": data_width // 8}.get(key, size) for key, size in payload.items()}
        signals = {key: Out(size) for key, size in sizes.items()} | {"valid": Out(1), "ready": In(1)}
        members[name] = (In if name in "rb" else Out)(wiring.Signature(signals))
    return wiring.Signature(members)


class CopyMachine(wiring.Component):
    """Copy `length` bursts from `source` to `target` (registers 0, 4, 8); writing 12 starts, or clears when done.

    Register 12 reads as done, and error. Bursts of even and odd number go under different IDs through queues of their
    own.
    """

    def __init__(self, data_width=64):
        self.data_width = data_width
        super().__init__(
            {
                "m_axi": Out(axi(CHANNELS, data_width)),
                "s_axi": In(axi(LITE_CHANNELS, 32)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for name in ("source", "target", "length"):
            setattr(self, name, Signal(32, name=name))
        for name in ("start", "done", "error", "active"):
            setattr(self, name, Signal(name=name))
        self.registers(m)
        self.queues = [fifo.SyncFIFOBuffered(width=self.data_width, depth=2 * BURST) for _ in range(2)]
        for index, queue in enumerate(self.queues):
            m.submodules[f"queue_{index}"] = queue
        self.read_side(m)
        self.write_side(m)
        m.d.comb += self.irq.eq(self.done)
        return m

    def registers(self, m):
        bus = self.s_axi
        m.d.comb += [
            bus.ar.ready.eq(~bus.r.valid),
            bus.aw.ready.eq(bus.aw.valid & bus.w.valid & ~bus.b.valid),
            bus.w.ready.eq(bus.aw.ready),
        ]
        with m.If(bus.r.valid & bus.r.ready):
            m.d.sync += bus.r.valid.eq(0)
        with m.If(bus.ar.valid & bus.ar.ready):
            known = Cat(self.done, self.error)
            values = (self.source, self.target, self.length, known)
            m.d.sync += bus.r.valid.eq(1)
            with m.Switch(bus.ar.addr[2:4]):
                for index, value in enumerate(values):
                    with m.Case(index):
                        m.d.sync += bus.r.data.eq(value)
        with m.If(bus.b.valid & bus.b.ready):
            m.d.sync += bus.b.valid.eq(0)
        m.d.sync += self.start.eq(0)
        with m.If(bus.w.valid & bus.w.ready):
            m.d.sync += [bus.b.valid.eq(1), bus.b.resp.eq(0)]
            with m.Switch(bus.aw.addr[2:]):
                for index, register in enumerate((self.source, self.target, self.length)):
                    with m.Case(index):
                        m.d.sync += register.eq(bus.w.data)
                with m.Case(3):
                    m.d.sync += [self.start.eq(~self.done), self.done.eq(0), self.error.eq(0)]
                with m.Default():
                    m.d.sync += bus.b.resp.eq(2)

    def read_side(self, m):
        ar, r = self.m_axi.ar, self.m_axi.r
        word = self.data_width // 8
        asked = Signal(32)
        free = [Signal(range(3), init=2, name=f"free_{index}") for index in range(2)]
        m.d.comb += [ar.len.eq(BURST - 1), ar.size.eq(word.bit_length() - 1), ar.burst.eq(1)]
        with m.If(self.start):
            m.d.sync += [asked.eq(0), self.active.eq(1)]
        with m.If(ar.ready):
            m.d.sync += ar.valid.eq(0)
        may_ask = self.active & (asked != self.length) & (~ar.valid | ar.ready)
        self.returned = [Signal(name=f"returned_{index}") for index in range(2)]
        for index, (count, returned) in enumerate(zip(free, self.returned, strict=True)):
            asks = may_ask & (asked[0] == index) & (count != 0)
            with m.If(asks):
                m.d.sync += [ar.valid.eq(1), ar.id.eq(index + 1), asked.eq(asked + 1)]
                m.d.sync += ar.addr.eq(self.source + asked * (BURST * word))
            m.d.sync += count.eq(count + returned - asks)
        m.d.comb += r.ready.eq(1)
        for index, queue in enumerate(self.queues):
            m.d.comb += [queue.w_data.eq(r.data), queue.w_en.eq(r.valid & (r.id == index + 1))]
        with m.If(r.valid & r.resp[1]):
            m.d.sync += self.error.eq(1)

    def write_side(self, m):
        aw, w, b = self.m_axi.aw, self.m_axi.w, self.m_axi.b
        word = self.data_width // 8
        sent, beat, answered = Signal(32), Signal(range(BURST)), Signal(32)
        streaming = Signal()
        m.d.comb += [aw.len.eq(BURST - 1), aw.size.eq(word.bit_length() - 1), aw.burst.eq(1), b.ready.eq(1)]
        m.d.comb += w.strb.eq(~0)
        with m.If(self.start):
            m.d.sync += [sent.eq(0), answered.eq(0)]
        with m.If(aw.ready):
            m.d.sync += aw.valid.eq(0)
        for index, queue in enumerate(self.queues):
            mine = sent[0] == index
            with m.If(mine & self.active & ~streaming & ~aw.valid & (queue.r_level >= BURST)):
                m.d.sync += [streaming.eq(1), aw.valid.eq(1), aw.id.eq(index)]
                m.d.sync += aw.addr.eq(self.target + sent * (BURST * word))
            with m.If(mine & streaming):
                m.d.comb += [w.valid.eq(1), w.data.eq(queue.r_data), w.last.eq(beat == BURST - 1)]
                m.d.comb += queue.r_en.eq(w.ready)
                with m.If(w.ready):
                    m.d.sync += beat.eq(beat + 1)
                    with m.If(w.last):
                        m.d.sync += [streaming.eq(0), sent.eq(sent + 1)]
                        m.d.comb += self.returned[index].eq(1)
        with m.If(b.valid):
            m.d.sync += answered.eq(answered + 1)
            with m.If(b.resp[1]):
                m.d.sync += self.error.eq(1)
            with m.If(answered + 1 == self.length):
                m.d.sync += [self.active.eq(0), self.done.eq(1)]


class FaultyMachine(wiring.Component):
    """A copy machine that breaks one rule of its interfaces, named by `fault`, at its pins."""

    def __init__(self, fault):
        self.fault = fault
        self.machine = CopyMachine()
        super().__init__(self.machine.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.machine = inner = self.machine
        wiring.connect(m, wiring.flipped(self.m_axi), inner.m_axi)
        wiring.connect(m, wiring.flipped(self.s_axi), inner.s_axi)
        m.d.comb += self.irq.eq(inner.irq)
        count = Signal(6)
        m.d.sync += count.eq(count + 1)
        bus, lite = self.m_axi, self.s_axi
        m.d.comb += {
            "ar_falls": gate(bus.ar, inner.m_axi.ar, count[0]),
            "aw_falls": gate(bus.aw, inner.m_axi.aw, count[0]),
            "w_falls": gate(bus.w, inner.m_axi.w, count[0]),
            "lite_r_falls": gate(lite.r, inner.s_axi.r, count[0]),
            "lite_b_falls": gate(lite.b, inner.s_axi.b, count[0]),
            "ar_changes": [bus.ar.addr.eq(0x8000_0000 + (count << 10))],
            "w_changes": [bus.w.data.eq(count)],
            "lite_r_changes": [lite.r.data.eq(count)],
            "no_last": [bus.w.last.eq(0)],
            "always_last": [bus.w.last.eq(1)],
            "fixed_burst": [bus.ar.burst.eq(0)],
            "narrow": [bus.aw.size.eq(1)],
            "crosses": [bus.ar.len.eq(255), bus.ar.addr.eq(0x8000_0F00)],
            "stray_strobe": [bus.aw.addr.eq(0x8000_1003)],
            "looks_at_ready": [bus.w.data.eq(inner.m_axi.w.data + bus.w.ready)],
            "waits_for_ready": [bus.ar.valid.eq(inner.m_axi.ar.valid & bus.ar.ready)],
            "stray_read_answer": [lite.r.valid.eq(inner.s_axi.r.valid | (count == 63))],
            "stray_write_answer": [lite.b.valid.eq(inner.s_axi.b.valid | (count == 63))],
            "exokay": [lite.r.resp.eq(1)],
            "valid_in_reset": [bus.aw.valid.eq(1)],
            "silent": [lite.ar.ready.eq(0), inner.s_axi.ar.valid.eq(0)],
        }[self.fault]
        return m


def gate(outer, inner, gate):
    """Let a channel through only while `gate`, for both sides, though its VALID may have been up before."""
    return [outer.valid.eq(inner.valid & gate), inner.ready.eq(outer.ready & gate)]
