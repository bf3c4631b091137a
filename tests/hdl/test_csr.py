"""The register map as data, and as hardware behind AXI4-Lite."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import Axi4Lite, AxiLiteTarget
from gatewright.hdl.csr import Registers
from gatewright.hdl.csr_map import REGISTER_MAP, Access, Field, Register, RegisterMap
from gatewright.sim import Model

SMALL = RegisterMap(
    (
        Register("ID", 0x00, Access.READ, "A constant."),
        Register("ORDER", 0x04, Access.COMMAND, "Orders.", (Field("go", 0, 1, ""), Field("stop", 1, 1, ""))),
        Register("LEVEL", 0x08, Access.READ, "Seen.", (Field("low", 0, 4, ""), Field("high", 8, 8, ""))),
        Register("BASE", 0x10, Access.READ_WRITE, "Kept.", count=2, stride=8),
        Register("EVENT", 0x20, Access.CLEAR, "Events.", (Field("a", 0, 1, ""), Field("b", 1, 1, "")), width=2),
        Register("STAMP", 0x400, Access.READ, "A memory.", count=256),
    )
)


class Slave(wiring.Component):
    """Registers behind AXI4-Lite, with what they offer to the machine as ports."""

    def __init__(self) -> None:
        self.registers = Registers({"ID": 0x1234_5678}, SMALL)
        own = {name: member for name, member in self.registers.signature.members.items() if name != "bus"}
        super().__init__({"axi": In(Axi4Lite()), "own": Out(wiring.Signature(own))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.target = target = AxiLiteTarget()
        m.submodules.registers = self.registers
        wiring.connect(m, wiring.flipped(self.axi), target.axi)
        wiring.connect(m, target.registers, self.registers.bus)
        for name, member in self.own.signature.members.items():
            self._join(m, member, getattr(self.own, name), getattr(self.registers, name))
        return m

    def _join(self, m: Module, member: wiring.Member, outer, inner) -> None:
        if member.is_signature:
            m.d.comb += [inner.valid.eq(outer.valid), inner.payload.eq(outer.payload)]
        else:
            pairs = list(zip(outer, inner, strict=True)) if member.dimensions else [(outer, inner)]
            inward = member.flow == In
            m.d.comb += [i.eq(o) if inward else o.eq(i) for o, i in pairs]


class Host:
    def __init__(self, model: Model) -> None:
        self.model = model

    def read(self, offset: int) -> tuple[int, int]:
        self.model.set("axi_araddr", offset)
        self.model.set("axi_arvalid", 1)
        self._until("axi_arready")
        self.model.set("axi_arvalid", 0)
        self.model.set("axi_rready", 1)
        answer = self._until("axi_rvalid", "axi_rdata", "axi_rresp")
        self.model.set("axi_rready", 0)
        return answer

    def write(self, offset: int, value: int, strobes: int = 15, data_first: bool = False) -> int:
        self.model.set("axi_awaddr", offset)
        self.model.set("axi_wdata", value)
        self.model.set("axi_wstrb", strobes)
        for channel in ("w", "aw") if data_first else ("aw", "w"):
            self.model.set(f"axi_{channel}valid", 1)
            self._until(f"axi_{channel}ready")
            self.model.set(f"axi_{channel}valid", 0)
        self.model.set("axi_bready", 1)
        (response,) = self._until("axi_bvalid", "axi_bresp")
        self.model.set("axi_bready", 0)
        return response

    def _until(self, port: str, *values: str) -> tuple[int, ...]:
        for _ in range(20):
            found = self.model.get(port)
            answer = tuple(self.model.get(value) for value in values)
            self.model.tick()
            if found:
                return answer
        raise AssertionError(f"{port} stays low")


@pytest.fixture
def host():
    with Model.of(Slave()) as model:
        yield Host(model)


def test_constants_and_inputs_are_read(host: Host) -> None:
    assert host.read(0x00) == (0x1234_5678, 0)
    host.model.set("own_level", 0xAB03)
    assert host.read(0x08) == (0xAB03, 0)


def test_written_registers_keep_their_value(host: Host) -> None:
    assert host.write(0x10, 0x1122_3344) == 0
    assert host.write(0x18, 0xAABB_CCDD, data_first=True) == 0
    assert host.read(0x10) == (0x1122_3344, 0)
    assert host.read(0x18) == (0xAABB_CCDD, 0)
    assert host.model.get("own_base_1") == 0xAABB_CCDD


@pytest.mark.parametrize("strobes", [0, 1, 0b1110])
def test_write_of_less_than_a_word_is_an_error_without_effect(host: Host, strobes: int) -> None:
    assert host.write(0x10, 0x1122_3344) == 0
    assert host.write(0x10, 0xFFFF_FFFF, strobes=strobes) == 2
    assert host.read(0x10) == (0x1122_3344, 0)


def test_orders_last_one_cycle(host: Host) -> None:
    model = host.model
    for name, value in (("awaddr", 4), ("awvalid", 1), ("wdata", 2), ("wstrb", 15), ("wvalid", 1), ("bready", 1)):
        model.set(f"axi_{name}", value)
    seen = []
    for _ in range(6):
        seen.append(model.get("own_order"))
        model.tick()
        model.set("axi_awvalid", 0)
        model.set("axi_wvalid", 0)
    assert seen == [0, 2, 0, 0, 0, 0]
    assert host.read(0x04) == (0, 0)


def test_events_stay_until_cleared(host: Host) -> None:
    host.model.set("own_event_set", 3)
    host.model.tick()
    host.model.set("own_event_set", 0)
    assert host.read(0x20) == (3, 0)
    assert host.write(0x20, 1) == 0
    assert host.read(0x20) == (2, 0)
    host.model.set("own_clear", 1)
    host.model.tick()
    assert host.read(0x20) == (0, 0)


def test_event_in_the_cycle_of_its_clearing_is_not_lost(host: Host) -> None:
    host.model.set("own_event_set", 1)
    assert host.write(0x20, 1) == 0
    assert host.read(0x20) == (1, 0)


def test_stamps(host: Host) -> None:
    for index in (0, 5, 255):
        host.model.set("own_stamp_payload", index | (1000 + index) << 8)
        host.model.set("own_stamp_valid", 1)
        host.model.tick()
    host.model.set("own_stamp_valid", 0)
    assert [host.read(0x400 + 4 * index)[0] for index in (255, 0, 5)] == [1255, 1000, 1005]


@pytest.mark.parametrize("offset", [0x0C, 0x14, 0x800, 0xFFFC])
def test_access_beside_the_registers_is_an_error(host: Host, offset: int) -> None:
    assert host.read(offset) == (0, 2)
    assert host.write(offset, 1) == 2
    assert host.read(0x00) == (0x1234_5678, 0)


def test_write_of_what_cannot_be_written_is_an_error(host: Host) -> None:
    assert host.write(0x00, 1) == 2


def test_map_finds_registers_and_fields() -> None:
    assert REGISTER_MAP.offset("REGION_BASE_HI", 3) == 0x5C
    assert REGISTER_MAP.field("STATUS", "error_code").extract(0x345) == 3
    assert REGISTER_MAP.field("CONTROL", "reset").insert(1) == 2
    with pytest.raises(IndexError, match=r"Index of REGION_BASE_LO must be in 0\.\.7, not 8"):
        REGISTER_MAP.offset("REGION_BASE_LO", 8)
    with pytest.raises(KeyError, match="STATUS has no field 'nothing'; it has busy"):
        REGISTER_MAP.field("STATUS", "nothing")
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, not 2"):
        REGISTER_MAP.field("CONTROL", "start").insert(2)


def test_map_refuses_registers_that_collide() -> None:
    wide = Register("WIDE", 0, Access.READ, "", count=4)
    with pytest.raises(ValueError, match="overlap"):
        RegisterMap((wide, Register("OTHER", 8, Access.READ, "")))
    with pytest.raises(ValueError, match="different names"):
        RegisterMap((wide, Register("WIDE", 0x40, Access.READ, "")))


def test_fields_of_the_map_fit_their_registers() -> None:
    for register in REGISTER_MAP:
        used = 0
        for field in register.fields:
            assert not used & field.mask
            used |= field.mask
        assert used >> register.width == 0
        assert register.offset % 4 == 0
