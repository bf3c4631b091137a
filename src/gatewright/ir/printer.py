"""The text form of a graph, written. `parser` is the inverse."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

import numpy as np

from gatewright.ir.operator import Operator
from gatewright.ir.port import Port

if TYPE_CHECKING:
    from gatewright.ir.graph import Graph

__all__ = ["INLINE_ELEMENTS", "print_graph", "print_operator"]

INLINE_ELEMENTS = 16  # constants up to this size are written out; larger ones live beside the text


def print_graph(graph: "Graph") -> str:
    """One line a value, in order; attributes at their defaults and ports that add nothing are left out."""
    return "\n".join(_lines(graph)) + "\n"


def print_operator(op: Operator, inputs: tuple[str, ...]) -> str:
    """`conv2d(x, w, pads=(1, 1, 1, 1))`."""
    attributes = [
        f"{field.name}={_attribute(getattr(op, field.name))}"
        for field in fields(op)
        if field.default is MISSING or getattr(op, field.name) != field.default
    ]
    return f"{op.name}({', '.join([*inputs, *attributes])})"


def _lines(graph: "Graph") -> Iterator[str]:
    yield f"graph {json.dumps(graph.name)}"
    for value in graph.inputs:
        yield f"input {value.name}: {value.type}"
    for constant in graph.constants:
        yield f"constant {constant.name}: {constant.type}{_inline(constant.array)}"
    for node in graph.nodes:
        yield f"{node.name} = {print_operator(node.op, node.inputs)} -> {node.type}"
    for name in graph.outputs:
        yield f"output {name}"
    inputs = tuple(value.name for value in graph.inputs)
    for direction, names, ports in (
        ("input", inputs, graph.input_ports),
        ("output", graph.outputs, graph.output_ports),
    ):
        for index, (name, port) in enumerate(zip(names, ports, strict=True)):
            if port != Port.plain(name, graph.type_of(name)):
                data = {key: value for key, value in port.to_json().items() if key != "type"}
                yield f"port {direction} {index} {json.dumps(data)}"


def _inline(array: np.ndarray) -> str:
    return f" = {json.dumps(array.tolist())}" if array.size <= INLINE_ELEMENTS else ""


def _attribute(value: object) -> str:
    if isinstance(value, tuple):
        items = ", ".join(_attribute(item) for item in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    return str(value)
