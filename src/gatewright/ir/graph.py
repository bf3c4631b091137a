"""The graph: an immutable, printable, evaluable record of an integer network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from gatewright.errors import DataError, GraphError
from gatewright.ir.operator import Operator
from gatewright.ir.port import Port
from gatewright.ir.printer import print_graph
from gatewright.ir.types import IntType, TensorType

__all__ = ["Constant", "Graph", "Input", "Node"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class Input:
    """A value that comes from outside."""

    name: str
    type: TensorType


@dataclass(frozen=True, eq=False)
class Constant:
    """A value known at compile time: a read-only array in the storage type of `type`."""

    name: str
    array: np.ndarray
    type: TensorType

    @classmethod
    def of(cls, name: str, array: Any, dtype: IntType) -> "Constant":
        """A constant from any array of integers; raises `GraphError` where a value is not one of `dtype`."""
        array = np.asarray(array)
        if array.dtype.kind not in "iu" and not (array.dtype == object or array.size == 0):
            raise GraphError(f"constant {name!r} must hold integers, not {array.dtype}")
        if array.size and not dtype.holds(int(array.min()), int(array.max())):
            raise GraphError(f"constant {name!r} must fit {dtype}, not {array.min()}..{array.max()}")
        stored = np.array(array, dtype.storage, order="C")
        stored.flags.writeable = False
        return cls(name, stored, TensorType(stored.shape, dtype))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        return (self.name, self.type) == (other.name, other.type) and bool(np.array_equal(self.array, other.array))

    def __hash__(self) -> int:
        return hash((self.name, self.type))


@dataclass(frozen=True)
class Node:
    """One operator applied to values; its name is the name of its result."""

    name: str
    op: Operator
    inputs: tuple[str, ...]
    type: TensorType


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order between inputs and outputs; every value has a unique name and a type."""

    name: str
    inputs: tuple[Input, ...]
    constants: tuple[Constant, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]

    def __str__(self) -> str:
        return print_graph(self)

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """The type of every value."""
        values: tuple[Input | Constant | Node, ...] = (*self.inputs, *self.constants, *self.nodes)
        return {value.name: value.type for value in values}

    @cached_property
    def _nodes(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _constants(self) -> Mapping[str, Constant]:
        return {constant.name: constant for constant in self.constants}

    @cached_property
    def _consumers(self) -> Mapping[str, tuple[Node, ...]]:
        found: dict[str, list[Node]] = {name: [] for name in self.types}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    def type_of(self, name: str) -> TensorType:
        """The type of a value."""
        return _find(self.types, name, "a value")

    def constant(self, name: str) -> Constant:
        return _find(self._constants, name, "a constant")

    def node(self, name: str) -> Node:
        return _find(self._nodes, name, "a node")

    def is_constant(self, name: str) -> bool:
        return name in self._constants

    def producer(self, name: str) -> Node | None:
        """The node that computes a value; None for inputs and constants."""
        return self._nodes.get(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a value, each once, in order."""
        return _find(self._consumers, name, "a value")

    def operands(self, node: Node) -> tuple[TensorType, ...]:
        """The types of a node's inputs."""
        return tuple(self.type_of(name) for name in node.inputs)

    def evaluate(self, *arrays: Any, keep: bool = False) -> dict[str, np.ndarray]:
        """Exact outputs for integers in the graph's own layout, given in order or as one mapping by name.

        With `keep`, every computed value is returned, not the outputs alone.
        """
        given = self._bind(arrays)
        last = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}
        values = {**{constant.name: constant.array for constant in self.constants}, **given}
        for index, node in enumerate(self.nodes):
            operands = [values[name] for name in node.inputs]
            try:
                values[node.name] = node.op.evaluate(*operands, types=self.operands(node))
            except GraphError as error:
                raise GraphError(f"{node.op.name} {node.name!r}: {error}") from error
            if not keep:
                self._drop(values, [name for name in node.inputs if last[name] == index])
        wanted = [*given, *(node.name for node in self.nodes), *self.outputs] if keep else self.outputs
        return {name: values[name] for name in wanted}

    def _drop(self, values: dict[str, np.ndarray], names: Iterable[str]) -> None:
        for name in names:
            if name not in self.outputs:
                values.pop(name, None)

    def _bind(self, arrays: tuple[Any, ...]) -> dict[str, np.ndarray]:
        names = [value.name for value in self.inputs]
        given = dict(arrays[0]) if len(arrays) == 1 and isinstance(arrays[0], Mapping) else None
        if given is None and len(arrays) == len(names):
            given = dict(zip(names, arrays, strict=True))
        if given is None or set(given) != set(names):
            got = f"{len(arrays)} arrays" if given is None else f"arrays for {sorted(given)}"
            raise DataError(f"graph {self.name!r} must be given arrays for {names}, not {got}")
        return {value.name: _conform(given[value.name], value) for value in self.inputs}


def _find(values: Mapping[str, Value], name: str, what: str) -> Value:
    if name not in values:
        raise GraphError(f"name must be {what} of the graph, not {name!r}")
    return values[name]


def _conform(array: Any, value: Input) -> np.ndarray:
    array, dtype = np.asarray(array), value.type.dtype
    if array.dtype.kind not in "iu" or array.shape != value.type.shape:
        got = f"{array.dtype} of shape {list(array.shape)}"
        raise DataError(f"input {value.name!r} must be integers of type {value.type}, not {got}")
    if not dtype.holds(int(array.min()), int(array.max())):
        raise DataError(f"input {value.name!r} must fit {value.type}, not {array.min()}..{array.max()}")
    return array.astype(dtype.storage, copy=False)
