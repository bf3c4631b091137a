"""Activations: bounds where a function is a clip, a table of one integer for everything else."""

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.fold import evaluate_nodes
from gatewright.frontends.onnx.ops.host import on_host
from gatewright.frontends.onnx.products import Product
from gatewright.frontends.onnx.sums import Table
from gatewright.frontends.onnx.values import Constant, QuantisedConstant, Real, Scaled
from gatewright.ir import Clip, HostStep

__all__ = ["FUNCTIONS", "clip", "elementwise", "leaky_relu", "maximum", "minimum", "relu", "same_integer", "sigmoid"]

FUNCTIONS = (  # of one operand, and constants with one entry: they become tables
    "Abs",
    "Acos",
    "Asin",
    "Atan",
    "Celu",
    "Ceil",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "FastGelu",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Log",
    "Mish",
    "Neg",
    "PRelu",
    "Pow",
    "QuickGelu",
    "Reciprocal",
    "Round",
    "Selu",
    "Shrink",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
)


def elementwise(call: Call) -> Table:
    """Between a DequantizeLinear and a QuantizeLinear: an exact table; also several steps in a row."""
    tables = [_table(call, index) for index in range(len(call.operands))]
    if len({table.view for table in tables if isinstance(table, Table)}) > 1:
        tables = [_table(call, index, first=True) for index in range(len(call.operands))]
    activations = [table for table in tables if isinstance(table, Table)]
    first = activations[0]
    if any((other.view, other.shape) != (first.view, first.shape) for other in activations):
        raise Unsupported("its operands must be one activation and constants, or functions of one activation")
    feeds = {}
    for value, table in zip(call.node.inputs, tables, strict=True):
        if value is not None and table is not None:
            feeds[value.name or ""] = table.numbers if isinstance(table, Table) else table
    (numbers,) = evaluate_nodes([call.node], [call.output], feeds, call.opsets)
    if numbers.shape != first.numbers.shape:
        raise Unsupported(f"its constants must have one entry, so that the result keeps the shape {list(first.shape)}")
    return Table(shape=first.shape, view=first.view, numbers=numbers.astype(np.float32), kind=call.node.op_type)


def relu(call: Call) -> Known:
    """Before a QuantizeLinear: a bound of the clip."""
    return _clip(call, 0.0, np.inf)


def clip(call: Call) -> Known:
    """Before a QuantizeLinear, or on integers; constant bounds."""
    low = call.number(1) if call.has(1) else -np.inf
    high = call.number(2) if call.has(2) else np.inf
    return _clip(call, low, high)


def maximum(call: Call) -> Known:
    """With a number: a bound. (No maximum of two activations.)"""
    return _bound(call, low=True)


def minimum(call: Call) -> Known:
    """With a number: a bound. (No minimum of two activations.)"""
    return _bound(call, low=False)


def leaky_relu(call: Call) -> Known:
    """After Conv, Gemm or MatMul with a slope 2^-k; otherwise as the other functions."""
    x = call.value(0)
    slope = call.get_float("alpha", 0.01)
    if not isinstance(x, Product):
        return elementwise(call)
    mantissa, exponent = np.frexp(slope)
    if mantissa != 0.5 or exponent > 1 or not x.plain:
        raise Unsupported(
            f"slope {slope:g} must be a power of two where no QuantizeLinear and DequantizeLinear precede it"
        )
    return x.leaky(int(1 - exponent))


def sigmoid(call: Call) -> Known:
    """As the other functions; at the end of the network on the host."""
    x, step = call.value(0), HostStep("sigmoid")
    if isinstance(x, Product) and x.plain:
        return on_host(call, 0).then(step)
    table = elementwise(call)
    return table.on_host(x, step) if isinstance(x, Scaled) else table


def same_integer(a: Known, b: Known) -> bool:
    """Whether two reals are functions of one integer of the graph."""
    kinds = (Scaled, Table)
    return isinstance(a, kinds) and isinstance(b, kinds) and (a.view, a.shape) == (b.view, b.shape)


def _table(call: Call, index: int, first: bool = False) -> Table | np.ndarray | None:
    value = call.operands[index]
    match value:
        case None:
            return None
        case Constant() | QuantisedConstant():
            return value.array.reshape(()) if value.array.size == 1 else value.array
        case Table():
            return value.tabulated()
        case Scaled():
            return Table.of(call.context, value, first)
    raise Unsupported(call.not_quantised(index))


def _clip(call: Call, low: float, high: float) -> Known:
    value = call.value(0)
    if isinstance(value, Real):
        return value.bounded(low, high)
    integer = call.integer(0)
    dtype = call.context.type_of(integer.view.value).dtype
    bounds = Clip(int(max(low, dtype.min)), int(min(high, dtype.max)))
    result = call.context.add(bounds, integer.view.value, name=call.output)
    return integer.moved_to(integer.view.at(result))


def _bound(call: Call, low: bool) -> Known:
    values = [call.value(index) for index in range(len(call.operands))]
    constants = [value.array for value in values if isinstance(value, Constant | QuantisedConstant)]
    reals = [value for value in values if isinstance(value, Real)]
    if len(reals) != 1 or len(values) != 2 or len(constants) != 1 or constants[0].size != 1:
        raise Unsupported("it must have one activation and one constant with one entry")
    number = float(constants[0].reshape(-1)[0])
    return reals[0].bounded(number, np.inf) if low else reals[0].bounded(-np.inf, number)
