"""What a host in another language or without the compiler needs to know: the register table as numbers and as C."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gatewright.hdl.csr_map import SHELL_ID, SHELL_VERSION, ErrorCode, RegisterMap
from gatewright.hdl.instruction import Queue
from gatewright.host.registers import Registers
from gatewright.program import Binding, Program

__all__ = ["c_header", "c_program", "registers_of"]


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
    return "\n".join(_register_lines(register_map)) + "\n"


def c_program(program: Program) -> str:
    """The numbers of a program as one C constant, `gw_the_program`; its image is `program.bin`."""
    return "\n".join(_program_lines(program)) + "\n"


def _register_lines(register_map: RegisterMap) -> Iterator[str]:
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


def _program_lines(program: Program) -> Iterator[str]:
    yield "/* One program, written by Gatewright: do not edit. Its image is program.bin. */"
    yield "#ifndef GATEWRIGHT_PROGRAM_H"
    yield "#define GATEWRIGHT_PROGRAM_H"
    yield ""
    yield '#include "gatewright.h"'
    yield ""
    yield "static const gw_region gw_the_regions[] = {"
    for region, offset in zip(program.memory_regions, program.image_offsets(), strict=False):
        yield f"    {{{region.size}u, {offset}u, {len(region.data)}u}}, /* {region.name} */"
    yield "};"
    for kind, bindings in (("inputs", program.inputs), ("outputs", program.outputs)):
        yield f"static const gw_tensor gw_the_{kind}[] = {{"
        yield from (_tensor_line(binding) for binding in bindings)
        yield "};"
    yield "static const gw_program gw_the_program = {"
    regions = f"{len(program.memory_regions)}u, gw_the_regions"
    yield f"    {program.config_digest:#010x}u, {program.instruction_count}u, {regions},"
    yield f"    {len(program.inputs)}u, gw_the_inputs, {len(program.outputs)}u, gw_the_outputs,"
    yield "};"
    yield ""
    yield "#endif"


def _tensor_line(binding: Binding) -> str:
    port = binding.port
    scale = (port.scale or 0.0) if port and not port.offset_by_host else 0.0
    zero = port.zero_point if port else 0
    sizes = f"{binding.size}u, {binding.dense_size}u, {binding.row_bytes}u, {binding.row_pitch}u"
    numbers = f"{binding.region}u, {binding.offset}u, {sizes}, {scale!r}, {zero}"
    packed = f", packed at {binding.packed_width} bits" if binding.packed_width else ""
    return f"    {{{json.dumps(binding.title)}, {numbers}}}, /* {binding.type}{packed} */"
