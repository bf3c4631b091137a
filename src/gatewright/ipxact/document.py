"""`component.xml`: a machine in the words of IEEE 1685-2009 (IP-XACT), which tools import.

The order of elements is that of the standard's schema. What only Vivado reads stands in `vendorExtensions` at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from gatewright.hdl.csr_map import Access, Field, Register, RegisterMap
from gatewright.hdl.outline import PortOutline
from gatewright.ipxact.interfaces import BusInterface

__all__ = ["NAMESPACE", "Component", "component_xml"]

NAMESPACE = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
_XILINX = "http://www.xilinx.com"
_VERILOG_VIEWS = ("xilinx_anylanguagesynthesis", "xilinx_anylanguagebehavioralsimulation")
_GUI_VIEW = "xilinx_xpgui"
_FAMILIES = (
    *("artix7", "kintex7", "virtex7", "zynq", "kintexu", "virtexu"),
    *("kintexuplus", "virtexuplus", "zynquplus", "versal"),
)
_DIRECTIONS = {"input": "in", "output": "out", "inout": "inout"}
_ACCESS = {
    Access.READ: "read-only",
    Access.READ_WRITE: "read-write",
    Access.COMMAND: "write-only",
    Access.CLEAR: "read-write",
    Access.REQUEST: "read-write",
}


@dataclass(frozen=True)
class Component:
    """What there is to say of a machine: `verilog` and `gui` are files relative to the document."""

    name: str
    top: str
    version: str
    description: str
    ports: tuple[PortOutline, ...]
    interfaces: tuple[BusInterface, ...]
    registers: RegisterMap
    verilog: str
    gui: str

    @property
    def register_bytes(self) -> int:
        """Size of the register space: a power of two, of 4 KiB at least."""
        last = max(offset for register in self.registers for offset in register.offsets())
        return max(4096, 1 << (last + 3).bit_length())


class _Writer:
    """Appends elements in the standard's namespace to one element."""

    def __init__(self, element: ElementTree.Element) -> None:
        self.element = element

    def add(self, tag: str, text: object = None, namespace: str = NAMESPACE, **attributes: str) -> _Writer:
        """A new element at the end; a truth value is written as XML does."""
        named = {f"{{{namespace}}}{name}": value for name, value in attributes.items()}
        child = ElementTree.SubElement(self.element, f"{{{namespace}}}{tag}", named)
        if text is not None:
            child.text = str(text).lower() if isinstance(text, bool) else str(text)
        return _Writer(child)

    def add_all(self, values: Mapping[str, object]) -> None:
        for tag, text in values.items():
            self.add(tag, text)


def component_xml(component: Component) -> str:
    """The document; the same for the same component."""
    ElementTree.register_namespace("spirit", NAMESPACE)
    ElementTree.register_namespace("xilinx", _XILINX)
    root = ElementTree.Element(f"{{{NAMESPACE}}}component")
    writer = _Writer(root)
    writer.add_all({"vendor": "gatewright", "library": "user", "name": component.name, "version": component.version})
    _write_interfaces(writer.add("busInterfaces"), component)
    _write_address_spaces(writer, component)
    _write_registers(writer.add("memoryMaps"), component)
    _write_model(writer.add("model"), component)
    _write_file_sets(writer.add("fileSets"), component)
    writer.add("description", component.description)
    parameter = writer.add("parameters").add("parameter")
    parameter.add("name", "Component_Name")
    parameter.add("value", f"{component.name}_v{component.version.replace('.', '_')}", id="PARAM_VALUE.Component_Name")
    _write_vendor(writer.add("vendorExtensions"), component)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _write_interfaces(writer: _Writer, component: Component) -> None:
    for interface in component.interfaces:
        library = {"vendor": "xilinx.com", "library": "interface" if interface.kind == "aximm" else "signal"}
        bus = writer.add("busInterface")
        bus.add("name", interface.name)
        bus.add("busType", **library, name=interface.kind, version="1.0")
        bus.add("abstractionType", **library, name=f"{interface.kind}_rtl", version="1.0")
        mode = bus.add("master" if interface.is_master else "slave")
        if interface.is_memory_mapped_master:
            mode.add("addressSpaceRef", addressSpaceRef=interface.name)
        if interface.is_memory_mapped_slave:
            mode.add("memoryMapRef", memoryMapRef=interface.name)
        maps = bus.add("portMaps")
        for logical, physical in interface.ports.items():
            pair = maps.add("portMap")
            pair.add("logicalPort").add("name", logical)
            pair.add("physicalPort").add("name", physical)
        parameters = bus.add("parameters")
        for name, value in interface.parameters.items():
            parameter = parameters.add("parameter")
            parameter.add("name", name)
            parameter.add("value", value, id=f"BUSIFPARAM_VALUE.{interface.name.upper()}.{name}")


