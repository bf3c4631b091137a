"""AXI4 and AXI4-Lite: signatures, and the components that stand directly at the pins.

No output of these components depends on an input of the same cycle, as the standard demands.
"""

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "ADDRESS_WIDTH",
    "BURST",
    "BURST_BEATS",
    "Axi4",
    "Axi4Lite",
    "AxiLiteTarget",
    "Beat",
    "ReadChannel",
    "RegisterBus",
    "RequestRegister",
    "WriteBeat",
]

ADDRESS_WIDTH = 64
ID_WIDTH = 2
BURST_BEATS = 64
"""Longest burst of a machine that says nothing else. They end at multiples of it, so that none crosses 4 KiB."""

BURST = data.StructLayout({"address": unsigned(ADDRESS_WIDTH), "length": unsigned(8)})
"""A request on its way to AR or AW: address of the first beat (a multiple of the bus's bytes) and beats minus 1."""

INCREMENTING = 0b01
CACHE = 0b0011  # modifiable, bufferable: what memory controllers like
SLVERR = 0b10


def Beat(bus_bits: int) -> data.StructLayout:
    """One beat of read data."""
    return data.StructLayout({"data": unsigned(bus_bits), "error": unsigned(1), "last": unsigned(1)})


def WriteBeat(bus_bits: int) -> data.StructLayout:
    """One beat of write data; `strb` has a bit for each byte."""
    return data.StructLayout({"data": unsigned(bus_bits), "strb": unsigned(bus_bits // 8), "last": unsigned(1)})


def _channel(**members) -> wiring.Signature:
    return wiring.Signature({name: Out(shape) for name, shape in members.items()} | {"valid": Out(1), "ready": In(1)})


def _address_channel() -> wiring.Signature:
    return _channel(id=ID_WIDTH, addr=ADDRESS_WIDTH, len=8, size=3, burst=2, prot=3, cache=4)


class Axi4(wiring.Signature):
    """AXI4 as its master sees it: 64-bit addresses, 2-bit IDs, no locks, regions or quality of service."""

    def __init__(self, bus_bits: int) -> None:
        if bus_bits not in (32, 64, 128, 256):
            raise ValueError(f"AXI4 data must be 32, 64, 128 or 256 bits wide, not {bus_bits}")
        self.bus_bits = bus_bits
        super().__init__(
            {
                "aw": Out(_address_channel()),
                "w": Out(_channel(data=bus_bits, strb=bus_bits // 8, last=1)),
                "b": In(_channel(id=ID_WIDTH, resp=2)),
                "ar": Out(_address_channel()),
                "r": In(_channel(id=ID_WIDTH, data=bus_bits, resp=2, last=1)),
            }
        )


class Axi4Lite(wiring.Signature):
    """AXI4-Lite as its master sees it: 32-bit data."""

    def __init__(self, address_width: int = 16) -> None:
        self.address_width = address_width
        super().__init__(
            {
                "aw": Out(_channel(addr=address_width, prot=3)),
                "w": Out(_channel(data=32, strb=4)),
                "b": In(_channel(resp=2)),
                "ar": Out(_channel(addr=address_width, prot=3)),
                "r": In(_channel(data=32, resp=2)),
            }
        )


class RequestRegister(wiring.Component):
    """Registers requests in front of an address channel (AR or AW), one a cycle.

    Each request comes with the ID it goes out with. A request accepted in cycle t is at the pins in cycle t + 1.
    """

    def __init__(self, bus_bits: int) -> None:
        self.bus_bits = bus_bits
        super().__init__(
            {
                "requests": In(stream.Signature(BURST)),
                "request_id": In(ID_WIDTH),
                "channel": Out(_address_channel()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        request = self.requests.p
        address = Signal(ADDRESS_WIDTH, reset_less=True)
        length = Signal(8, reset_less=True)
        identity = Signal(ID_WIDTH, reset_less=True)
        m.d.comb += [
            self.channel.addr.eq(address),
            self.channel.len.eq(length),
            self.channel.id.eq(identity),
            self.requests.ready.eq(~self.channel.valid | self.channel.ready),
            self.channel.size.eq((self.bus_bits // 8).bit_length() - 1),
            self.channel.burst.eq(INCREMENTING),
            self.channel.cache.eq(CACHE),
        ]
        with m.If(self.requests.ready):
            m.d.sync += [
                self.channel.valid.eq(self.requests.valid),
                address.eq(request.address),
                length.eq(request.length),
                identity.eq(self.request_id),
            ]
        return m


class ReadChannel(wiring.Component):
    """Lets several readers share AR and R.

    Reader n has ID n; a lower one has priority at AR. Beats go to the reader of their ID. R stops while any reader is
    not ready, whoever the beat is for: then `rready` depends on registers alone.
    """

    def __init__(self, bus_bits: int, readers: int) -> None:
        self.bus_bits = bus_bits
        self.readers = readers
        axi = Axi4(bus_bits)
        super().__init__(
            {
                "requests": In(stream.Signature(BURST)).array(readers),
                "beats": Out(stream.Signature(Beat(bus_bits))).array(readers),
                "ar": axi.members["ar"],
                "r": axi.members["r"],
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.request = register = RequestRegister(self.bus_bits)
        wiring.connect(m, register.channel, wiring.flipped(self.ar))
        for reader in reversed(range(self.readers)):  # the last assignment wins: the lowest reader
            with m.If(self.requests[reader].valid):
                m.d.comb += [
                    register.requests.p.eq(self.requests[reader].p),
                    register.request_id.eq(reader),
                    register.requests.valid.eq(1),
                ]
        for reader in range(self.readers):
            others = Cat(self.requests[lower].valid for lower in range(reader))
            m.d.comb += self.requests[reader].ready.eq(register.requests.ready & ~others.any())

        m.d.comb += self.r.ready.eq(Cat(beats.ready for beats in self.beats).all())
        for reader, beats in enumerate(self.beats):
            m.d.comb += [
                beats.valid.eq(self.r.valid & self.r.ready & (self.r.id == reader)),
                beats.p.data.eq(self.r.data),
                beats.p.error.eq(self.r.resp[1]),
                beats.p.last.eq(self.r.last),
            ]
        return m


class RegisterBus(wiring.Signature):
    """Accesses to registers, as their master sees them; each takes one cycle and is never refused.

    `read_data` and `read_error` belong to the `read` of the cycle before and stay until the next; `write_error` to the
    `write` of the same cycle. Addresses count words of 32 bits.
    """

    def __init__(self, address_width: int = 14) -> None:
        super().__init__(
            {
                "write": Out(1),
                "write_address": Out(address_width),
                "write_data": Out(32),
                "write_error": In(1),
                "read": Out(1),
                "read_address": Out(address_width),
                "read_data": In(32),
                "read_error": In(1),
            }
        )


class AxiLiteTarget(wiring.Component):
    """AXI4-Lite slave in front of a register bus; one access of each kind at a time.

    A write reaches the registers one cycle after the later of AW and W was accepted, a read one cycle after AR.
    `prot` is ignored. An error of the register bus is answered with SLVERR, as is a write of less than a whole word,
    which has no effect.
    """

    def __init__(self, address_width: int = 16) -> None:
        self.address_width = address_width
        super().__init__(
            {
                "axi": In(Axi4Lite(address_width)),
                "registers": Out(RegisterBus(address_width - 2)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        axi, registers = self.axi, self.registers

        address_held, data_held, whole, failed = Signal(), Signal(), Signal(), Signal()
        complete = address_held & data_held & ~axi.b.valid
        m.d.comb += [
            axi.aw.ready.eq(~address_held),
            axi.w.ready.eq(~data_held),
            axi.b.resp.eq(Mux(failed, SLVERR, 0)),
            registers.write.eq(complete & whole),
        ]
        with m.If(axi.aw.valid & axi.aw.ready):
            m.d.sync += [address_held.eq(1), registers.write_address.eq(axi.aw.addr[2:])]
        with m.If(axi.w.valid & axi.w.ready):
            m.d.sync += [data_held.eq(1), registers.write_data.eq(axi.w.data), whole.eq(axi.w.strb.all())]
        with m.If(complete):
            m.d.sync += [axi.b.valid.eq(1), failed.eq(registers.write_error | ~whole)]
            m.d.sync += [address_held.eq(0), data_held.eq(0)]
        with m.Elif(axi.b.ready):
            m.d.sync += axi.b.valid.eq(0)

        m.d.comb += [
            axi.ar.ready.eq(~registers.read & ~axi.r.valid),
            axi.r.data.eq(registers.read_data),
            axi.r.resp.eq(Mux(registers.read_error, SLVERR, 0)),
        ]
        m.d.sync += registers.read.eq(axi.ar.valid & axi.ar.ready)
        with m.If(axi.ar.valid & axi.ar.ready):
            m.d.sync += registers.read_address.eq(axi.ar.addr[2:])
        with m.If(registers.read):
            m.d.sync += axi.r.valid.eq(1)
        with m.Elif(axi.r.ready):
            m.d.sync += axi.r.valid.eq(0)
        return m
