"""Records of a graph that exists already: what a script sees of an imported network."""

from __future__ import annotations

from abc import ABCMeta
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from gatewright import ir
from gatewright.errors import ModelError
from gatewright.ng.arithmetic import clip, scaled_add, scaled_multiply
from gatewright.ng.dtypes import dtype_info, dtype_int
from gatewright.ng.errors import ArgumentError
from gatewright.ng.macs import conv2d, matmul
from gatewright.ng.moves import concat, pad, reshape, slice_, transpose, upsampling2d
from gatewright.ng.pools import avg_pool, avg_pool_serial, max_pool, max_pool_serial
from gatewright.ng.records import Elementwise, Numeric, Operator
from gatewright.ng.storage import Storage, constant, placeholder, variable

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["Imported", "Records"]


class table(Elementwise):
    """A function of one element, as a table."""

    par = 1


class rescale(Elementwise):
    """A change of scale."""

    par = 1


_SUMS = ir.Conv2d | ir.MatMul
_KINDS: Mapping[type[ir.Operator], ABCMeta] = {
    ir.Conv2d: conv2d,
    ir.MatMul: matmul,
    ir.Requantise: rescale,
    ir.Add: scaled_add,
    ir.Multiply: scaled_multiply,
    ir.Clip: clip,
    ir.Lut: table,
    ir.Reshape: reshape,
    ir.Transpose: transpose,
    ir.Concat: concat,
    ir.Pad: pad,
    ir.Slice: slice_,
    ir.Upsample: upsampling2d,
}


class Imported:
    """An operator that means some nodes of a graph: the first is what it is called after, the last its result.

    The class of a record is this one and the class of the interface that a script may ask for with `isinstance`.
    """

    nodes: tuple[ir.Node, ...]
    operands: Mapping[str, Numeric]
    source: Any = None
    """What quantises the network, if it was not quantised before."""

    def lower(self, draft: Draft) -> str:
        values = {name: draft.value(record) for name, record in self.operands.items()}
        for index, node in enumerate(self.nodes, 1 - len(self.nodes)):
            part = "" if index == 0 else f"part{-index}"
            values[node.name] = draft.add(node.op, *(values[name] for name in node.inputs), part=part)
        return values[self.nodes[-1].name]

    def _hint(self, name: str, value: Any) -> None:
        if name.startswith("cshamt_"):
            raise ArgumentError(f"{name} of an imported layer must stay what quantisation found")
        super()._hint(name, value)  # type: ignore[misc]


class Records:
    """The records of a graph, by its names; `refresh` takes over other numbers.

    `names` are the model's own names for values of the graph where they differ, `factors` the integers that stand for
    1.0 by these names. Where nothing is known, a value has the scale of the first operand.
    """

    def __init__(self, graph: ir.Graph, names: Mapping[str, str], factors: Mapping[str, float]) -> None:
        self.by_value: dict[str, Numeric] = {}
        self.names = names
        tables = {name for node in graph.nodes if isinstance(node.op, ir.Lut) for name in node.inputs[1:]}
        data = {node.inputs[0] for node in graph.nodes}
        for value, port in zip(graph.inputs, graph.input_ports, strict=True):
            self.by_value[value.name] = placeholder(_dtype(value.type.dtype), value.type.shape, port.name)
        for each in graph.constants:
            kind = constant if each.name in tables | data else variable
            self.by_value[each.name] = _storage(kind, each)
        for nodes in _groups(graph):
            self.by_value[nodes[-1].name] = self._operator(graph, nodes)
        self.refresh(graph, factors)

    def refresh(self, graph: ir.Graph, factors: Mapping[str, float]) -> None:
        """Take numbers, attributes and scales from a graph of the same structure."""
        groups = {nodes[-1].name: nodes for nodes in _groups(graph)}
        known = {*groups, *(each.name for each in graph.constants), *(value.name for value in graph.inputs)}
        if known != set(self.by_value):
            raise ModelError("the network must keep its structure when it is quantised again: import it anew")
        for each in graph.constants:
            record = self.by_value[each.name]
            record.dtype, record.shape, record.value = _dtype(each.type.dtype), each.type.shape, each.array
            record.quantized = True
        for value, port in zip(graph.inputs, graph.input_ports, strict=True):
            record = self.by_value[value.name]
            record.perm = port.permutation
            record.layout, record.onnx_layout = _layouts(port)
            record.scale_factor = 1 / port.scale if port.scale else 1.0
        self.inputs = {port.name: port for port in graph.input_ports}
        self.outputs = OrderedDict((port.name, self.by_value[name]) for name, port in _ends(graph))
        for name, nodes in groups.items():
            record = self.by_value[name]
            assert isinstance(record, Imported)
            record.nodes, record.quantized = nodes, True
            record.scale_factor = factors.get(record.name or "", record.args[0].scale_factor)
        for name, port in _ends(graph):
            record = self.by_value[name]
            record.perm = port.permutation
            record.layout, record.onnx_layout = _layouts(port)
            record.scale_factor = 1 / port.scale if port.scale else record.scale_factor

    def of_kind(self, kind: type) -> list[Numeric]:
        """The records of one kind, in the order of the graph."""
        return [record for record in self.by_value.values() if isinstance(record, kind)]

    def _operator(self, graph: ir.Graph, nodes: tuple[ir.Node, ...]) -> Numeric:
        """A new record for these nodes."""
        inner = {node.name for node in nodes}
        inputs = dict.fromkeys(name for node in nodes for name in node.inputs if name not in inner)
        result = nodes[-1]
        record: Any = object.__new__(_imported(_kind(nodes[0].op)))
        record.nodes, record.operands = nodes, {name: self.by_value[name] for name in inputs}
        for own, shared in getattr(record, "names", {}).items():
            setattr(record, shared, getattr(record, own))
        record.name = self.names.get(result.name, result.name)
        vars(record).update(_attributes(nodes[0].op))
        record._register(list(record.operands.values()), result.type.shape, _dtype(result.type.dtype))
        return record  # type: ignore[no-any-return]


