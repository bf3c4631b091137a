"""Models cut before their host tail, to compare integers with a reference."""

from collections.abc import Mapping
from dataclasses import replace

import onnx

from gatewright.errors import ModelError
from gatewright.ir import Graph, Port

__all__ = ["without_tail"]

_ENDS = ("Softmax", "LogSoftmax", "ArgMax", "Sigmoid", "QLinearSoftmax")
_CARRIERS = (
    "QuantizeLinear",
    "DequantizeLinear",
    "Cast",
    "Reshape",
    "Flatten",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Identity",
)
_KINDS = frozenset({"softmax", "log_softmax", "argmax", "sigmoid"})


def without_tail(model: onnx.ModelProto, graph: Graph) -> tuple[onnx.ModelProto, tuple[Port, ...]]:
    """The model cut where the host begins to compute, and ports that decode the graph's outputs up to there.

    An output without such a tail stays as it is. Both sides give the same arrays when the graph is right.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    ports = []
    for output, port in zip(cut.graph.output, graph.output_ports, strict=True):
        if not _KINDS.isdisjoint(step.kind for step in port.tail):
            name, integer = _begin(output.name, producers)
            port = _before(port, name, integer)
            output.CopyFrom(onnx.ValueInfoProto(name=name))
        ports.append(port)
    return cut, tuple(ports)


def _begin(name: str, producers: Mapping[str, onnx.NodeProto]) -> tuple[str, bool]:
    """The tensor the first host operator before an output reads, and whether it is an integer."""
    found = None
    node = producers.get(name)
    while node is not None and node.op_type in (*_ENDS, *_CARRIERS):
        if node.op_type in _ENDS:
            found = node
        node = producers.get(node.input[0])
    if found is None:
        raise ModelError(f"output {name!r} must end in one of {', '.join(_ENDS)}")
    return found.input[0], found.op_type.startswith("QLinear")


def _before(port: Port, name: str, integer: bool) -> Port:
    steps = []
    for step in port.tail:
        if step.kind in _KINDS:
            break
        steps.append(step)
    if not integer:
        return replace(port, name=name, model_dtype="float32", tail=tuple(steps))
    dtype = port.graph_type.dtype
    return replace(port, name=name, model_dtype=f"{'int' if dtype.signed else 'uint'}{dtype.width}", tail=())
