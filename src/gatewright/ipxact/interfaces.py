"""The bus interfaces of a machine, recognised among the ports of its top module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gatewright.errors import ConfigError
from gatewright.hdl.outline import PortOutline
from gatewright.hdl.pins import Pins

__all__ = ["BusInterface", "bus_interfaces"]

Kind = Literal["aximm", "clock", "reset", "interrupt"]

_CHANNEL_SIGNALS = {
    "aw": "id addr len size burst lock cache prot qos region user valid ready",
    "w": "id data strb last user valid ready",
    "b": "id resp user valid ready",
    "ar": "id addr len size burst lock cache prot qos region user valid ready",
    "r": "id data resp last user valid ready",
}
_AXI_SIGNALS = frozenset(channel + name for channel, names in _CHANNEL_SIGNALS.items() for name in names.split())
_AXI_PORT = re.compile(r"(?P<interface>\w+)_(?P<signal>[a-z]+)")


@dataclass(frozen=True)
class BusInterface:
    """Ports that tools connect together: `ports` are physical names by logical ones.

    `parameters` are what tools want to know of an interface, in the words that Vivado uses.
    """

    name: str
    kind: Kind
    is_master: bool
    ports: Mapping[str, str]
    parameters: Mapping[str, str | int]

    @property
    def is_memory_mapped_master(self) -> bool:
        return self.kind == "aximm" and self.is_master

    @property
    def is_memory_mapped_slave(self) -> bool:
        return self.kind == "aximm" and not self.is_master


def bus_interfaces(ports: Iterable[PortOutline], pins: Pins) -> tuple[BusInterface, ...]:
    """AXI4 and AXI4-Lite interfaces by the names of their signals, then clock, reset and interrupt.

    Raises
    ------
    ConfigError
        If a pin is not among the ports.
    """
    by_name = {port.name: port for port in ports}
    wanted = [pins.clock, pins.reset, *([pins.interrupt] if pins.interrupt else [])]
    if missing := [name for name in wanted if name not in by_name]:
        raise ConfigError(f"the top module must have the ports {', '.join(wanted)}; {', '.join(missing)} is missing")
    buses = tuple(_axi_interfaces(by_name))
    return (*buses, *_signals(buses, pins))


def _axi_interfaces(ports: Mapping[str, PortOutline]) -> Iterator[BusInterface]:
    found: dict[str, dict[str, PortOutline]] = {}
    for port in ports.values():
        match = _AXI_PORT.fullmatch(port.name)
        if match and match["signal"] in _AXI_SIGNALS:
            found.setdefault(match["interface"], {})[match["signal"]] = port
    for name, signals in found.items():
        is_master = signals["arvalid"].direction == "output"
        parameters = {
            "PROTOCOL": "AXI4" if "arlen" in signals else "AXI4LITE",
            "DATA_WIDTH": signals["rdata"].width,
            "ADDR_WIDTH": signals["araddr"].width,
        }
        yield BusInterface(
            name, "aximm", is_master, {logical.upper(): p.name for logical, p in signals.items()}, parameters
        )


def _signals(buses: tuple[BusInterface, ...], pins: Pins) -> Iterator[BusInterface]:
    names = ":".join(bus.name for bus in buses)
    clocked: dict[str, str | int] = {"ASSOCIATED_BUSIF": names, "ASSOCIATED_RESET": pins.reset}
    yield BusInterface(pins.clock, "clock", False, {"CLK": pins.clock}, clocked)
    polarity: dict[str, str | int] = {"POLARITY": "ACTIVE_LOW" if pins.reset_active_low else "ACTIVE_HIGH"}
    yield BusInterface(pins.reset, "reset", False, {"RST": pins.reset}, polarity)
    if pins.interrupt:
        yield BusInterface(
            pins.interrupt, "interrupt", True, {"INTERRUPT": pins.interrupt}, {"SENSITIVITY": "LEVEL_HIGH"}
        )
