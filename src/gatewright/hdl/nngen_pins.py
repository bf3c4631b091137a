"""The pins of NNgen's accelerators, and the module that gives them to a machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatewright.hdl.axi import ADDRESS_WIDTH
from gatewright.hdl.names import VERILOG_NAME, is_verilog_name
from gatewright.hdl.pins import Pins

__all__ = ["NngenPins", "Pin", "wrap"]

_LITE_ADDRESS = 16  # address bits of a machine's own register port
_OUTPUTS = {
    "irq": 1,
    **{
        f"m_axi_{channel}{name}": width
        for channel in ("aw", "ar")
        for name, width in (("id", 2), ("prot", 3), ("cache", 4))
    },
}
"""Outputs of a machine that need not have a pin."""
_CACHE, _COHERENT_CACHE = 0b0011, 0b1111
_PROT, _COHERENT_PROT = 0b000, 0b010
_USER, _COHERENT_USER = 0b00, 0b01


@dataclass(frozen=True)
class NngenPins(Pins):
    """The pins of NNgen's accelerators; `maxi_` has no IDs.

    Raises
    ------
    ValueError
        If a name is no Verilog identifier or taken, or a width is not possible.
    """

    clock: str = "CLK"
    reset: str = "RESETN"
    reset_active_low: bool = True
    interrupt: str | None = "irq"
    master: str = "maxi_"
    slave: str = "saxi_"
    data_bits: int = 32
    master_address_bits: int = 32
    slave_address_bits: int = 32
    register_bits: int = 12
    """Address bits that tell registers apart; the slave ignores those above."""
    coherent: bool = False
    """Whether the master asks for coherent transfers."""

    def __post_init__(self) -> None:
        names = [pin.name for pin in self.all()]
        for name in names:
            if not is_verilog_name(name):
                raise ValueError(f"name of a pin must be {VERILOG_NAME}, not {name!r}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"pins must have different names; {', '.join(twice)} is the name of two")
        if not 1 <= self.master_address_bits <= ADDRESS_WIDTH:
            raise ValueError(f"master_address_bits must be 1..{ADDRESS_WIDTH}, not {self.master_address_bits}")
        if not self.register_bits <= self.slave_address_bits <= ADDRESS_WIDTH:
            least = self.register_bits
            raise ValueError(f"slave_address_bits must be {least}..{ADDRESS_WIDTH}, not {self.slave_address_bits}")

    def all(self) -> tuple[Pin, ...]:
        """Every pin, in the order of the module's ports."""
        interrupt = [Pin(self.interrupt, "output", 1, "irq")] if self.interrupt else []
        clocks = [Pin(self.clock, "input", 1, "clk"), Pin(self.reset, "input", 1, "rst")]
        return (*clocks, *interrupt, *self._master(), *self._slave())

    def _master(self) -> Iterator[Pin]:
        """`source` names the machine's own pin; a pin without one is constant, or not looked at."""
        m, data = self.master, self.data_bits
        cache = _COHERENT_CACHE if self.coherent else _CACHE
        prot = _COHERENT_PROT if self.coherent else _PROT
        user = _COHERENT_USER if self.coherent else _USER
        for channel in ("aw", "ar"):
            own = f"m_axi_{channel}"
            yield Pin(f"{m}{channel}addr", "output", self.master_address_bits, f"{own}addr", wide=ADDRESS_WIDTH)
            yield Pin(f"{m}{channel}len", "output", 8, f"{own}len")
            yield Pin(f"{m}{channel}size", "output", 3, f"{own}size")
            yield Pin(f"{m}{channel}burst", "output", 2, f"{own}burst")
            yield Pin(f"{m}{channel}lock", "output", 1, constant=0)
            yield Pin(f"{m}{channel}cache", "output", 4, constant=cache)
            yield Pin(f"{m}{channel}prot", "output", 3, constant=prot)
            yield Pin(f"{m}{channel}qos", "output", 4, constant=0)
            yield Pin(f"{m}{channel}user", "output", 2, constant=user)
            yield from _handshake(m, channel, "output")
            if channel == "aw":
                yield Pin(f"{m}wdata", "output", data, "m_axi_wdata")
                yield Pin(f"{m}wstrb", "output", data // 8, "m_axi_wstrb")
                yield Pin(f"{m}wlast", "output", 1, "m_axi_wlast")
                yield from _handshake(m, "w", "output")
                yield Pin(f"{m}bresp", "input", 2, "m_axi_bresp")
                yield from _handshake(m, "b", "input")
        yield Pin(f"{m}rdata", "input", data, "m_axi_rdata")
        yield Pin(f"{m}rresp", "input", 2, "m_axi_rresp")
        yield Pin(f"{m}rlast", "input", 1, "m_axi_rlast")
        yield from _handshake(m, "r", "input")

    def _slave(self) -> Iterator[Pin]:
        s = self.slave
        for channel in ("aw", "ar"):
            own = f"s_axi_{channel}"
            used = self.register_bits
            yield Pin(
                f"{s}{channel}addr", "input", self.slave_address_bits, f"{own}addr", wide=_LITE_ADDRESS, used=used
            )
            yield Pin(f"{s}{channel}cache", "input", 4)
            yield Pin(f"{s}{channel}prot", "input", 3, f"{own}prot")
            yield from _handshake(s, channel, "input")
            if channel == "aw":
                yield Pin(f"{s}wdata", "input", 32, "s_axi_wdata")
                yield Pin(f"{s}wstrb", "input", 4, "s_axi_wstrb")
                yield from _handshake(s, "w", "input")
                yield Pin(f"{s}bresp", "output", 2, "s_axi_bresp")
                yield from _handshake(s, "b", "output")
        yield Pin(f"{s}rdata", "output", 32, "s_axi_rdata")
        yield Pin(f"{s}rresp", "output", 2, "s_axi_rresp")
        yield from _handshake(s, "r", "output")


@dataclass(frozen=True)
class Pin:
    """One pin: `source` is the machine's own pin behind it, of `wide` bits where they are not as many.

    Of an input, the lower `used` bits reach the machine. An output without `source` is `constant`.
    """

    name: str
    direction: str
    width: int
    source: str = ""
    constant: int = 0
    wide: int = 0
    used: int = 0

    @property
    def is_cut(self) -> bool:
        """An output that is narrower than what the machine has."""
        return self.direction == "output" and self.wide > self.width

    @property
    def value(self) -> str:
        """What an output is assigned, if the machine does not drive it itself."""
        if self.is_cut:
            return f"whole_{self.name}[{self.width - 1}:0]"
        return "" if self.source else f"{self.width}'d{self.constant}"


def _handshake(prefix: str, channel: str, direction: str) -> Iterator[Pin]:
    """VALID of a channel that goes in `direction`, and READY against it."""
    own = "m_axi_" if direction == ("input" if channel in ("b", "r") else "output") else "s_axi_"
    back = "input" if direction == "output" else "output"
    yield Pin(f"{prefix}{channel}valid", direction, 1, f"{own}{channel}valid")
    yield Pin(f"{prefix}{channel}ready", back, 1, f"{own}{channel}ready")


def wrap(pins: NngenPins, name: str, machine: str) -> str:
    """The module `name`: an instance of the module `machine`, which has a machine's own pins, behind these pins."""
    every = pins.all()
    lines = [f"module {name}({', '.join(pin.name for pin in every)});"]
    lines += [f"  {pin.direction} {_range(pin.width)}{pin.name};" for pin in every]
    lines += [f"  wire {_range(pin.wide)}whole_{pin.name};" for pin in every if pin.is_cut]
    without = {name: width for name, width in _OUTPUTS.items() if name not in {pin.source for pin in every}}
    lines += [f"  wire {_range(width)}unused_{name};" for name, width in without.items()]
    lines += [f"  assign {pin.name} = {pin.value};" for pin in every if pin.direction == "output" and pin.value]
    connections = [f"    .{pin.source}({_connection(pin, pins)})" for pin in every if pin.source]
    connections += ["    .m_axi_bid(2'd0)", "    .m_axi_rid(2'd0)"]
    connections += [f"    .{name}(unused_{name})" for name in without]
    return "\n".join([*lines, f"  {machine} machine (", ",\n".join(connections), "  );", "endmodule", ""])


def _connection(pin: Pin, pins: NngenPins) -> str:
    if pin.is_cut:
        return f"whole_{pin.name}"
    if pin.used:
        return f"{{{pin.wide - pin.used}'d0, {pin.name}[{pin.used - 1}:0]}}"
    return f"!{pin.name}" if pin.source == "rst" and pins.reset_active_low else pin.name


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
