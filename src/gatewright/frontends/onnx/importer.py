"""Import of a quantised model: one walk over its nodes, every problem reported at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx
import onnx_ir

from gatewright.errors import GraphError, ModelError
from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.fold import evaluate_nodes
from gatewright.frontends.onnx.inputs import import_input
from gatewright.frontends.onnx.layout import port_order
from gatewright.frontends.onnx.load import is_quantised
from gatewright.frontends.onnx.normalise import prepare
from gatewright.frontends.onnx.ops import OPERATORS
from gatewright.frontends.onnx.ops.host import dequantised
from gatewright.frontends.onnx.ops.qonnx import QUANTISERS
from gatewright.frontends.onnx.options import ImportOptions
from gatewright.frontends.onnx.products import IntegerSum
from gatewright.frontends.onnx.values import Constant, Host, Integer, QuantisedConstant, Real
from gatewright.ir import Graph, Port

__all__ = ["import_onnx"]

_DOMAINS = ("", "com.microsoft", "onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")
_KEEPING = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")  # these leave constants quantised
_MALFORMED = (AttributeError, IndexError, KeyError, ModelError, TypeError, ValueError)  # what broken nodes run into


def import_onnx(
    model: onnx.ModelProto,
    batch: int | None = None,
    options: ImportOptions | None = None,
    notes: list[str] | None = None,
) -> Graph:
    """The graph of a quantised model (QDQ, QOperator or QONNX form, or a mixture).

    `batch` takes the place of a dynamic first dimension and precedes that of `options`. What `options` leave inexact is
    appended to `notes`, a line for each value. Raises one `ModelError` that names every node that cannot be imported,
    with its operator and the reason.
    """
    options = options or ImportOptions()
    options = options if batch is None else replace(options, batch=batch)
    if not is_quantised(model):
        raise ModelError("model must be quantised (QuantizeLinear, QLinear operators): quantise it first")
    prepared = onnx_ir.from_proto(prepare(model, options.batch))
    walk = _Walk(Context(model.graph.name or "model", options), dict(prepared.graph.opset_imports))
    walk.read_inputs(prepared.graph)
    for node in prepared.graph:
        walk.read_node(node)
    for value in prepared.graph.outputs:
        walk.write_output(value)
    if walk.problems:
        raise ModelError(_report(walk.problems))
    if notes is not None:
        notes += walk.context.notes
    return _tidied(walk.context.builder.build(), [value.name or "" for value in prepared.graph.inputs])


@dataclass(frozen=True)
class _Problem:
    name: str
    op_type: str
    reason: str


class _Walk:
    """The values known so far, by name; None for those that depend on a node that could not be imported."""

    def __init__(self, context: Context, opsets: dict[str, int]) -> None:
        self.context = context
        self.opsets = opsets
        self.values: dict[str, Known | None] = {}
        self.problems: list[_Problem] = []

    def read_inputs(self, graph: onnx_ir.Graph) -> None:
        for name, value in graph.initializers.items():
            if value.const_value is not None:
                self.values[name] = Constant(value.const_value.numpy())
        for value in graph.inputs:
            name = value.name or ""
            try:
                self.values[name] = import_input(self.context, value)
            except Unsupported as reason:
                self.problems.append(_Problem(name, "input", str(reason)))
                self.values[name] = None

    def read_node(self, node: onnx_ir.Node) -> None:
        """Import one node, or note why not; a node that depends on a failed one is noted only if it is unknown."""
        handler = OPERATORS.get(node.op_type) if node.domain in _DOMAINS else None
        names = [None if value is None else value.name or "" for value in node.inputs]
        operands = tuple(None if name is None else self.values.get(name) for name in names)
        missing = [name for name in names if name is not None and name not in self.values]
        lost = any(name is not None and operand is None for name, operand in zip(names, operands, strict=True))
        results: Sequence[Known | None] = [None] * len(node.outputs)
        if handler is None:
            self._note(node, "the importer does not know this operator")
        elif missing:
            self._note(node, f"operand {missing[0]} is computed by no node")
        elif not lost:
            try:
                result = self._import(node, operands)
                results = result if isinstance(result, tuple) else (result,)
            except (Unsupported, GraphError) as reason:
                self._note(node, str(reason))
            except _MALFORMED as error:
                self._note(node, f"it is malformed ({type(error).__name__}: {error})")
        for value, known in zip(node.outputs, [*results, *[None] * len(node.outputs)], strict=False):
            self.values[value.name or ""] = known

    def write_output(self, value: onnx_ir.Value) -> None:
        name = value.name or ""
        known = self.values.get(name)
        if name not in self.values:
            self.problems.append(_Problem(name, "output", "it is computed by no node"))
        if known is None:
            return
        try:
            graph_value, port = self._output(value, known)
            self.context.builder.output(graph_value, port)
        except (Unsupported, GraphError) as reason:
            self.problems.append(_Problem(name, "output", str(reason)))

    def _import(self, node: onnx_ir.Node, operands: tuple[Known | None, ...]) -> Known | tuple[Known, ...]:
        given = [operand for operand in operands if operand is not None]
        quantised = any(isinstance(operand, QuantisedConstant) for operand in given)
        keeps = node.op_type in ("DequantizeLinear", *QUANTISERS) or (quantised and node.op_type in _KEEPING)
        if given and all(isinstance(operand, Constant | QuantisedConstant) for operand in given) and not keeps:
            return self._fold(node, operands)
        return OPERATORS[node.op_type](Call(self.context, node, operands, self.opsets))

    def _fold(self, node: onnx_ir.Node, operands: tuple[Known | None, ...]) -> tuple[Known, ...]:
        feeds = {
            value.name or "": operand.array
            for value, operand in zip(node.inputs, operands, strict=True)
            if value is not None and isinstance(operand, Constant | QuantisedConstant)
        }
        names = [value.name or "" for value in node.outputs]
        return tuple(Constant(array) for array in evaluate_nodes([node], names, feeds, self.opsets))

    def _output(self, value: onnx_ir.Value, known: Known) -> tuple[str, Port]:
        """The graph value behind a model output, and how it becomes that output."""
        name = value.name or "output"
        if isinstance(known, Constant | QuantisedConstant):
            raise Unsupported("it must be computed from the inputs, not constant")
        if isinstance(known, IntegerSum):
            known = known.integer(self.context)
        if isinstance(known, Real):
            host = dequantised(self.context, known)
            if host is None:
                raise Unsupported(f"{known.producer} before it must be followed by a QuantizeLinear")
            known = host
        root, steps = (known.root, known.steps) if isinstance(known, Host) else (known, ())
        assert isinstance(root, Integer)
        axes = root.view.permutation()
        graph_value = root.view.value if axes is not None else self.context.materialise(root.view)
        dtype = self._model_type(value, known)
        return graph_value, Port(name, dtype, root.shape, port_order(axes), root.scale, root.zero, root.zero, steps)

    def _model_type(self, value: onnx_ir.Value, known: Known) -> str:
        computed = known.dtype if isinstance(known, Host) else None
        if value.dtype is not None and (computed is None or computed.startswith("float")):
            return value.dtype.numpy().name
        if computed is not None:
            return computed
        assert isinstance(known, Integer)
        dtype = self.context.type_of(known.view.value).dtype
        return f"{'int' if dtype.signed else 'uint'}{dtype.width}"

    def _note(self, node: onnx_ir.Node, reason: str) -> None:
        domain = f"{node.domain}." if node.domain else ""
        self.problems.append(_Problem(node.name or "", f"{domain}{node.op_type}", reason))


def _report(problems: Sequence[_Problem]) -> str:
    lines = [f"  {problem.op_type} {problem.name!r}: {problem.reason}" for problem in problems]
    return "\n".join([f"the model cannot be imported, {len(lines)} of its nodes are in the way:", *lines])


def _tidied(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph with its inputs in the order of the model's, without nodes that no output needs."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        needed |= set(node.inputs) if node.name in needed else set()
    order = sorted(range(len(graph.inputs)), key=lambda index: names.index(graph.input_ports[index].name))
    return replace(
        graph,
        inputs=tuple(graph.inputs[index] for index in order),
        input_ports=tuple(graph.input_ports[index] for index in order),
        constants=tuple(constant for constant in graph.constants if constant.name in needed),
        nodes=tuple(node for node in graph.nodes if node.name in needed),
    )
