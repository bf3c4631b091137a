"""The steps taken one by one instead of Amaranth's converter give its text, but for memories."""

from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.netlist import component_ports, to_rtlil
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
