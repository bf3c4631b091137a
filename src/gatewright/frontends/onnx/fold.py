"""Constants computed at import: ONNX Runtime evaluates whatever depends on constants alone."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnx_ir

from gatewright.errors import ModelError
from gatewright.frontends.reference import run_reference

__all__ = ["evaluate_nodes", "fold_constants", "make_initializer"]

_IMPURE = ("Bernoulli", "Multinomial", "Random")  # how the names of operators with random results begin
_IR_VERSION = 10  # of the little models evaluated here: any runtime loads it


def fold_constants(model: onnx_ir.Model, keep: Callable[[onnx_ir.Node], bool] = lambda node: False) -> bool:
    """Replace, in place, every value that depends on constants alone by an initialiser; whether any was replaced.

    Nodes for which `keep` is true stay, and so does everything that depends on them.
    """
    graph = model.graph
    folded = _constant_nodes(graph, keep)
    inside = set(folded)
    needed = [
        value
        for node in folded
        for value in node.outputs
        if value.is_graph_output() or any(use.node not in inside for use in value.uses())
    ]
    if not needed:
        return False
    read = {value for node in folded for value in node.inputs if value is not None}
    constants = {value.name or "": value.const_value.numpy() for value in read if value.const_value is not None}
    try:
        arrays = evaluate_nodes(folded, [value.name or "" for value in needed], constants, model.opset_imports)
    except ModelError:
        return False  # the importer names the operator that ONNX Runtime does not know
    replacements = [_replace(value, array) for value, array in zip(needed, arrays, strict=True)]
    graph.remove(folded, safe=True)
    for value in replacements:
        graph.register_initializer(value)
    return True


def evaluate_nodes(
    nodes: Sequence[onnx_ir.Node],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray],
    opsets: Mapping[str, int],
) -> list[np.ndarray]:
    """The values called `outputs`, computed by `nodes` (in order) from `constants`."""
    graph = onnx.helper.make_graph(
        [onnx_ir.to_proto(node) for node in nodes],
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [onnx_ir.to_proto(onnx_ir.tensor(array, name=name)) for name, array in constants.items()],
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    results = run_reference(onnx.helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION), {})
    return [results[name] for name in outputs]


def make_initializer(graph: onnx_ir.Graph, name: str, array: np.ndarray) -> onnx_ir.Value:
    """A new initialiser of `graph`; a counter is appended to a name already taken."""
    taken = {value.name for value in [*graph.inputs, *graph.initializers.values()]}
    taken |= {value.name for node in graph for value in node.outputs}
    unique, count = name, 0
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    value = _constant(unique, array)
    graph.register_initializer(value)
    return value


def _constant_nodes(graph: onnx_ir.Graph, keep: Callable[[onnx_ir.Node], bool]) -> list[onnx_ir.Node]:
    known = {id(value) for value in graph.initializers.values()}
    nodes = []
    for node in graph:
        subgraphs = any(attribute.type.name in ("GRAPH", "GRAPHS") for attribute in node.attributes.values())
        foldable = node.domain == "" and not node.op_type.startswith(_IMPURE) and not subgraphs and not keep(node)
        if foldable and all(value is None or id(value) in known for value in node.inputs):
            nodes.append(node)
            known.update(id(value) for value in node.outputs)
    return nodes


def _constant(name: str, array: np.ndarray) -> onnx_ir.Value:
    tensor = onnx_ir.tensor(array, name=name)
    return onnx_ir.Value(
        name=name, shape=onnx_ir.Shape(array.shape), type=onnx_ir.TensorType(tensor.dtype), const_value=tensor
    )


def _replace(value: onnx_ir.Value, array: np.ndarray) -> onnx_ir.Value:
    replacement = _constant(value.name or "constant", array)
    value.replace_all_uses_with(replacement, replace_graph_outputs=True)
    return replacement
