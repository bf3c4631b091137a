"""Packages in the words of IEEE 1685-2009 (IP-XACT), which tools import: ports, bus interfaces, registers, files."""

from gatewright.ipxact.interfaces import BusInterface, bus_interfaces
from gatewright.ipxact.package import IpCore, write_ipxact

__all__ = ["BusInterface", "IpCore", "bus_interfaces", "write_ipxact"]
