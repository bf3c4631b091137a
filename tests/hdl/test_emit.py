# amaranth: UnusedElaboratable=no
"""Emission: one module per kind, nothing that depends on where it was written, memories that synthesis knows."""

import re
import subprocess
import sys

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.errors import ToolError
from gatewright.hdl import emit_verilog, port_names, synthesise
from gatewright.sim import Model, lint


class Cell(wiring.Component):
    """Multiply and accumulate; passes its operands on."""

    x: In(signed(8))
    w: In(signed(8))
    x_out: Out(signed(8))
    w_out: Out(signed(8))
    total: Out(signed(32))

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.x_out.eq(self.x), self.w_out.eq(self.w), self.total.eq(self.total + self.x * self.w)]
        return m


class Row(wiring.Component):
    """Cells in a row, so that there is a hierarchy of equal modules within equal modules."""

    def __init__(self, columns):
        self.columns = columns
        lanes = data.ArrayLayout(signed(8), columns)
        totals = data.ArrayLayout(signed(32), columns)
        super().__init__(
            {"x": In(signed(8)), "w": In(lanes), "x_out": Out(signed(8)), "w_out": Out(lanes), "total": Out(totals)}
        )

    def elaborate(self, platform):
        m = Module()
        x = self.x
        for column in range(self.columns):
            m.submodules[f"cell_{column}"] = cell = Cell()
            m.d.comb += [cell.x.eq(x), cell.w.eq(self.w[column]), self.w_out[column].eq(cell.w_out)]
            m.d.comb += self.total[column].eq(cell.total)
            x = cell.x_out
        m.d.comb += self.x_out.eq(x)
        return m


