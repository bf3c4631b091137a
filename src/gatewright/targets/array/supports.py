"""What the array datapath runs, under which conditions, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gatewright import ir
from gatewright.ir import Graph, Node
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Job, element_bytes
from gatewright.targets.array.map_mac import map_average_pool, map_conv2d, map_matmul
from gatewright.targets.array.map_move import (
    map_concat,
    map_elementwise,
    map_max_pool,
    map_pad,
    map_slice,
    map_transpose,
    map_upsample,
)
from gatewright.targets.array.supports_vector import VECTOR_RULES, vector_reason
from gatewright.targets.target import Predicate, Rule, Support

__all__ = ["ARRAY_MAPPERS", "ARRAY_RULES", "SUPPORT", "array_reason"]

Mapper = Callable[[Graph, Layer, ArrayConfig], list[Job]]

_ADD_MULTIPLIER_BITS = 17
_MOST_WINDOW = 1023  # pixels of a pooling window: CONFIG_POST.pool_count
_MOST_TAPS = 1023  # rows or columns of a kernel: CONFIG_TAPS.count_r, count_s
_MOST_COUNT = 16383  # pixels of a row, rows: the counts of CONFIG_PIXELS


def _activation(node: Node, graph: Graph, config: ArrayConfig, count: int = 1) -> str | None:
    """Operands that the array reads must be computed values, signed, of a width that it takes."""
    for name in node.inputs[:count]:
        if graph.is_constant(name):
            return f"operand {name!r} must be an activation, not a constant"
        dtype = graph.type_of(name).dtype
        if not dtype.signed or dtype.width > config.activation_width:
            most = f"signed with {config.activation_width} bits at most (activation_width)"
            return f"operand {name!r} must be {most}, not {dtype}"
    return None


def _result(node: Node, config: ArrayConfig, most: int = 32) -> str | None:
    """The result must be signed, of a width that the post unit writes."""
    dtype, most = node.type.dtype, min(config.result_width, most)
    if not dtype.signed or dtype.width > most:
        why = " (result_width)" if most == config.result_width else ""
        return f"the result must be signed with {most} bits at most{why}, not {dtype}"
    return None


def _passed(node: Node, graph: Graph, config: ArrayConfig, count: int = 1) -> str | None:
    """Operands that go through the array and the post unit unchanged, up to the tail."""
    reason = _activation(node, graph, config, count)
    if reason:
        return reason
    widest = max(graph.type_of(name).dtype.width for name in node.inputs[:count])
    if widest > config.result_width:
        return f"operands must have {config.result_width} bits at most (result_width), not {widest}"
    return None


def _multiplier(values: list[int], config: ArrayConfig) -> str | None:
    if config.dyadic:
        wrong = next((value for value in values if value < 1 or value & (value - 1)), None)
        return None if wrong is None else f"a dyadic machine (multiplier_width = 0) only shifts, mul is {wrong}"
    wrong = next((value for value in values if value >= 1 << config.multiplier_width), None)
    return None if wrong is None else f"mul must be below 2^{config.multiplier_width}, not {wrong}"


def _product(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    """Convolution and matrix product: constant weights, sums that are requantised or themselves the result."""
    reason = _activation(node, graph, config)
    if reason:
        return reason
    for name in node.inputs[1:]:
        if not graph.is_constant(name):
            return f"operand {name!r} must be a constant"
    weights = graph.constant(node.inputs[1]).array
    low, high = -(1 << (config.weight_width - 1)), (1 << (config.weight_width - 1)) - 1
    if weights.size and not low <= int(weights.min()) <= int(weights.max()) <= high:
        return f"weights must be within {low}..{high}, not {weights.min()}..{weights.max()}"
    readers = graph.consumers(node.name)
    requantised = len(readers) == 1 and isinstance(readers[0].op, ir.Requantise) and node.name not in graph.outputs
    if not requantised and node.type.dtype.width > config.result_width:
        return (
            f"its sums must go to one requantise, and nowhere else: the machine writes results of "
            f"{config.result_width} bits at most (result_width), not {node.type.dtype}"
        )
    return _accumulator(node, graph, config)


def _accumulator(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    low, high = ir.accumulator_bounds(graph, node)
    limit = 1 << (config.accumulator_width - 1)
    if int(low.min()) < -limit or int(high.max()) >= limit:
        return (
            f"its sums lie within {int(low.min())}..{int(high.max())}, beyond the {config.accumulator_width} bits of "
            f"the accumulator (accumulator_width)"
        )
    return None


def _conv2d(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    shape = graph.type_of(node.inputs[1]).shape
    if max(shape[1:3]) > _MOST_TAPS:
        return f"the kernel must have at most {_MOST_TAPS} rows and columns, not {shape[1]} x {shape[2]}"
    return _product(node, graph, config)


def _requantise(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.Requantise)
    if not all(graph.is_constant(name) for name in node.inputs[1:3]):
        return "mul and shift must be constants"
    producer = graph.producer(node.inputs[0])
    if producer is None or not isinstance(producer.op, ir.Conv2d | ir.MatMul):
        reason = _activation(node, graph, config) or _shifted(node, graph, config)
        if reason:
            return reason
    if op.negative_shift is not None and not 0 <= op.negative_shift < 32:
        return f"negative_shift must be within 0..31, not {op.negative_shift}"
    if op.x_zero and producer is not None and isinstance(producer.op, ir.Conv2d | ir.MatMul):
        return "x_zero must be 0 behind a convolution or product"
    if reason := _result(node, config):
        return reason
    limit = 1 << config.result_width  # of `result_shape` in gatewright.hdl.requantise
    if not -limit <= op.zero < limit:
        return f"zero must be within {-limit}..{limit - 1}, not {op.zero}"
    return _multiplier(graph.constant(node.inputs[1]).array.reshape(-1).tolist(), config)


def _shifted(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    """x - x_zero of a requantisation on its own must fit the accumulator."""
    width = graph.type_of(node.inputs[0]).dtype.width + 2
    if width > config.accumulator_width:
        return f"accumulator_width must be at least {width}, not {config.accumulator_width}"
    return None


def _add(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.Add)
    if not config.residual:
        return "the configuration has no residual adder (residual = false)"
    if max(abs(op.mul_a), abs(op.mul_b)) >= 1 << _ADD_MULTIPLIER_BITS:
        return f"multipliers must be below 2^{_ADD_MULTIPLIER_BITS}, not {op.mul_a} and {op.mul_b}"
    return _passed(node, graph, config, 2) or _result(node, config, 16)


def _max_pool(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.MaxPool)
    if not config.pool:
        return "the configuration has no maximum unit (pool = false)"
    if op.kernel[0] * op.kernel[1] > _MOST_WINDOW:
        return f"the window must have at most {_MOST_WINDOW} pixels, not {op.kernel[0]} x {op.kernel[1]}"
    return _passed(node, graph, config)


def _average_pool(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.AveragePool)
    if max(op.kernel) > _MOST_TAPS:
        return f"the kernel must have at most {_MOST_TAPS} rows and columns, not {op.kernel[0]} x {op.kernel[1]}"
    bound = op.kernel[0] * op.kernel[1] << graph.type_of(node.inputs[0]).dtype.width
    if bound >= 1 << (config.accumulator_width - 1):
        return f"the window is too large for an accumulator of {config.accumulator_width} bits"
    used = set(op.divisors(graph.type_of(node.inputs[0])).reshape(-1).tolist())
    multipliers = [mul for divisor, mul in op.multipliers if divisor in used]
    return _multiplier(multipliers, config) or _activation(node, graph, config) or _result(node, config)


def _lut(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    if not config.lut:
        return "the configuration has no table (lut = false)"
    operand = graph.type_of(node.inputs[0]).dtype
    if operand.width > 8:
        return f"the operand must have 8 bits at most, as the table has 256 entries, not {operand}"
    if not graph.is_constant(node.inputs[1]):
        return "the table must be a constant"
    return _activation(node, graph, config) or _result(node, config, 8)


def _move(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    return _passed(node, graph, config)


def _view(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    """A reshape moves nothing, so what the post unit writes can be reshaped as well."""
    dtype = graph.type_of(node.inputs[0]).dtype
    most = max(config.activation_width, config.result_width)
    if not dtype.signed or dtype.width > most:
        return f"operand {node.inputs[0]!r} must be signed with {most} bits at most, not {dtype}"
    return None


def _concat(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    return _passed(node, graph, config, len(node.inputs))


def _pad(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.Pad)
    if len(op.pads) != 4 or any(op.pads[0]) or any(op.pads[3]):
        return f"only height and width of [N, H, W, C] can be padded, not {op.pads}"
    return _passed(node, graph, config)


def _slice(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.Slice)
    if len(op.steps) > 4 or op.steps[-1] != 1:
        return f"at most four axes, and step 1 along the last, not steps {op.steps}"
    return _passed(node, graph, config)


def _transpose(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    op = node.op
    assert isinstance(op, ir.Transpose)
    shape = graph.type_of(node.inputs[0]).shape
    if len(shape) > 4:
        return f"at most four axes can be transposed, not {len(shape)}"
    size = graph.type_of(node.inputs[0]).size // (shape[0] if op.permutation[0] == 0 else 1)
    size *= element_bytes(node.type.dtype)
    if max(shape) > _MOST_COUNT:
        return f"dimensions must be at most {_MOST_COUNT}, not {max(shape)}"
    if size > config.activation_bytes:
        return f"activation_bytes must be at least {size}, the bytes to transpose, not {config.activation_bytes}"
    return _passed(node, graph, config)


_MULTIPLIER = "mul below 2^multiplier_width; a power of two on a dyadic machine"
_OPERAND = "activations signed, at most activation_width and result_width"
_SUMS = "sums fit accumulator_width and go to one requantise, or fit result_width"

_RULES: tuple[tuple[type[ir.Operator], str, tuple[str, ...], Predicate, Mapper | None], ...] = (
    (
        ir.Conv2d,
        "array; groups by block-diagonal weights",
        ("constant weights within weight_width", _SUMS),
        _conv2d,
        map_conv2d,
    ),
    (ir.MatMul, "array", ("constant weights within weight_width", _SUMS), _product, map_matmul),
    (ir.Requantise, "post unit", (_MULTIPLIER, "negative_shift 0..31"), _requantise, map_elementwise),
    (
        ir.Add,
        "post unit",
        ("residual = true", "multipliers below 2^17", "at most 16 bits", _OPERAND),
        _add,
        map_elementwise,
    ),
    (ir.MaxPool, "post unit", ("pool = true", "at most 1023 pixels a window"), _max_pool, map_max_pool),
    (ir.AveragePool, "array (sum), post unit", (_MULTIPLIER,), _average_pool, map_average_pool),
    (ir.Clip, "post unit", (_OPERAND,), _move, map_elementwise),
    (ir.Lut, "post unit", ("lut = true", "operand and entries of at most 8 bits"), _lut, map_elementwise),
    (ir.Concat, "array (identity)", (_OPERAND,), _concat, map_concat),
    (ir.Pad, "array (identity)", ("height and width only",), _pad, map_pad),
    (ir.Slice, "array (identity)", ("at most four axes", "step 1 along the last"), _slice, map_slice),
    (
        ir.Transpose,
        "array (identity)",
        ("at most four axes", "one image fits activation_bytes"),
        _transpose,
        map_transpose,
    ),
    (ir.Upsample, "array (identity)", (_OPERAND,), _move, map_upsample),
    (ir.Reshape, "no work", ("operand fits activation_width or result_width",), _view, None),
)
"""Of each operator: which part runs it, under which conditions, why not, and the jobs it becomes."""

_ARRAY = {op: refuse for op, _, _, refuse, _ in _RULES}
ARRAY_MAPPERS = {op: mapper for op, *_, mapper in _RULES if mapper is not None}


def array_reason(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    """Why a node cannot run on the array and its post unit, or None."""
    refuse = _ARRAY.get(type(node.op))
    return f"the array has no {node.op.name}" if refuse is None else refuse(node, graph, config)


ARRAY_RULES = tuple(Rule(op.name, runs, conditions, array_reason) for op, runs, conditions, *_ in _RULES)
"""Of a machine without a vector unit."""


def _either(node: Node, graph: Graph, config: ArrayConfig) -> str | None:
    """Why neither unit can run a node, or None."""
    reason = array_reason(node, graph, config)
    if reason is None:
        return None
    vector = vector_reason(node, graph, config)
    if vector is None:
        return None
    of_array = type(node.op) in _ARRAY and (not config.vector_lanes or isinstance(node.op, ir.Conv2d | ir.MatMul))
    return reason if of_array else vector


def _rules() -> Iterator[Rule]:
    vector = {op: (runs, conditions) for op, runs, conditions in VECTOR_RULES}
    for op, runs, conditions, *_ in _RULES:
        if op in vector:
            more, beside = vector.pop(op)
            beside = (f"{more}: {', '.join(beside)}",) if beside else ()
            yield Rule(op.name, runs if more == runs else f"{runs}; {more}", (*conditions, *beside), _either)
        else:
            yield Rule(op.name, runs, conditions, _either)
    for op, (runs, conditions) in vector.items():
        yield Rule(op.name, runs, conditions, _either)


SUPPORT = Support(tuple(_rules()))
