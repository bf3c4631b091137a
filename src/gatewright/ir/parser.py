"""The text form of a graph, read, and graphs in files. `printer` is the inverse."""

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import GraphError
from gatewright.ir.graph import Constant, Graph, Input, Node
from gatewright.ir.numerics import Rounding
from gatewright.ir.operator import Operator
from gatewright.ir.ops import OPERATORS
from gatewright.ir.port import Port
from gatewright.ir.printer import INLINE_ELEMENTS, print_graph
from gatewright.ir.types import IntType, TensorType
from gatewright.ir.verify import verify

__all__ = ["load", "parse", "save"]

_NODE = re.compile(r"(\S+) = (\w+)\((.*)\) -> (\S+)")
_READERS: Mapping[object, Callable[[str], object]] = {Rounding: Rounding, IntType: IntType.parse}


def parse(text: str, constants: Mapping[str, Any] | None = None) -> Graph:
    """The verified graph of a text; `constants` holds the arrays the text does not write out."""
    reader = _Reader(constants or {})
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                reader.read(line.strip())
            except (ValueError, SyntaxError, KeyError, TypeError) as error:
                raise GraphError(f"line {number} must be a line of a graph, not {line.strip()!r} ({error})") from error
    return verify(reader.graph())


def save(graph: Graph, folder: Path) -> None:
    """Write `graph.txt`, and `constants.npz` with the constants that the text does not write out."""
    (folder / "graph.txt").write_text(print_graph(graph), encoding="utf-8")
    with zipfile.ZipFile(folder / "constants.npz", "w") as archive:  # np.savez would not take every name
        for constant in graph.constants:
            if constant.array.size > INLINE_ELEMENTS:
                member = io.BytesIO()
                np.save(member, constant.array, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{constant.name}.npy"), member.getvalue())


def load(folder: Path) -> Graph:
    """The graph that `save` wrote."""
    text = (folder / "graph.txt").read_text(encoding="utf-8")
    with np.load(folder / "constants.npz", allow_pickle=False) as arrays:
        return parse(text, {name: arrays[name] for name in arrays.files})


class _Reader:
    """Lines in, the parts of a graph out."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays = arrays
        self.name = ""
        self.inputs: list[Input] = []
        self.constants: list[Constant] = []
        self.nodes: list[Node] = []
        self.outputs: list[str] = []
        self.ports: dict[tuple[str, int], Port] = {}

    def read(self, line: str) -> None:
        keyword, _, rest = line.partition(" ")
        if match := _NODE.fullmatch(line):
            op, operands = _operator(match[2], match[3])
            self.nodes.append(Node(match[1], op, operands, TensorType.parse(match[4])))
        elif keyword == "graph":
            self.name = json.loads(rest)
        elif keyword == "input":
            name, _, type = rest.partition(": ")
            self.inputs.append(Input(name, TensorType.parse(type)))
        elif keyword == "constant":
            self.constants.append(self._constant(rest))
        elif keyword == "output":
            self.outputs.append(rest)
        elif keyword == "port":
            direction, index, data = rest.split(" ", 2)
            self.ports[direction, int(index)] = Port.from_json(json.loads(data))
        else:
            raise ValueError(f"first word must be graph, input, constant, output or port, not {keyword!r}")

    def graph(self) -> Graph:
        types = {node.name: node.type for node in self.nodes} | {each.name: each.type for each in self.constants}
        types |= {value.name: value.type for value in self.inputs}
        input_ports = tuple(self._port("input", i, each.name, types) for i, each in enumerate(self.inputs))
        output_ports = tuple(self._port("output", i, name, types) for i, name in enumerate(self.outputs))
        parts = (tuple(self.inputs), tuple(self.constants), tuple(self.nodes), tuple(self.outputs))
        return Graph(self.name, *parts, input_ports, output_ports)

    def _port(self, direction: str, index: int, name: str, types: Mapping[str, TensorType]) -> Port:
        if name not in types:
            raise GraphError(f"{direction} must be a value of the graph, not {name!r}")
        port = self.ports.get((direction, index))
        return Port.plain(name, types[name]) if port is None else replace(port, type=types[name])

    def _constant(self, text: str) -> Constant:
        declaration, _, inline = text.partition(" = ")
        name, _, type_text = declaration.partition(": ")
        type = TensorType.parse(type_text)
        if not inline and name not in self.arrays:
            raise GraphError(f"constant {name!r} must be among the arrays given, not only {sorted(self.arrays)}")
        array = np.array(json.loads(inline), dtype=object) if inline else np.asarray(self.arrays[name])
        if array.shape != type.shape:
            raise GraphError(f"constant {name!r} must have the shape of {type}, not {list(array.shape)}")
        return Constant.of(name, array, type.dtype)


def _operator(mnemonic: str, text: str) -> tuple[Operator, tuple[str, ...]]:
    kinds = {kind.name: kind for kind in OPERATORS}
    if mnemonic not in kinds:
        raise GraphError(f"operator must be one of {', '.join(sorted(kinds))}, not {mnemonic!r}")
    kind = kinds[mnemonic]
    annotations = {field.name: field.type for field in fields(kind)}
    operands, attributes = [], {}
    for item in filter(None, _split(text)):
        name, equals, value = item.partition("=")
        if equals:
            attributes[name] = _READERS.get(annotations[name], ast.literal_eval)(value)
        else:
            operands.append(item)
    return kind(**attributes), tuple(operands)


def _split(text: str) -> list[str]:
    """The items between commas outside parentheses."""
    items, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]
