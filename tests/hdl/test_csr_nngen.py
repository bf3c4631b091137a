"""NNgen's register maps: where everything lies, and the pages that say so."""

from itertools import pairwise
from pathlib import Path

import pytest

from gatewright.hdl.csr_docs import markdown
from gatewright.hdl.csr_map import REGISTER_MAP, Access
from gatewright.hdl.csr_nngen import OWN, NngenRegisters, default_bases, nngen_register_map

PAGE = Path(__file__).parents[2] / "docs" / "machines" / "generated.md"
BASES = (("scratch", 192), ("output y", 0), ("input x", 64), ("constants", 128))
NEWER = {
    "HEADER": 0,
    "START": 16,
    "BUSY": 20,
    "RESET": 24,
    "EXTERN_SEND": 28,
    "EXTERN_RECV": 32,
    "ISR": 36,
    "IER": 40,
    "IAR": 44,
    "COUNT": 48,
    "COUNT_STATE": 52,
    "COUNT_DIV": 56,
    "ADDRESS_SPACE": 124,
    "GLOBAL_OFFSET": 128,
    "BASE": 132,
}
OLDER = {name: NEWER[name] for name in ("HEADER", "START", "BUSY", "RESET", "EXTERN_SEND", "EXTERN_RECV")}
OLDER |= {"GLOBAL_OFFSET": 36, "BASE": 40}


@pytest.mark.parametrize(("version", "offsets"), [("1.3.4", NEWER), ("1.0", OLDER)])
def test_registers_lie_where_nngen_has_them(version, offsets):
    registers = nngen_register_map(NngenRegisters(BASES, version=version))
    assert {register.name: register.offset for register in registers if register.offset < OWN} == offsets
    assert registers.offset("BASE", 3) == offsets["BASE"] + 12
    assert registers["BASE"].initial == (192, 0, 64, 128)


@pytest.mark.parametrize("version", ["1.3.4", "1.0"])
def test_the_shells_own_registers_follow(version):
    registers = nngen_register_map(NngenRegisters(BASES, version=version))
    own = [register for register in registers if register.offset >= OWN]
    assert all(register.offset == OWN + REGISTER_MAP.offset(register.name) for register in own)
    assert {"STATUS", "CYCLES_LO", "STAMP", "FAULT_INDEX", "CONFIG_DIGEST"} <= {register.name for register in own}
    assert max(offset for register in own for offset in register.offsets()) < 1 << 12


def test_what_is_not_wanted_is_not_there():
    registers = nngen_register_map(NngenRegisters(BASES, interrupt=False, measurable=False))
    assert not {"ISR", "IER", "IAR", "COUNT", "COUNT_STATE", "COUNT_DIV"} & {register.name for register in registers}
    assert registers.offset("GLOBAL_OFFSET") == 128


def test_orders_stay_until_taken():
    registers = nngen_register_map(NngenRegisters(BASES))
    assert [registers[name].access for name in ("START", "RESET")] == [Access.REQUEST] * 2
    assert registers.forgiving


def test_maps_that_cannot_be():
    with pytest.raises(ValueError, match=r"must be one of 1.3.4, 1.0, not '2'"):
        nngen_register_map(NngenRegisters(BASES, version="2"))
    with pytest.raises(ValueError, match="regions must be at most 223, not 224"):
        nngen_register_map(NngenRegisters([("x", 0)] * 224))


def test_regions_lie_one_after_the_other_temporaries_last():
    starts, end = default_bases([100, 64, 1, 65], 64)
    assert starts == (256, 0, 64, 128)
    assert end == 384
    order = sorted(zip(starts, [100, 64, 1, 65], strict=True))
    assert all(start + size <= following for (start, size), (following, _) in pairwise(order))


@pytest.mark.parametrize("version", ["1.3.4", "1.0"])
def test_the_page_shows_them(version):
    begin, end = f"<!-- registers {version}: generated -->\n", "\n<!-- end -->"
    table = PAGE.read_text().split(begin)[1].split(end)[0]
    example = nngen_register_map(NngenRegisters(BASES, version=version))
    own = min(number for number, register in enumerate(example) if register.offset >= OWN)
    assert table == "\n".join(markdown(example).splitlines()[: 2 + own])
