"""The register map as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from gatewright.hdl.csr_map import Register, RegisterMap

__all__ = ["markdown"]


def markdown(register_map: RegisterMap) -> str:
    """One row for each register or array; fields as bit ranges in the description."""
    rows = [
        f"| `{_offset(register)}` | {register.name} | {register.access.value} | {' '.join(_description(register))} |"
        for register in register_map
    ]
    return "\n".join(["| offset | name | access | description |", "| --- | --- | --- | --- |", *rows])


def _offset(register: Register) -> str:
    first = f"0x{register.offset:03x}"
    return first if register.count == 1 else f"{first} + {register.stride}·n, n < {register.count}"


def _description(register: Register) -> Iterator[str]:
    yield register.description
    for field in register.fields:
        high = field.low + field.width - 1
        bits = f"{high}:{field.low}" if field.width > 1 else f"{field.low}"
        yield f"<br>`{bits}` **{field.name}**: {field.description}"
