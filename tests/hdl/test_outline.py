"""What is read out of Verilog is what went into it."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatewright.errors import ConfigError
from gatewright.hdl import emit_verilog
from gatewright.hdl.outline import MemoryOutline, Outline, PortOutline
from gatewright.targets import get_target
from gatewright.verilog import machine_verilog


class Store(wiring.Component):
    """Six words, written in turn."""

    def __init__(self) -> None:
        super().__init__({"data": In(5), "address": In(3), "found": Out(5)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.words = words = Memory(shape=5, depth=6, init=[])
        write, read = words.write_port(), words.read_port()
        place = Signal(3)
        m.d.sync += place.eq(place + 1)
        m.d.comb += [write.addr.eq(place), write.en.eq(1), write.data.eq(self.data)]
        m.d.comb += [read.addr.eq(self.address), read.en.eq(1), self.found.eq(read.data)]
        return m


class Pair(wiring.Component):
    """Two of them, so that one module is built twice."""

    def __init__(self) -> None:
        super().__init__({"data": In(5), "address": In(3), "found": Out(10)})

    def elaborate(self, platform) -> Module:
        m = Module()
        for index in range(2):
            store = Store()
            m.submodules[f"store_{index}"] = store
            m.d.comb += [store.data.eq(self.data), store.address.eq(self.address)]
            m.d.comb += self.found.word_select(index, 5).eq(store.found)
        return m


def test_ports_and_memories():
    outline = Outline(emit_verilog(Pair(), "pair"))
    assert set(outline.module("pair").ports) == {
        PortOutline("clk", "input", 1),
        PortOutline("rst", "input", 1),
        PortOutline("data", "input", 5),
        PortOutline("address", "input", 3),
        PortOutline("found", "output", 10),
    }
    found = outline.memories("pair")
    assert {memory.path.split(".")[0] for memory in found} == {"store_0", "store_1"}
    assert {(memory.width, memory.depth) for memory in found} == {(5, 6)}
    assert outline.module("pair").memories == ()


def test_all_memories_of_a_machine_are_found():
    """The compiler's own count is taken from the design before emission."""
    machine = get_target("systolic")
    config = machine.parse_config({})
    found = Outline(machine_verilog(machine, config)).memories(machine.top)
    assert sum(memory.bits for memory in found) // 8 == machine.memory_bytes(config)


def test_names_that_need_a_backslash():
    text = "module top(clk, \\a.b );\n  input clk;\n  wire clk;\n  output signed [7:0] \\a.b ;\n"
    text += "  reg [3:0] \\m [0]  [15:0];\n  part \\p[1]  (\n    .x(clk)\n  );\nendmodule\n\nmodule bare;\nendmodule\n"
    module = Outline(text).module("top")
    assert module.ports == (PortOutline("clk", "input", 1), PortOutline("a.b", "output", 8))
    assert module.memories == ()
    assert module.instances == (("part", "p[1]"),)
    assert Outline(text).module("bare").ports == ()


def test_memories_of_one_bit():
    text = "module top(clk);\n  input clk;\n  reg flags [7:0];\nendmodule\n"
    assert Outline(text).memories("top") == (MemoryOutline("flags", 1, 8),)


def test_a_module_that_is_not_there():
    with pytest.raises(ConfigError, match="the Verilog must have a module 'other'; it has top"):
        Outline("module top(clk);\n  input clk;\nendmodule\n").module("other")