@cache
def _imported(kind: ABCMeta) -> type:
    """The class of imported records that count as this kind."""
    return type(kind.__name__, (Imported, kind), {})


def _groups(graph: ir.Graph) -> list[tuple[ir.Node, ...]]:
    """Each node alone, but a Requantise together with the convolution or product that it alone reads."""
    groups: dict[str, tuple[ir.Node, ...]] = {}
    for node in graph.nodes:
        before = graph.producer(node.inputs[0])
        alone = before is not None and len(graph.consumers(before.name)) == 1 and before.name not in graph.outputs
        if before is not None and alone and isinstance(node.op, ir.Requantise) and isinstance(before.op, _SUMS):
            del groups[before.name]
            groups[node.name] = before, node
        else:
            groups[node.name] = (node,)
    return list(groups.values())


def _kind(op: ir.Operator) -> ABCMeta:
    """What NNgen would call it; pools whose windows do not overlap are `_serial`."""
    if isinstance(op, ir.MaxPool | ir.AveragePool):
        serial = op.kernel == op.strides
        if isinstance(op, ir.MaxPool):
            return max_pool_serial if serial else max_pool
        return avg_pool_serial if serial else avg_pool
    return _KINDS.get(type(op), Operator)


def _attributes(op: ir.Operator) -> dict[str, Any]:
    """The arguments of NNgen's that describe a node, for scripts that look at them."""
    found: dict[str, Any] = {}
    if isinstance(op, ir.Conv2d | ir.MaxPool | ir.AveragePool):
        top, left, bottom, right = op.pads
        found |= {"strides": (1, *op.strides, 1), "padding": (top, bottom, left, right)}
    if isinstance(op, ir.MaxPool | ir.AveragePool):
        found["ksize"] = (1, *op.kernel, 1)
    return found


def _dtype(dtype: ir.IntType) -> dtype_info:
    return dtype_int(dtype.width, dtype.signed)


def _storage(kind: type, value: ir.Constant) -> Storage:
    dtype = _dtype(value.type.dtype)
    if kind is constant:
        return constant(value.array, dtype, value.type.shape, value.name)
    return variable(dtype, value.type.shape, value.name)


def _layouts(port: ir.Port) -> tuple[str | None, str | None]:
    """The order of axes here and in the model, of images that the port turns."""
    return ("NHWC", "NCHW") if port.permutation == (0, 2, 3, 1) else (None, None)


def _ends(graph: ir.Graph) -> list[tuple[str, ir.Port]]:
    """The outputs with their ports."""
    return list(zip(graph.outputs, graph.output_ports, strict=True))