def _write_address_spaces(writer: _Writer, component: Component) -> None:
    masters = [interface for interface in component.interfaces if interface.is_memory_mapped_master]
    spaces = writer.add("addressSpaces")
    for interface in masters:
        space = spaces.add("addressSpace")
        space.add("name", interface.name)
        space.add("range", 1 << int(interface.parameters["ADDR_WIDTH"]), format="long")
        space.add("width", interface.parameters["DATA_WIDTH"], format="long")


def _write_registers(writer: _Writer, component: Component) -> None:
    for interface in component.interfaces:
        if interface.is_memory_mapped_slave:
            memory_map = writer.add("memoryMap")
            memory_map.add("name", interface.name)
            block = memory_map.add("addressBlock")
            block.add("name", "registers")
            block.add("baseAddress", 0, format="long")
            block.add("range", component.register_bytes, format="long")
            block.add("width", interface.parameters["DATA_WIDTH"], format="long")
            block.add("usage", "register")
            for register in component.registers:
                for name, offset, count in _elements(register):
                    _write_register(block.add("register"), register, name, offset, count)


def _elements(register: Register) -> Iterator[tuple[str, int, int]]:
    """Name, offset and count: an array whose elements do not follow each other is written one by one."""
    if register.count == 1 or register.stride == 4:
        yield register.name, register.offset, register.count
    else:
        for index, offset in enumerate(register.offsets()):
            yield f"{register.name}_{index}", offset, 1


def _write_register(writer: _Writer, register: Register, name: str, offset: int, count: int) -> None:
    writer.add("name", name)
    writer.add("description", register.description)
    if count > 1:
        writer.add("dim", count)
    writer.add("addressOffset", hex(offset))
    writer.add("size", 32, format="long")
    writer.add("volatile", register.access is not Access.READ_WRITE)
    writer.add("access", _ACCESS[register.access])
    for field in _fields(register):
        entry = writer.add("field")
        entry.add("name", field.name)
        entry.add("description", field.description)
        entry.add("bitOffset", field.low)
        entry.add("bitWidth", field.width, format="long")
        entry.add("access", _ACCESS[register.access])
        if register.access is Access.CLEAR:
            entry.add("modifiedWriteValue", "oneToClear")
        if register.access is Access.REQUEST:
            entry.add("modifiedWriteValue", "oneToSet")


def _fields(register: Register) -> Iterable[Field]:
    return register.fields or (Field("value", 0, register.width, register.description),)


def _write_model(writer: _Writer, component: Component) -> None:
    views = writer.add("views")
    for name in (*_VERILOG_VIEWS, _GUI_VIEW):
        view = views.add("view")
        view.add("name", name)
        purpose = {"xilinx_anylanguagesynthesis": "synthesis", _GUI_VIEW: "xgui.ui"}.get(name, "simulation")
        view.add("envIdentifier", f":vivado.xilinx.com:{purpose}")
        if name != _GUI_VIEW:
            view.add("language", "verilog")
            view.add("modelName", component.top)
        view.add("fileSetRef").add("localName", f"{name}_view_fileset")
    ports = writer.add("ports")
    for port in component.ports:
        entry = ports.add("port")
        entry.add("name", port.name)
        wire = entry.add("wire")
        wire.add("direction", _DIRECTIONS[port.direction])
        if port.width > 1:
            vector = wire.add("vector")
            vector.add("left", port.width - 1, format="long")
            vector.add("right", 0, format="long")
        types = wire.add("wireTypeDefs").add("wireTypeDef")
        types.add("typeName", "wire")
        for name in _VERILOG_VIEWS:
            types.add("viewNameRef", name)


def _write_file_sets(writer: _Writer, component: Component) -> None:
    files = {**dict.fromkeys(_VERILOG_VIEWS, component.verilog), _GUI_VIEW: component.gui}
    for view, path in files.items():
        file_set = writer.add("fileSet")
        file_set.add("name", f"{view}_view_fileset")
        file = file_set.add("file")
        file.add("name", path)
        file.add("fileType", "tclSource" if path == component.gui else "verilogSource")
        if path == component.gui:
            file.add("userFileType", "XGUI_VERSION_2")


def _write_vendor(writer: _Writer, component: Component) -> None:
    """What Vivado wants beside the standard: the device families, a place in the catalogue, a title."""
    core = writer.add("coreExtensions", namespace=_XILINX)
    families = core.add("supportedFamilies", namespace=_XILINX)
    for family in _FAMILIES:
        families.add("family", family, namespace=_XILINX, lifeCycle="Production")
    core.add("taxonomies", namespace=_XILINX).add("taxonomy", "/UserIP", namespace=_XILINX)
    core.add("displayName", re.sub(r"_+", " ", component.name), namespace=_XILINX)
    core.add("definitionSource", "package_project", namespace=_XILINX)
    core.add("coreRevision", 1, namespace=_XILINX)
