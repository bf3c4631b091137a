"""The rules every graph obeys; passes are checked against them before and after."""

import re
from collections.abc import Sequence
from typing import NoReturn

from gatewright.errors import GraphError
from gatewright.ir.graph import Graph, Node
from gatewright.ir.operator import Operator
from gatewright.ir.port import Port
from gatewright.ir.types import TensorType

__all__ = ["NAME_PATTERN", "infer_type", "verify"]

NAME_PATTERN = re.compile(r"[A-Za-z0-9_.]+")


def verify(graph: Graph) -> Graph:
    """The graph itself, or a `GraphError` that names the operator, the node and the types.

    1. Names are made of letters, digits, `_` and `.`, and no two values share one.
    2. Constants are of their declared type.
    3. A node reads values defined before it; its type is what its operator infers; its constants are possible values.
    4. Outputs exist; every input and output has a port whose type is that of its value.
    """
    known: dict[str, TensorType] = {}
    for value in graph.inputs:
        _define(known, value.name, value.type)
    for constant in graph.constants:
        _define(known, constant.name, constant.type)
        stored = (constant.array.shape, constant.array.dtype) == (constant.type.shape, constant.type.dtype.storage)
        if not stored:
            _fail(f"constant {constant.name!r} must be stored as {constant.type}, not {constant.array.dtype}")
        narrow = constant.type.dtype.width < 8 * constant.array.itemsize  # otherwise the storage holds nothing else
        if narrow and not constant.type.dtype.holds(int(constant.array.min()), int(constant.array.max())):
            _fail(f"constant {constant.name!r} must fit {constant.type}")
    for node in graph.nodes:
        _verify_node(graph, node, known)
        _define(known, node.name, node.type)
    _verify_ends(graph, known)
    return graph


def infer_type(op: Operator, name: str, types: Sequence[TensorType]) -> TensorType:
    """`op.infer`, with errors that name the operator, the node and the types."""
    try:
        return op.infer(*types)
    except GraphError as error:
        raise GraphError(f"{op.name} {name!r} ({', '.join(map(str, types))}): {error}") from error


def _verify_node(graph: Graph, node: Node, known: dict[str, TensorType]) -> None:
    for name in node.inputs:
        if name not in known:
            _fail(f"{node.op.name} {node.name!r}: operand must be defined before it is read, not {name!r}")
    types = [known[name] for name in node.inputs]
    inferred = infer_type(node.op, node.name, types)
    if inferred != node.type:
        _fail(f"{node.op.name} {node.name!r}: type must be {inferred}, not {node.type}")
    arrays = [graph.constant(name).array if graph.is_constant(name) else None for name in node.inputs]
    try:
        node.op.check(*arrays)
    except GraphError as error:
        raise GraphError(f"{node.op.name} {node.name!r}: {error}") from error


def _verify_ends(graph: Graph, known: dict[str, TensorType]) -> None:
    if not graph.outputs:
        _fail(f"graph {graph.name!r} must have at least one output")
    for name in graph.outputs:
        if name not in known:
            _fail(f"output must be a value of the graph, not {name!r}")
    _verify_ports("input", [known[value.name] for value in graph.inputs], graph.input_ports)
    _verify_ports("output", [known[name] for name in graph.outputs], graph.output_ports)


def _verify_ports(direction: str, types: Sequence[TensorType], ports: Sequence[Port]) -> None:
    if len(types) != len(ports):
        _fail(f"every {direction} must have a port: {len(types)} {direction}s, not {len(ports)} ports")
    for type, port in zip(types, ports, strict=True):
        if port.type != type:
            _fail(f"{direction} port {port.name!r}: type must be {type}, not {port.type}")
        port.check()


def _define(known: dict[str, TensorType], name: str, type: TensorType) -> None:
    if not NAME_PATTERN.fullmatch(name):
        _fail(f"name of a value must be letters, digits, '_' and '.', not {name!r}")
    if name in known:
        _fail(f"name of a value must be unique, not {name!r} twice")
    known[name] = type


def _fail(message: str) -> NoReturn:
    raise GraphError(message)
