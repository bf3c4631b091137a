"""RTLIL text between Amaranth and Yosys: modules that Amaranth writes once per instance become one per kind.

A module is its items, an item the lines of one declaration. What depends on where an instance stands and not on what it
is, is made canonical first: the order of ports and of an instance's connections, the numbers that Amaranth gives to
signals of one name, and the names of the modules that are instantiated.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["merge_modules"]

_Item = tuple[str, ...]

_MODULE = re.compile(r"^module \\(\S+)$")
_INSTANCE = re.compile(r"^  cell \\(\S+) (\\\S+)$")
_CONNECTION = re.compile(r"^    connect \\(\S+) (.*)$")
_PORT = re.compile(r"^  wire width (\d+) (input|output|inout) \d+  (signed )?(\\\S+)$")
# What at the start of a line is a name of RTLIL's or Amaranth's own, and no name of a signal, memory or cell.
_FIXED = re.compile(r"(?: +attribute .*| +parameter \\(?!MEMID ).*| +parameter \\MEMID| {4}connect \\\S+|  cell \S+)?")
_NAME = re.compile(r'\\([^\s\\"]+)|\$(\d+)')


@dataclass(frozen=True)
class _Module:
    """One RTLIL module; `name` is where it stands in the hierarchy."""

    name: str
    items: tuple[_Item, ...]


@dataclass(frozen=True)
class _Merged:
    """What an instance needs to know of the module that now stands for its own: its name, and its ports' new names."""

    name: str
    ports: dict[str, str]


def merge_modules(text: str, name: str, ports: Sequence[str]) -> str:
    """Merge the modules of an Amaranth design that are equal up to their name; call the top module `name`.

    Children come before parents, so parents become equal once their children are one. The top module's ports come in
    the order of `ports`. Merged modules are called `<name>_<kind>`; the kind is what their instances' names share.
    Memories whose contents were forgotten (`emit` says which) come without.
    """
    modules = _parse(text)
    kept: dict[tuple[_Item, ...], str] = {}
    merged: dict[str, _Merged] = {}
    for module in reversed(modules):
        items, renamed = _canonical(module.items, merged, ports if module is modules[0] else ())
        merged[module.name] = _Merged(kept.setdefault(items, module.name), renamed)
    bodies = {first: items for items, first in kept.items()}
    # Each kind stands where its first instance stood, so that neither order nor names depend on anything else.
    first_path: dict[str, str] = {}
    for module in modules:
        first_path.setdefault(merged[module.name].name, module.name)
    names = _names(list(first_path.values()), name)
    final = {kind: names[path] for kind, path in first_path.items()}
    return "\n".join(_write(final[kind], bodies[kind], final, top=index == 0) for index, kind in enumerate(first_path))


def _write(name: str, items: tuple[_Item, ...], final: dict[str, str], *, top: bool) -> str:
    lines = [line for item in items for line in item]
    body = [
        f"  cell \\{final[match[1]]} {match[2]}" if (match := _INSTANCE.match(line)) and match[1] in final else line
        for line in lines
    ]
    return "\n".join([*(["attribute \\top 1"] if top else []), f"module \\{name}", *body, "end", ""])


def _parse(text: str) -> list[_Module]:
    modules = []
    name, depth = "", 0
    items: list[_Item] = []
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
    items: tuple[_Item, ...], merged: dict[str, _Merged], order: Sequence[str]
) -> tuple[tuple[_Item, ...], dict[str, str]]:
    """Return a module's items in their canonical form, and the new names of its ports by their old ones."""
    ports: list[tuple[_Item, re.Match[str]]] = []
    rest: list[_Item] = []
    for item in items:
        if (port := _PORT.match(item[-1])) is not None:
            ports.append((item, port))
        elif (instance := _INSTANCE.match(item[0])) is not None and instance[1] in merged:
            rest.append(_reconnected(item, instance, merged[instance[1]]))
        elif not _has_no_content(item):
            rest.append(item)
    ports.sort(key=lambda entry: _port_order(entry[1][4][1:], order))
    declared = []
    for index, (item, port) in enumerate(ports, start=1):
        declared.append((*item[:-1], f"  wire width {port[1]} {port[2]} {index} {port[3] or ''}{port[4]}"))
    names = _Names()
    renamed = tuple(tuple(names.renamed(line) for line in item) for item in (*declared, *rest))
    return renamed, {port[4][1:]: names.of(port[4][1:]) for _, port in ports}


def _reconnected(item: _Item, instance: re.Match[str], child: _Merged) -> _Item:
    """Instantiate the module that now stands for an instance's own, with its names of ports, in order."""
    connections, others = [], []
    for line in item[1:-1]:
        if (match := _CONNECTION.match(line)) is not None:
            connections.append(f"    connect \\{child.ports[match[1]]} {match[2]}")
        else:
            others.append(line)
    return (f"  cell \\{child.name} {instance[2]}", *others, *sorted(connections), item[-1])


class _Names:
    """New names for the signals, memories and cells of one module, given as they are met.

    The first of a name has it to itself, as a plain identifier; further ones, which Amaranth numbers as it goes, are
    numbered from 2. Signals without a name are numbered from 1.
    """

    def __init__(self) -> None:
        self._public: dict[str, str] = {}
        self._private: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def of(self, name: str) -> str:
        if name not in self._public:
            base = _base(name)
            if not re.fullmatch(r"[A-Za-z_]\w*", base):
                base = re.sub(r"\W+", "_", base).strip("_") or "signal"
            plain = base
            while plain in self._taken:
                self._taken[base] += 1
                plain = f"{base}_{self._taken[base]}"
            self._taken[plain] = 1
            self._public[name] = plain
        return self._public[name]

    def renamed(self, line: str) -> str:
        start = _FIXED.match(line).end()  # type: ignore[union-attr]  # it matches the empty string, too
        return line[:start] + _NAME.sub(self._replace, line[start:])

    def _replace(self, match: re.Match[str]) -> str:
        if match[1] is not None:
            return f"\\{self.of(match[1])}"
        return self._private.setdefault(match[2], f"${len(self._private) + 1}")


def _base(name: str) -> str:
    return re.sub(r"(\$\d+)+$", "", name)


def _port_order(port: str, order: Sequence[str]) -> tuple[int, str, list[int]]:
    if port in order:
        return order.index(port), "", []
    base = _base(port)
    return {"clk": -2, "rst": -1}.get(base, len(order)), base, [int(number) for number in re.findall(r"\d+", port)]


def _has_no_content(item: _Item) -> bool:
    return item[0].startswith("  cell $meminit_v2 ") and "    connect \\DATA {  }" in item


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
