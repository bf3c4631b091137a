"""What a host in another language or without the compiler needs to know: the register table as numbers and as C."""

from __future__ import annotations

from collections.abc import Iterator

from gatewright.hdl.csr_map import SHELL_ID, SHELL_VERSION, ErrorCode, RegisterMap
from gatewright.hdl.instruction import Queue
from gatewright.host.registers import Registers

__all__ = ["c_header", "registers_of"]


def registers_of(register_map: RegisterMap) -> Registers:
    """The driver's view of a machine's register map."""
    return Registers(
        id=SHELL_ID,
        version=SHELL_VERSION,
        offsets={register.name: register.offset for register in register_map},
        strides={register.name: register.stride for register in register_map if register.count > 1},
        fields={f"{r.name}.{field.name}": (field.low, field.width) for r in register_map for field in r.fields},
        errors={code.value: code.name.lower().replace("_", " ") for code in ErrorCode},
        queues=tuple(queue.name.lower() for queue in Queue),
    )


def c_header(register_map: RegisterMap) -> str:
    """The register map as C macros: offsets, strides and counts of arrays, shifts and masks of fields, error codes."""
    return "\n".join(_lines(register_map)) + "\n"


def _lines(register_map: RegisterMap) -> Iterator[str]:
    yield "/* Registers of the machine, written by Gatewright: do not edit. */"
    yield "#ifndef GATEWRIGHT_REGISTERS_H"
    yield "#define GATEWRIGHT_REGISTERS_H"
    yield ""
    yield f"#define GW_ID_VALUE {SHELL_ID:#010x}u"
    yield f"#define GW_VERSION_VALUE {SHELL_VERSION:#010x}u"
    for register in register_map:
        name = f"GW_{register.name}"
        yield ""
        yield f"/* {register.description} */"
        yield f"#define {name} {register.offset:#06x}u"
        if register.count > 1:
            yield f"#define {name}_ELEMENTS {register.count}u"
            yield f"#define {name}_STRIDE {register.stride}u"
        for field in register.fields:
            field_name = f"{name}_{field.name.upper()}"
            yield f"#define {field_name}_SHIFT {field.low}u /* {field.description} */"
            yield f"#define {field_name}_MASK {field.mask:#010x}u"
    yield ""
    yield "/* STATUS.error_code */"
    for code in ErrorCode:
        yield f"#define GW_ERROR_{code.name} {code.value}u"
    yield ""
    yield "#endif"
