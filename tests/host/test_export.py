"""The register table outside the compiler: as a file for the driver, as macros for C."""

import re

import pytest

from gatewright.errors import ProgramError
from gatewright.hdl.csr_map import REGISTER_MAP
from gatewright.host import Registers
from gatewright.host.export import c_header, registers_of


def test_registers_survive_their_file(tmp_path):
    registers = registers_of(REGISTER_MAP)
    registers.save(tmp_path / "registers.json")
    assert Registers.load(tmp_path / "registers.json") == registers


@pytest.mark.parametrize("text", ["", "[]", '{"id": 1}', '{"fields": 3}'])
def test_a_broken_table_is_refused(tmp_path, text):
    (tmp_path / "registers.json").write_text(text)
    with pytest.raises(ProgramError, match="Cannot read the register table"):
        Registers.load(tmp_path / "registers.json")


def test_the_driver_sees_what_the_hardware_has():
    registers = registers_of(REGISTER_MAP)
    for register in REGISTER_MAP:
        for index in (0, register.count - 1):
            assert registers.offset(register.name, index) == REGISTER_MAP.offset(register.name, index)
        for field in register.fields:
            assert registers.mask(f"{register.name}.{field.name}") == field.mask
            assert registers.extract(f"{register.name}.{field.name}", 0xDEAD_BEEF) == field.extract(0xDEAD_BEEF)


def test_the_header_has_every_register_and_field():
    defined = dict(re.findall(r"#define (\w+) (0x\w+|\d+)u", c_header(REGISTER_MAP)))
    for register in REGISTER_MAP:
        assert int(defined[f"GW_{register.name}"], 0) == register.offset
        for field in register.fields:
            assert int(defined[f"GW_{register.name}_{field.name.upper()}_MASK"], 0) == field.mask


def test_no_macro_is_defined_twice():
    names = re.findall(r"#define (\w+)", c_header(REGISTER_MAP))
    assert len(set(names)) == len(names)
