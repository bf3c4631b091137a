# amaranth: UnusedElaboratable=no
"""A Verilated design, port by port."""

import pytest
from amaranth.hdl import Assert, Cat, Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gatewright.errors import MachineFault
from gatewright.hdl import emit_verilog
from gatewright.hdl.pins import Pins
from gatewright.sim import Model


class Widths(wiring.Component):
    """Ports of every kind of C++ variable, each a register behind an input; and a sum within the cycle."""

    WIDTHS = (1, 7, 8, 9, 16, 17, 32, 33, 64, 65, 128, 300)

    def __init__(self):
        members = {f"i_{width}": In(width) for width in self.WIDTHS} | {
            f"o_{width}": Out(width) for width in self.WIDTHS
        }
        super().__init__(members | {"sum": Out(9), "guarded": In(4)})

    def elaborate(self, platform):
        m = Module()
        for width in self.WIDTHS:
            m.d.sync += getattr(self, f"o_{width}").eq(getattr(self, f"i_{width}"))
        m.d.comb += self.sum.eq(self.i_8 + self.i_7)
        m.d.sync += Assert(self.guarded != 9)
        return m


class Scratchpad(wiring.Component):
    address: In(10)
    write: In(1)
    data: In(64)
    stored: Out(64)

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = memory.Memory(shape=64, depth=1024, init=[])
        write, read = store.write_port(), store.read_port()
        m.d.comb += [write.addr.eq(self.address), write.en.eq(self.write), write.data.eq(self.data)]
        m.d.comb += [read.addr.eq(self.address), self.stored.eq(read.data)]
        return m


@pytest.fixture(scope="module")
def widths_verilog():
    return emit_verilog(Widths(), "widths")


@pytest.fixture(scope="module")
def scratchpad_verilog():
    return emit_verilog(Scratchpad(), "scratchpad")


@pytest.fixture
def model(widths_verilog):
    with Model.from_verilog(widths_verilog, "widths") as model:
        model.reset()
        yield model


@pytest.mark.parametrize("width", Widths.WIDTHS)
def test_ports_of_any_width(model, width):
    value = 0x1234_5678_9ABC_DEF0_F1E2_D3C4_B5A6_9788 % (1 << width) | 1 << (width - 1)
    model.set(f"i_{width}", value)
    model.tick()
    assert model.get(f"o_{width}") == value
    assert model.get(f"o_{width}", signed=True) == value - (1 << width)


def test_negative_values_are_twos_complement(model):
    model.set("i_65", -2)
    model.tick()
    assert model.get("o_65") == (1 << 65) - 2
    assert model.get("o_65", signed=True) == -2


def test_outputs_follow_inputs_within_the_cycle(model):
    model.set("i_8", 200)
    model.set("i_7", 100)
    assert model.get("sum") == 300
    model.set("i_7", 1)
    assert model.get("sum") == 201


def test_registers_follow_the_clock(model):
    model.set("i_8", 5)
    assert model.get("o_8") == 0
    before = model.cycles
    model.tick(3)
    assert model.get("o_8") == 5
    assert model.cycles == before + 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("i_8", 256, "Port 'i_8' takes 8 bits, not 256"),
        ("i_8", -129, "Port 'i_8' takes 8 bits, not -129"),
        ("o_8", 1, "Port 'o_8' is an output of the design"),
        ("x", 1, "Port must be one of clk, rst, .*, not 'x'"),
    ],
)
def test_what_cannot_be_set_is_refused(model, name, value, message):
    with pytest.raises(ValueError, match=message):
        model.set(name, value)


def test_failed_assertion_is_a_fault(model):
    model.set("guarded", 9)
    with pytest.raises(MachineFault, match="the design stopped"):
        model.tick()


def contents(verilog, seed):
    with Model.from_verilog(verilog, "scratchpad", seed=seed) as model:
        words = []
        for address in range(16):
            model.set("address", address)
            model.tick()
            words.append(model.get("stored"))
        return words


def test_memories_start_as_noise_by_seed(scratchpad_verilog):
    first = contents(scratchpad_verilog, 1)
    assert first == contents(scratchpad_verilog, 1)
    assert first != contents(scratchpad_verilog, 2)
    assert len(set(first)) == len(first)
    assert 0 not in first


def test_models_of_one_library_are_independent(scratchpad_verilog):
    with (
        Model.from_verilog(scratchpad_verilog, "scratchpad") as one,
        Model.from_verilog(scratchpad_verilog, "scratchpad") as other,
    ):
        for model, value in ((one, 1), (other, 2)):
            model.set("write", 1)
            model.set("data", value)
            model.tick(2)
        assert (one.get("stored"), other.get("stored")) == (1, 2)


def test_trace_is_written(scratchpad_verilog, tmp_path):
    path = tmp_path / "run.vcd"
    with Model.from_verilog(scratchpad_verilog, "scratchpad", trace=path) as model:
        model.set("data", 0b1011)
        model.tick(3)
    text = path.read_text()
    assert "$var wire 64" in text
    assert "#20\n" in text
    assert f"b{0b1011:064b}" in text


def test_a_trace_that_cannot_be_written_is_an_error(scratchpad_verilog, tmp_path):
    with pytest.raises(FileNotFoundError):
        Model.from_verilog(scratchpad_verilog, "scratchpad", trace=tmp_path / "nowhere" / "run.vcd")


def test_component_without_a_clock():
    class Swap(wiring.Component):
        a: In(8)
        b: Out(8)

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.b.eq(Cat(self.a[4:], self.a[:4]))
            return m

    with Model.of(Swap()) as model:
        model.set("a", 0x3C)
        assert model.get("b") == 0xC3


def test_clock_and_reset_have_any_names():
    verilog = """
module counter(input CLK, input RESETN, output reg [7:0] count);
  always @(posedge CLK) count <= RESETN ? count + 8'd1 : 8'd0;
endmodule
"""
    pins = Pins(clock="CLK", reset="RESETN", reset_active_low=True)
    with Model.from_verilog(verilog, "counter", pins=pins) as model:
        model.reset()
        model.tick(5)
        assert model.get("count") == 5