class Array(wiring.Component):
    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        super().__init__(
            {
                "x": In(data.ArrayLayout(signed(8), rows)),
                "w": In(data.ArrayLayout(signed(8), columns)),
                "x_out": Out(data.ArrayLayout(signed(8), rows)),
                "w_out": Out(data.ArrayLayout(signed(8), columns)),
                "total": Out(data.ArrayLayout(signed(32), rows * columns)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        w = self.w
        for index in range(self.rows):
            m.submodules[f"row_{index}"] = row = Row(self.columns)
            m.d.comb += [row.x.eq(self.x[index]), row.w.eq(w), self.x_out[index].eq(row.x_out)]
            for column in range(self.columns):
                m.d.comb += self.total[index * self.columns + column].eq(row.total[column])
            w = row.w_out
        m.d.comb += self.w_out.eq(w)
        return m


class Storage(wiring.Component):
    """A memory with byte enables, a ROM, and a ROM of nothing but zeroes."""

    address: In(6)
    write: In(4)
    value: In(32)
    stored: Out(32)
    constant: Out(32)
    nothing: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.scratch = scratch = memory.Memory(shape=32, depth=64, init=[])
        m.submodules.rom = table = memory.Memory(shape=32, depth=64, init=[3 * index for index in range(64)])
        m.submodules.zeroes = zeroes = memory.Memory(shape=8, depth=64, init=[])
        write = scratch.write_port(granularity=8)
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.value), write.en.eq(self.write)]
        for source, target in ((scratch, self.stored), (table, self.constant), (zeroes, self.nothing)):
            read = source.read_port()
            m.d.comb += [read.addr.eq(self.address), target.eq(read.data)]
        return m


def modules(verilog):
    return re.findall(r"^module (\w+)", verilog, re.MULTILINE)


@pytest.fixture(scope="module")
def array():
    return emit_verilog(Array(3, 4), "array")


@pytest.fixture(scope="module")
def storage():
    return emit_verilog(Storage(), "storage")


def test_equal_modules_are_written_once_at_every_level(array):
    assert modules(array) == ["array", "array_cell", "array_row"]
    assert array.count("array_row row_") == 3
    assert array.count("array_cell cell_") == 4


def test_modules_that_differ_are_told_apart():
    class Pair(wiring.Component):
        o: Out(8)

        def elaborate(self, platform):
            m = Module()
            m.submodules.lane_0 = first = Storage()
            m.submodules.lane_1 = second = Row(1)
            m.submodules.lane_2 = third = Row(2)
            m.d.comb += self.o.eq(first.stored ^ second.total.as_value() ^ third.total.as_value())
            return m

    names = modules(emit_verilog(Pair(), "pair"))
    assert {"pair_lane", "pair_lane_v2", "pair_lane_v3"} < set(names)
    assert len(set(names)) == len(names)


def test_text_depends_on_the_component_alone(array):
    assert emit_verilog(Array(3, 4), "array") == array
    component = Array(3, 4)
    assert emit_verilog(component, "array") == emit_verilog(component, "array") == array


def test_text_does_not_depend_on_the_process():
    program = "from gatewright.hdl import *; import sys; sys.stdout.write(emit_verilog(StreamQueue(8, 2), 'top'))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, text=True, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert "endmodule" in texts.pop()


def test_text_has_no_paths_dates_attributes_or_escaped_names(array, storage):
    for verilog in (array, storage):
        assert not re.search(r"Yosys|/|\(\*|\\", verilog.replace("//", "", 1))


def test_ports_are_named_by_their_path():
    class Ports(wiring.Component):
        i: In(stream.Signature(8))
        w: In(stream.Signature(8, always_ready=True))
        o: Out(wiring.Signature({"data": Out(8)})).array(2)

        def elaborate(self, platform):
            m = Module()
            m.d.sync += self.o[1].data.eq(self.i.payload)
            return m

    assert port_names(Ports()) == ("i_payload", "i_valid", "i_ready", "w_payload", "w_valid", "o_0_data", "o_1_data")
    verilog = emit_verilog(Ports(), "ports")
    assert "module ports(clk, rst, i_payload, i_valid, i_ready, w_payload, w_valid, o_0_data, o_1_data);" in verilog
    assert "output i_ready;" in verilog


def test_ports_of_an_axi_interface_have_the_standard_names():
    channel = wiring.Signature({"valid": Out(1), "ready": In(1)})

    class Ports(wiring.Component):
        m_axi: Out(wiring.Signature({name: Out(channel) for name in ("aw", "w", "b", "ar", "r")}))

        def elaborate(self, platform):
            return Module()

    assert port_names(Ports())[:4] == ("m_axi_awvalid", "m_axi_awready", "m_axi_wvalid", "m_axi_wready")


def test_a_member_without_bits_is_no_port():
    class Chosen(wiring.Component):
        index: In(range(1))
        value: In(4)
        result: Out(4)

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.result.eq(self.value.word_select(self.index, 4))
            return m

    assert "index" not in port_names(Chosen())
    verilog = emit_verilog(Chosen(), "chosen")
    assert "index" not in verilog
    assert lint(verilog, "chosen") == ""


def test_name_must_be_an_identifier():
    with pytest.raises(ValueError, match="Name of a Verilog module must be an identifier, not '8x8'"):
        emit_verilog(Cell(), "8x8")


def test_written_memory_is_plain_and_has_byte_enables(storage):
    assert "reg [31:0] scratch [63:0];" in storage
    assert re.search(r"if \(write\[3\]\)\s+scratch\[address\]\[31:24\] <= value\[31:24\];", storage)
    assert "scratch[0]" not in storage


def test_contents_of_roms_stay(storage):
    assert "rom[63] = 32'd189;" in storage
    with Model.from_verilog(storage, "storage") as model:
        for address in (0, 1, 63):
            model.set("address", address)
            model.tick()
            assert model.get("constant") == 3 * address
            assert model.get("nothing") == 0


def test_verilator_finds_nothing_wrong(array, storage):
    assert lint(array, "array") == ""
    assert lint(storage, "storage") == ""


def test_lint_finds_what_matters():
    loop = "module top(input a, output b); wire c = b ^ a; assign b = c; endmodule"
    assert "UNOPTFLAT" in lint(loop, "top")


@pytest.mark.parametrize(
    ("script", "multiplier"), [("synth_xilinx -flatten -noiopad", "DSP48E1"), ("synth_ecp5", "MULT18X18D")]
)
def test_synthesis_maps_to_multipliers(script, multiplier):
    assert synthesise(emit_verilog(Row(2), "row"), "row", script)[multiplier] == 2


def test_synthesis_maps_a_scratchpad_to_block_ram():
    class Scratchpad(wiring.Component):
        address: In(10)
        write: In(8)
        value: In(64)
        stored: Out(64)

        def elaborate(self, platform):
            m = Module()
            m.submodules.memory = store = memory.Memory(shape=64, depth=1024, init=[])
            write, read = store.write_port(granularity=8), store.read_port()
            m.d.comb += [write.addr.eq(self.address), write.data.eq(self.value), write.en.eq(self.write)]
            m.d.comb += [read.addr.eq(self.address), self.stored.eq(read.data)]
            return m

    cells = synthesise(emit_verilog(Scratchpad(), "scratchpad"), "scratchpad")
    assert cells["RAMB36E1"] == 2
    assert set(cells) <= {"RAMB36E1", "BUFG"}


def test_a_refusal_of_yosys_is_told():
    with pytest.raises(ToolError, match="syntax error"):
        synthesise("module top(; endmodule", "top")


def test_emitted_array_computes(array):
    with Model.from_verilog(array, "array") as model:
        model.reset()
        model.set("x", 0x00_00_FE)
        model.set("w", 0x00_00_00_05)
        model.tick(3)
        assert model.get("total") & 0xFFFF_FFFF == (-30) & 0xFFFF_FFFF
