"""Verilog as Yosys writes it, less what it says twice: nets of ports, declarations apart from their assignment."""

import re
from collections.abc import Iterator, Sequence

__all__ = ["tidy_verilog"]

_PORT = re.compile(r"  (?:input|output|inout) (.*;)")
_NET = re.compile(r"  wire ((?:signed )?(?:\[[^]]*\] )?)([A-Za-z_]\w*);")
_ASSIGNMENT = re.compile(r"  assign ([A-Za-z_]\w*) = (.*);")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def tidy_verilog(text: str) -> str:
    """The same design: `input a; wire a;` without the second, `wire b; assign b = c;` as `wire b = c;`.

    A declaration moves to its assignment only if nothing between the two names the net: names are declared before they
    are used.
    """
    modules = re.split(r"(?m)^(?=module )", text)
    return "".join("\n".join(_tidy(module.split("\n"))) for module in modules)


def _tidy(lines: Sequence[str]) -> list[str]:
    lines = list(_without_nets_of_ports(lines))
    declared: dict[str, tuple[int, str]] = {}  # nets that nothing has named since: their line, their range
    dropped = set()
    for index, line in enumerate(lines):
        if (net := _NET.fullmatch(line)) is not None:
            declared[net[2]] = index, net[1]
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        names = _IDENTIFIER.findall(assignment[2] if assignment else line)
        for name in names:
            declared.pop(name, None)
        if assignment is not None and assignment[1] in declared:
            place, shape = declared.pop(assignment[1])
            dropped.add(place)
            lines[index] = f"  wire {shape}{assignment[1]} = {assignment[2]};"
    return [line for index, line in enumerate(lines) if index not in dropped]


def _without_nets_of_ports(lines: Sequence[str]) -> Iterator[str]:
    port = None
    for line in lines:
        if port is None or line != f"  wire {port[1]}":
            yield line
        port = _PORT.fullmatch(line)
