"""The workspace in which a pass rewrites a graph."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from gatewright import ir

__all__ = ["Editor"]

Op = TypeVar("Op", bound=ir.Operator)


class Editor:
    """A graph's values, each redefined at will; `finish` gives the new graph, without what no output needs.

    A value keeps its name as long as it holds the same numbers, so that two graphs can be compared value by value.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.nodes = {node.name: node for node in graph.nodes}
        self.constants = {constant.name: constant for constant in graph.constants}
        self.inputs = {value.name: value for value in graph.inputs}
        self.outputs = list(graph.outputs)
        self.input_ports = list(graph.input_ports)
        self.output_ports = list(graph.output_ports)
        needed = self._needed()
        self.nodes = {name: node for name, node in self.nodes.items() if name in needed}

    def each(self, kind: type[Op]) -> Iterator[tuple[ir.Node, Op]]:
        """The nodes of one operator at the time of the call, skipping those removed meanwhile."""
        for name in list(self.nodes):
            node = self.nodes.get(name)
            if node is not None and isinstance(node.op, kind):
                yield node, node.op

    def producer(self, name: str, kind: type[Op]) -> tuple[ir.Node, Op] | None:
        """The node behind a value and its operator when it is of this kind."""
        node = self.nodes.get(name)
        return (node, node.op) if node is not None and isinstance(node.op, kind) else None

    def consumers(self, name: str) -> list[ir.Node]:
        return [node for node in self.nodes.values() if name in node.inputs]

    def private(self, name: str) -> bool:
        """Whether one node alone reads a value, once, and no output does."""
        reads = sum(node.inputs.count(name) for node in self.nodes.values())
        return reads == 1 and name not in self.outputs

    def type_of(self, name: str) -> ir.TensorType:
        value = self.nodes.get(name) or self.constants.get(name) or self.inputs[name]
        return value.type

    def array_of(self, name: str) -> np.ndarray | None:
        """The array of a constant; None for other values."""
        return self.constants[name].array if name in self.constants else None

    def constant(self, array: Any, dtype: ir.IntType, name: str) -> str:
        """Add a constant under a name like this one."""
        unique = self.unused(name)
        self.constants[unique] = ir.Constant.of(unique, array, dtype)
        return unique

    def unused(self, name: str) -> str:
        """A free name like this one."""
        unique, count = name, 0
        while unique in self.constants or unique in self.nodes or unique in self.inputs:
            count += 1
            unique = f"{name}.{count}"
        return unique

    def define(self, name: str, op: ir.Operator, *inputs: str) -> None:
        """Let the value be the result of this operator; an existing value keeps its place."""
        replaced = self.nodes.get(name)
        self.nodes[name] = ir.Node(name, op, inputs, op.infer(*map(self.type_of, inputs)))
        self._prune(() if replaced is None else replaced.inputs)

    def forward(self, name: str, value: str) -> None:
        """Let every reader of `name` read `value` instead, and drop the node.

        The node stays as an output of its own where `value` is not computed, or is an output already.
        """
        for node in self.consumers(name):
            inputs = tuple(value if each == name else each for each in node.inputs)
            self.nodes[node.name] = replace(node, inputs=inputs)
        if name in self.outputs and (value in self.outputs or value not in self.nodes):
            return
        self.outputs = [value if each == name else each for each in self.outputs]
        self._prune(self.nodes.pop(name).inputs)

    def finish(self) -> ir.Graph:
        """The graph of what its outputs need, types inferred anew, nodes in an order close to the old one."""
        order = self._order()
        used = {name for node in order for name in node.inputs} | set(self.outputs)
        types = {name: self.type_of(name) for name in (*self.inputs, *self.constants)}
        nodes = []
        for node in order:
            types[node.name] = node.op.infer(*(types[name] for name in node.inputs))
            nodes.append(replace(node, type=types[node.name]))
        ports = zip(self.inputs, self.input_ports, strict=True), zip(self.outputs, self.output_ports, strict=True)
        return replace(
            self.graph,
            inputs=tuple(self.inputs.values()),
            constants=tuple(constant for name, constant in self.constants.items() if name in used),
            nodes=tuple(nodes),
            outputs=tuple(self.outputs),
            input_ports=tuple(replace(port, type=types[name]) for name, port in ports[0]),
            output_ports=tuple(replace(port, type=types[name]) for name, port in ports[1]),
        )

    def _needed(self) -> set[str]:
        """The nodes that outputs need."""
        needed: set[str] = set()
        waiting = list(self.outputs)
        while waiting:
            name = waiting.pop()
            if name in self.nodes and name not in needed:
                needed.add(name)
                waiting.extend(self.nodes[name].inputs)
        return needed

    def _prune(self, names: Sequence[str]) -> None:
        """Drop nodes that nobody reads any more, so that they do not count as readers themselves."""
        for name in names:
            if name in self.nodes and name not in self.outputs and not self.consumers(name):
                self._prune(self.nodes.pop(name).inputs)

    def _order(self) -> list[ir.Node]:
        """Nodes that outputs need, each after its operands, otherwise in their order of definition."""
        needed = self._needed()
        order: dict[str, ir.Node] = {}
        for name in self.nodes:
            stack = [name] if name in needed else []
            while stack:
                missing = [each for each in self.nodes[stack[-1]].inputs if each in self.nodes and each not in order]
                if missing:
                    stack.extend(missing)
                else:
                    done = stack.pop()
                    order.setdefault(done, self.nodes[done])
        return list(order.values())
