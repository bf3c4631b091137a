"""The file of a scheduled convolution: array, buffers, data and instructions, as text."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from gatewright.errors import ProgramError
from gatewright.targets.bitfusion.conv import Buffers, Schedule
from gatewright.targets.bitfusion.isa import format_text, parse_text
from gatewright.targets.bitfusion.mapping import mapping_of

__all__ = ["format_listing", "parse_listing"]

_LINE = 20  # numbers in a line of data
_LENGTHS = {"array": 2, "buffers": 3, "input": 4, "weights": 4, "output": 4}
_DATA = ("input_data", "weight_data")
_MOST = 1 << 26  # of what is kept in memory


def format_listing(schedule: Schedule) -> str:
    """Directives, data and instructions; `parse_listing` reads it."""
    buffers = schedule.buffers
    lines = [
        f".mapping {schedule.mapping}",
        f".array {schedule.rows} {schedule.columns}",
        f".buffers {buffers.ibuf} {buffers.wbuf} {buffers.obuf}",
        f".input {_row(schedule.input_shape)}",
        f".weights {_row(schedule.weight_shape)}",
        f".output {_row(schedule.output_shape)}",
        *_data("input_data", schedule.inputs),
        *_data("weight_data", schedule.weights),
    ]
    return "\n".join(lines) + "\n" + format_text(schedule.block)


def _row(values: object) -> str:
    return " ".join(str(int(value)) for value in values)  # type: ignore[attr-defined]


def _data(name: str, values: np.ndarray) -> Iterator[str]:
    for start in range(0, len(values), _LINE):
        yield f".{name} {_row(values[start : start + _LINE])}"


def parse_listing(text: str) -> Schedule:
    """Inverse of `format_listing`.

    Raises
    ------
    ProgramError
        Naming the line that is wrong, or the directive that is missing.
    """
    found: dict[str, list[int]] = {}
    mapping, code = "", []
    for number, line in enumerate(text.splitlines(), 1):
        code.append("" if line.startswith(".") else line)
        if not line.startswith("."):
            continue
        name, _, values = line[1:].split("#")[0].strip().partition(" ")
        if name == "mapping":
            mapping = values.strip()
        elif name in _LENGTHS or name in _DATA:
            found.setdefault(name, []).extend(_numbers(number, line, values))
        else:
            names = ", ".join(f".{known}" for known in ("mapping", *_LENGTHS, *_DATA))
            raise ProgramError(f"line {number} must begin with one of {names}, not be {line!r}")
    return _schedule(mapping, found, code)


def _numbers(number: int, line: str, values: str) -> list[int]:
    try:
        numbers = [int(value) for value in values.split()]
    except ValueError:
        raise ProgramError(f"line {number} must hold whole numbers, not {line!r}") from None
    if any(abs(value) > _MOST for value in numbers):
        raise ProgramError(f"line {number} must hold numbers of {_MOST} at most, not {line!r}")
    return numbers


def _schedule(mapping: str, found: dict[str, list[int]], code: list[str]) -> Schedule:
    for name, length in _LENGTHS.items():
        if len(found.get(name, [])) != length or min(found[name]) < 1:
            raise ProgramError(f".{name} must be given, with {length} numbers of at least 1")
        if name != "buffers" and prod(found[name]) > _MOST:
            raise ProgramError(f".{name} must multiply to {_MOST} at most, not {prod(found[name])}")
    data = [np.array(found.get(name, []), np.int64) for name in _DATA]
    for shape, array in zip(("input", "weights"), data, strict=True):
        if len(array) != prod(found[shape]):
            raise ProgramError(f".{shape} must have {prod(found[shape])} operands, not {len(array)}")
    rows, columns = found["array"]
    mapping_of(mapping, (rows, columns), (8, 8), found["input"][3])
    return Schedule(
        mapping=mapping,
        rows=rows,
        columns=columns,
        buffers=Buffers(*found["buffers"]),
        inputs=data[0],
        weights=data[1],
        input_shape=tuple(found["input"]),
        weight_shape=tuple(found["weights"]),
        output_shape=tuple(found["output"]),
        block=tuple(parse_text(code)),
    )
