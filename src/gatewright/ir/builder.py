"""Building a graph value by value."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from gatewright.errors import GraphError
from gatewright.ir.graph import Constant, Graph, Input, Node
from gatewright.ir.operator import Operator
from gatewright.ir.port import Port
from gatewright.ir.types import IntType, TensorType
from gatewright.ir.verify import infer_type, verify

__all__ = ["Builder", "clean_name"]


class Builder:
    """Collects inputs, constants and nodes, each under a clean unique name that is returned; `build` gives the graph.

    Names keep letters, digits, `_` and `.`; other characters become `_`, and a number is appended to a name in use.
    A port left out is that of a model whose tensor is the graph's value itself.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._types: dict[str, TensorType] = {}
        self._inputs: list[Input] = []
        self._constants: dict[str, Constant] = {}
        self._nodes: list[Node] = []
        self._outputs: list[str] = []
        self._input_ports: list[Port] = []
        self._output_ports: list[Port] = []

    def input(self, name: str, type: TensorType, port: Port | None = None) -> str:
        unique = self._unique(name)
        self._types[unique] = type
        self._inputs.append(Input(unique, type))
        self._input_ports.append(_bound(port, name, type))
        return unique

    def constant(self, array: Any, dtype: IntType, name: str | None = None) -> str:
        constant = Constant.of(self._unique(name or "constant"), array, dtype)
        self._types[constant.name] = constant.type
        self._constants[constant.name] = constant
        return constant.name

    def add(self, op: Operator, *inputs: str, name: str | None = None) -> str:
        """Add a node; raises `GraphError` naming operator, node and types where they do not fit."""
        unique = self._unique(name or op.name)
        types = [self._operand(op, unique, value) for value in inputs]
        node = Node(unique, op, tuple(inputs), infer_type(op, unique, types))
        self._types[unique] = node.type
        self._nodes.append(node)
        return unique

    def output(self, value: str, port: Port | None = None) -> None:
        self._outputs.append(value)
        self._output_ports.append(_bound(port, value, self.type_of(value)))

    def type_of(self, value: str) -> TensorType:
        """The type of a value added so far."""
        if value not in self._types:
            raise GraphError(f"name must be a value added before, not {value!r}")
        return self._types[value]

    def array_of(self, value: str) -> np.ndarray | None:
        """The array of a constant; None for other values."""
        return self._constants[value].array if value in self._constants else None

    def build(self) -> Graph:
        """The verified graph."""
        return verify(
            Graph(
                self.name,
                tuple(self._inputs),
                tuple(self._constants.values()),
                tuple(self._nodes),
                tuple(self._outputs),
                tuple(self._input_ports),
                tuple(self._output_ports),
            )
        )

    def _operand(self, op: Operator, name: str, value: str) -> TensorType:
        if value not in self._types:
            raise GraphError(f"{op.name} {name!r}: operand must be a value added before, not {value!r}")
        return self._types[value]

    def _unique(self, name: str) -> str:
        clean = clean_name(name)
        candidate, count = clean, 0
        while candidate in self._types:
            count += 1
            candidate = f"{clean}.{count}"
        return candidate


def clean_name(name: str) -> str:
    """A name with `_` for every character that names in a graph cannot have."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", name) or "value"


def _bound(port: Port | None, name: str, type: TensorType) -> Port:
    return Port.plain(name, type) if port is None else replace(port, type=type)
