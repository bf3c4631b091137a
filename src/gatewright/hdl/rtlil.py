"""RTLIL text between Amaranth and Yosys: modules that Amaranth writes once per instance become one per kind.

A module is its lines. Three things that depend on where an instance stands, not on what it is, are made canonical
first: the order of ports, the order of an instance's connections, and the names of the modules it instantiates.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["merge_modules"]

_MODULE = re.compile(r"^module \\(\S+)$")
_INSTANCE = re.compile(r"^  cell \\(\S+) (\\\S+)$")
_PORT = re.compile(r"^  wire width (\d+) (input|output|inout) \d+  (signed )?\\(\S+)$")
_PUBLIC_NAME = re.compile(r'\\([^\s\\"]+)')
_MEMORY = re.compile(r'^    parameter \\MEMID "\\\\(\S+)"$')
_ZERO = re.compile(r"^    connect \\DATA \d+'0+$")


@dataclass(frozen=True)
class _Module:
    """One RTLIL module: its hierarchical name as Amaranth gave it, and its items, each the lines of one declaration."""

    name: str
    items: tuple[tuple[str, ...], ...]


def merge_modules(text: str, name: str, ports: Sequence[str]) -> str:
    """Merge the modules of an Amaranth design that are equal up to their name; call the top module `name`.

    Children come before parents, so parents become equal once their children are one. The top module's ports come in
    the order of `ports`. Merged modules are called `<name>_<kind>`; the kind is what their instances' names share.
    Initial contents of zeroes are removed from memories that are written to: one line a word in Verilog, which stops no
    block RAM from being inferred, but which nothing may rely on.
    """
    modules = _parse(text)
    kept: dict[tuple[tuple[str, ...], ...], str] = {}
    merged: dict[str, str] = {}
    paths: dict[str, list[str]] = {}
    for module in reversed(modules):
        is_top = module is modules[0]
        items = _canonical(module.items, merged, ports if is_top else None)
        first = kept.setdefault(items, module.name)
        merged[module.name] = first
        paths.setdefault(first, []).append(module.name)
    # In the hierarchy's order, so that names do not depend on anything else.
    order = sorted(((members[-1], first) for first, members in paths.items()), key=lambda pair: _natural(pair[0]))
    names = _names([path for path, _ in order], name)
    final = {first: names[path] for path, first in order}
    bodies = {first: items for items, first in kept.items()}
    written = []
    for path, first in order:
        body = "\n".join(line for item in bodies[first] for line in item)
        body = re.sub(r"^  cell \\(\S+) ", lambda m: f"  cell \\{final.get(m[1], m[1])} ", body, flags=re.MULTILINE)
        top = "attribute \\top 1\n" if path == modules[0].name else ""
        written.append(f"{top}module \\{names[path]}\n{_plain_names(body)}\nend\n")
    return "\n".join(written)


def _parse(text: str) -> list[_Module]:
    modules = []
    name, depth = "", 0
    items: list[tuple[str, ...]] = []
    item: list[str] = []
    for line in text.splitlines():
        if (head := _MODULE.match(line)) is not None:
            name, items, item = head[1], [], []
        elif line == "end":
            modules.append(_Module(name, tuple(items)))
            name = ""
        elif name and line.strip():
            item.append(line)
            if line.startswith(("  cell ", "  process ")):
                depth = 1
            # An item ends with its own line, or with the `  end` of its block; attributes belong to what follows.
            if line == "  end" or (not depth and not line.startswith("  attribute ")):
                items.append(tuple(item))
                item, depth = [], 0
    return modules


def _canonical(
    items: tuple[tuple[str, ...], ...], merged: dict[str, str], order: Sequence[str] | None
) -> tuple[tuple[str, ...], ...]:
    written = {_memory(item) for item in items if item[0].startswith("  cell $memwr_v2 ")}
    declared, rest = [], []
    for item in items:
        if (port := _PORT.match(item[-1])) is not None:
            declared.append((port[4], item[:-1], port))
        elif (instance := _INSTANCE.match(item[0])) is not None:
            head = f"  cell \\{merged.get(instance[1], instance[1])} {instance[2]}"
            rest.append((head, *sorted(item[1:-1], key=_connection_last), item[-1]))
        elif not _is_zero_content(item, written):
            rest.append(item)
    key = (lambda entry: order.index(entry[0])) if order is not None else (lambda entry: _port_order(entry[0]))
    ports = []
    for index, (_, attributes, port) in enumerate(sorted(declared, key=key), start=1):
        signed = port[3] or ""
        ports.append((*attributes, f"  wire width {port[1]} {port[2]} {index} {signed}\\{port[4]}"))
    return (*ports, *rest)


def _port_order(port: str) -> tuple[bool, bool, str]:
    return port != "clk", port != "rst", port


def _connection_last(line: str) -> tuple[bool, str]:
    return line.startswith("    connect "), line


def _memory(cell: tuple[str, ...]) -> str:
    return next(match[1] for line in cell if (match := _MEMORY.match(line)) is not None)


def _is_zero_content(item: tuple[str, ...], written: set[str]) -> bool:
    if not item[0].startswith("  cell $meminit_v2 ") or _memory(item) not in written:
        return False
    return any(_ZERO.match(line) for line in item)


def _plain_names(body: str) -> str:
    """Write names that Verilog would have to escape (`data$12`, `o[3]`) as plain identifiers (`data_12`, `o_3`)."""
    names = dict.fromkeys(_PUBLIC_NAME.findall(body))
    plain = {name: name for name in names if re.fullmatch(r"\w+", name)}
    taken = set(plain)
    for name in names:
        if name not in plain:
            short = re.sub(r"\W+", "_", name).strip("_")
            plain[name] = name if short in taken else short
            taken.add(plain[name])
    return _PUBLIC_NAME.sub(lambda match: f"\\{plain[match[1]]}", body)


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def _names(paths: Sequence[str], top: str) -> dict[str, str]:
    """Name each hierarchical path by the shortest end of it that tells it apart, without the numbers of instances."""
    kinds = [tuple(re.sub(r"(_?\d+)+$", "", part) or part for part in path.split(".")[1:]) for path in paths]
    names: dict[str, str] = {}
    used: dict[str, int] = {top: 1}
    for path, kind in zip(paths, kinds, strict=True):
        if not kind:
            names[path] = top
            continue
        length = 1
        while length < len(kind) and any(other != kind and other[-length:] == kind[-length:] for other in kinds):
            length += 1
        name = re.sub(r"\W", "_", "_".join((top, *kind[-length:])))
        used[name] = used.get(name, 0) + 1
        names[path] = name if used[name] == 1 else f"{name}_v{used[name]}"
    return names
