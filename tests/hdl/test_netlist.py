"""The steps taken one by one instead of Amaranth's converter give its text, but for memories."""

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl import emit_verilog, synthesise
from gatewright.hdl.netlist import component_ports, one_of_many, to_rtlil
from gatewright.hdl.outline import Outline
from gatewright.hdl.shell_control import RunControl


class Storage(wiring.Component):
    """A memory that starts as zeroes, and a ROM."""

    address: In(6)
    value: In(32)
    stored: Out(32)
    constant: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.scratch = scratch = memory.Memory(shape=32, depth=64, init=[])
        m.submodules.rom = rom = memory.Memory(shape=32, depth=64, init=[3 * index for index in range(64)])
        write = scratch.write_port()
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.value), write.en.eq(1)]
        for source, target in ((scratch, self.stored), (rom, self.constant)):
            read = source.read_port()
            m.d.comb += [read.addr.eq(self.address), target.eq(read.data)]
        return m


def ports_of(component):
    return {"_".join(map(str, path)): signal for path, signal in component_ports(component)}


def converted(component):
    text = rtlil.convert(component, "top", ports=ports_of(component), emit_src=False)
    return text.replace("attribute \\top 1\n", "")


def contents(text):
    """What cells write into memories at the start, and the lines of the text that say nothing about it."""
    lines = text.splitlines()
    places = [
        index
        for index, line in enumerate(lines)
        if line.startswith("    connect \\DATA ") and any("$meminit_v2" in above for above in lines[index - 9 : index])
    ]
    return [lines[index] for index in places], [line for index, line in enumerate(lines) if index not in places]


def test_without_memories_the_text_is_amaranths():
    component = RunControl()
    assert to_rtlil(component, ports_of(component), "top") == converted(component)


def test_memories_that_are_written_lose_their_zeroes_and_roms_keep_their_contents():
    component = Storage()
    ours, rest = contents(to_rtlil(component, ports_of(component), "top"))
    theirs, same = contents(converted(component))
    assert rest == same
    words = "".join(f"{3 * index:032b}" for index in reversed(range(64)))
    assert sorted(ours) == sorted(["    connect \\DATA {  }", f"    connect \\DATA 2048'{words}"])
    assert len(theirs) == 2
    assert f"    connect \\DATA 2048'{words}" in theirs


class Stage(wiring.Component):
    """Adds a constant, a cycle later; `elaborations` counts how often any was elaborated."""

    elaborations = 0
    i: In(8)
    o: Out(8)

    def __init__(self, step, *, resets=False):
        self.step, self.resets = step, resets
        super().__init__()

    def elaborate(self, platform):
        Stage.elaborations += 1
        m = Module()
        sum = Signal(8, reset_less=not self.resets)
        m.d.sync += sum.eq(self.i + self.step)
        m.d.comb += self.o.eq(sum)
        return m


class Line(wiring.Component):
    """Stages in a row, of two kinds in turn."""

    i: In(8)
    o: Out(8)

    def __init__(self, count, *, shared, resets=False):
        self.count, self.shared, self.resets = count, shared, resets
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        value = self.i
        for index in range(self.count):
            stage = Stage(index % 2 + 1, resets=self.resets)
            m.submodules[f"stage_{index}"] = one_of_many(stage, "stage", index % 2) if self.shared else stage
            m.d.comb += stage.i.eq(value)
            value = stage.o
        m.d.comb += self.o.eq(value)
        return m


def test_of_many_components_one_of_a_kind_is_elaborated():
    apart = emit_verilog(Line(6, shared=False), "line")
    Stage.elaborations = 0
    together = emit_verilog(Line(6, shared=True), "line")
    assert Stage.elaborations == 2
    kinds = ["line_stage", "line_stage_v2"] * 3
    assert [kind for kind, _ in Outline(together).module("line").instances] == kinds
    assert [kind for kind, _ in Outline(apart).module("line").instances] == kinds
    assert synthesise(together, "line") == synthesise(apart, "line")


def test_many_components_have_no_reset():
    with pytest.raises(ValueError, match=r"stage_0 must have no register with a reset"):
        emit_verilog(Line(2, shared=True, resets=True), "line")
