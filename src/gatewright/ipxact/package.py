"""The package of a machine on disk: `component.xml` and the files that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewright.hdl.csr_map import RegisterMap
from gatewright.hdl.outline import Outline
from gatewright.hdl.pins import Pins
from gatewright.ipxact.document import Component, component_xml
from gatewright.ipxact.interfaces import bus_interfaces

__all__ = ["VERSION", "IpCore", "write_ipxact"]

VERSION = "1.0"
_GUI_FILE = "xgui/xgui.tcl"
_GUI = """# The machine has no parameters: its network is part of it.
proc init_gui { IPINST } {
  ipgui::add_param $IPINST -name "Component_Name"
  ipgui::add_page $IPINST -name "Page 0"
}
"""


@dataclass(frozen=True)
class IpCore:
    """A machine to be packaged: its Verilog with the module `top`, its registers, and the pins that are no bus."""

    name: str
    top: str
    verilog: str
    registers: RegisterMap
    pins: Pins
    description: str

    def component(self) -> Component:
        ports = Outline(self.verilog).module(self.top).ports
        return Component(
            self.name,
            self.top,
            VERSION,
            self.description,
            ports,
            bus_interfaces(ports, self.pins),
            self.registers,
            f"hdl/{self.top}.v",
            _GUI_FILE,
        )


def write_ipxact(core: IpCore, folder: Path | str) -> Path:
    """Write the package into a folder, which is made if need be; files of the same names are replaced."""
    folder, component = Path(folder), core.component()
    contents = {"component.xml": component_xml(component), component.verilog: core.verilog, component.gui: _GUI}
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
