"""What the vector unit runs, under which conditions, and how."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gatewright import ir
from gatewright.ir import Graph, Node
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import element_bytes
from gatewright.targets.array.map_vector import map_vector_elementwise
from gatewright.targets.array.map_vector_moves import (
    LEVELS,
    Strided,
    map_vector_broadcast,
    map_vector_concat,
    map_vector_pad,
    map_vector_slice,
    map_vector_transpose,
    map_vector_upsample,
    repeated,
    transposed,
)
from gatewright.targets.array.map_vector_windows import (
    map_vector_average_pool,
    map_vector_depthwise,
    map_vector_max_pool,
    map_vector_reduction,
    map_vector_rounded,
    rounded_weights,
)
from gatewright.targets.array.vector_job import VectorPass
from gatewright.targets.target import Predicate

__all__ = ["VECTOR_MAPPERS", "VECTOR_RULES", "sum_bits", "vector_reason"]

_MOST_COUNT = 16383  # taps, pixels of a row, rows: the counts of the nests
_MOST_HEIGHT = 8191  # rows of an image with windows: y is signed
_MOST_ROW = (1 << 19) - 1  # bytes of a row: x is signed
_FACTOR_BITS = 25
_MULTIPLIER_BITS = 24
_MOST_SHIFT = 63

Reason = str | None
Mapper = Callable[[Graph, Layer, ArrayConfig], list[VectorPass]]


def vector_reason(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    """Why the vector unit of this configuration cannot run a node, or None."""
    if not config.vector_lanes:
        return "the configuration has no vector unit (vector_lanes = 0)"
    rule = _REASONS.get(type(node.op))
    if rule is None:
        return f"the vector unit has no {node.op.name}"
    operands = None if _requantises_sums(node, graph) else _operands(node, graph, config)
    return operands or _result(node, graph, config) or rule(node, graph, config)


def _requantises_sums(node: Node, graph: Graph) -> bool:
    producer = graph.producer(node.inputs[0])
    return isinstance(node.op, ir.Requantise) and producer is not None and isinstance(producer.op, _SUMS)


# What holds for all operators.


def _operands(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    for name in _data(node):
        dtype = graph.type_of(name).dtype
        moved = isinstance(node.op, _MOVES)
        most = 32 if moved and config.vector_operand_bytes == 2 else 8 * config.vector_operand_bytes
        if not dtype.signed or dtype.width > most:
            return f"operand {name!r} must be signed with {most} bits at most, not {dtype}"
    first = node.inputs[0]
    if graph.is_constant(first) and len(_data(node)) == 1:
        return f"operand {first!r} must be an activation, not a constant"
    return None


def _data(node: Node) -> tuple[str, ...]:
    """Operands that are elements like those of the result, rather than parameters."""
    if isinstance(node.op, ir.Concat):
        return node.inputs
    return node.inputs[:2] if isinstance(node.op, ir.Add | ir.Multiply | ir.Shift) else node.inputs[:1]


def _result(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    dtype, most = node.type.dtype, 8 * config.vector_result_bytes
    readers = graph.consumers(node.name)
    if len(readers) == 1 and node.name not in graph.outputs and _requantises_sums(readers[0], graph):
        return None  # the sum is not written
    if not dtype.signed or dtype.width > most:
        return f"the result must be signed with {most} bits at most, not {dtype}"
    return None


def _zero(value: int, config: ArrayConfig, name: str = "x_zero", *, pad: bool = False) -> Reason:
    """Zero points have a bit more than elements, unless they are what padding inserts."""
    half = 1 << (8 * config.vector_operand_bytes - pad)
    return None if -half <= value < half else f"{name} must be within {-half}..{half - 1}, not {value}"


def _multipliers(values: list[int], config: ArrayConfig) -> Reason:
    limit = min(config.vector_multiplier_width, _MULTIPLIER_BITS)
    wrong = next((value for value in values if not 0 <= value < 1 << limit), None)
    return None if wrong is None else f"mul must be below 2^{limit}, not {wrong}"


def _sum(bound: int, config: ArrayConfig) -> Reason:
    """`bound` is the greatest magnitude of a sum."""
    if bound < 1 << (config.vector_sum_width - 1):
        return None
    return f"its sums reach {bound}, beyond the {config.vector_sum_width} bits of the vector unit's"


def _reach(graph: Graph, name: str, zero: int) -> int:
    """Greatest magnitude of a value less its zero point."""
    low, high = ir.value_range(graph, name)
    return max(abs(low - zero), abs(high - zero))


def sum_bits(node: Node, graph: Graph) -> int:
    """Bits that the vector unit's sums need for a node."""
    return _greatest_sum(node, graph).bit_length() + 1


def _greatest_sum(node: Node, graph: Graph) -> int:
    op = node.op
    if isinstance(op, ir.Conv2d | ir.RoundedConv2d):
        low, high = ir.accumulator_bounds(graph, node)
        rounding = graph.type_of(node.inputs[1]).size if isinstance(op, ir.RoundedConv2d) else 0
        return max(-int(low.min()), int(high.max())) + rounding
    if isinstance(op, ir.AveragePool):
        return op.kernel[0] * op.kernel[1] * _reach(graph, node.inputs[0], op.x_zero)
    if isinstance(op, ir.Add):
        a, b = _reach(graph, node.inputs[0], op.a_zero), _reach(graph, node.inputs[1], op.b_zero)
        return abs(op.mul_a) * a + abs(op.mul_b) * b
    if isinstance(op, ir.Multiply):
        return _reach(graph, node.inputs[0], op.a_zero) * _reach(graph, node.inputs[1], op.b_zero)
    if isinstance(op, ir.Shift):
        return _reach(graph, node.inputs[0], op.a_zero)
    if isinstance(op, ir.LeakyRelu | ir.Requantise):
        return _reach(graph, node.inputs[0], op.x_zero)
    if isinstance(op, ir.ArgMax):
        return graph.type_of(node.inputs[0]).shape[-1]
    return 1 << (8 * min(element_bytes(graph.type_of(node.inputs[0]).dtype), 2) - 1)


# One rule an operator.


def _window(node: Node, graph: Graph, kernel: tuple[int, ...]) -> Reason:
    shape, size = graph.type_of(node.inputs[0]).shape, element_bytes(graph.type_of(node.inputs[0]).dtype)
    if max(kernel) > _MOST_COUNT:
        return f"the kernel must have at most {_MOST_COUNT} rows and columns, not {kernel[0]} x {kernel[1]}"
    if max(shape[1], node.type.shape[1]) > _MOST_HEIGHT:
        return f"images must have at most {_MOST_HEIGHT} rows, not {max(shape[1], node.type.shape[1])}"
    if shape[2] * shape[3] * size > _MOST_ROW:
        return f"rows must have at most {_MOST_ROW} bytes, not {shape[2] * shape[3] * size}"
    return None


def _max_pool(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.MaxPool)
    return _maximum(config) or _window(node, graph, op.kernel)


def _maximum(config: ArrayConfig) -> Reason:
    return None if config.vector_maximum else "the vector unit has no maximum (vector_maximum = false)"


def _average_pool(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.AveragePool)
    used = set(op.divisors(graph.type_of(node.inputs[0])).reshape(-1).tolist())
    multipliers = [mul for divisor, mul in op.multipliers if divisor in used]
    return (
        _window(node, graph, op.kernel)
        or _zero(op.x_zero, config, pad=any(op.pads))
        or _multipliers(multipliers, config)
        or _sum(_greatest_sum(node, graph), config)
    )


def _reduction(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    count = graph.type_of(node.inputs[0]).shape[-1]
    if count > _MOST_COUNT:
        return f"the last axis must have at most {_MOST_COUNT} elements, not {count}"
    return _maximum(config)


def _depthwise(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op, weights = node.op, graph.type_of(node.inputs[1])
    assert isinstance(op, ir.Conv2d)
    channels = graph.type_of(node.inputs[0]).shape[3]
    if not (op.groups == channels == weights.shape[0] and channels > 1):
        return "the vector unit takes convolutions of each channel with one kernel of its own only"
    return _window(node, graph, weights.shape[1:3]) or _weights(node, graph, config, op.x_zero)


def _rounded(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op, weights = node.op, graph.type_of(node.inputs[1])
    assert isinstance(op, ir.RoundedConv2d)
    reason = _window(node, graph, weights.shape[1:3]) or _weights(node, graph, config, op.x_zero)
    if reason or weights.shape[3] > _MOST_COUNT:
        return reason or f"x must have at most {_MOST_COUNT} channels, not {weights.shape[3]}"
    scaled, shift = rounded_weights(graph, node.inputs[1], node.inputs[2])
    if shift and not config.vector_product_shift:
        return "the vector unit does not round products (vector_product_shift = false)"
    limit = 1 << (8 * config.vector_operand_bytes - 1)
    low, high = int(scaled.min()), int(scaled.max())
    if low < -limit or high >= limit:
        return f"weights brought under one shift must be within {-limit}..{limit - 1}, not {low}..{high}"
    return None


def _weights(node: Node, graph: Graph, config: ArrayConfig, x_zero: int) -> Reason:
    """Constant weights and bias, and sums that fit."""
    for name in node.inputs[1:]:
        if not graph.is_constant(name):
            return f"operand {name!r} must be a constant"
    if not config.vector_operand:
        return "the vector unit has no second operand (vector_operand = false)"
    weights, limit = graph.constant(node.inputs[1]).array, 1 << (8 * config.vector_operand_bytes - 1)
    if int(weights.min()) < -limit or int(weights.max()) >= limit:
        return f"weights must be within {-limit}..{limit - 1}, not {weights.min()}..{weights.max()}"
    if len(node.inputs) == len(node.op.operands):
        bias, width = graph.constant(node.inputs[-1]).array, config.bias_width
        if bias.size and max(-int(bias.min()), int(bias.max()) + 1) > 1 << (width - 1):
            return f"the bias must have at most {width} bits, not be {bias.min()}..{bias.max()}"
    return _zero(x_zero, config, pad=True) or _sum(_greatest_sum(node, graph), config)


def _add(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Add)
    if not (config.vector_affine and config.vector_operand):
        return "the vector unit has no addition (vector_affine = false)"
    if not all(-(1 << (_FACTOR_BITS - 1)) <= mul < 1 << (_FACTOR_BITS - 1) for mul in (op.mul_a, op.mul_b)):
        return f"multipliers must have {_FACTOR_BITS} bits with their sign, not be {op.mul_a} and {op.mul_b}"
    zeros = _zero(op.a_zero, config, "a_zero") or _zero(op.b_zero, config, "b_zero")
    return zeros or _sum(_greatest_sum(node, graph), config)


def _multiply(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Multiply)
    if not config.vector_operand:
        return "the vector unit has no second operand (vector_operand = false)"
    zeros = _zero(op.a_zero, config, "a_zero") or _zero(op.b_zero, config, "b_zero")
    return zeros or _multipliers([op.mul], config) or _sum(_greatest_sum(node, graph), config)


def _shift(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Shift)
    if not config.vector_shift:
        return "the vector unit has no shift (vector_shift = false)"
    return _zero(op.a_zero, config, "a_zero") or _zero(op.b_zero, config, "b_zero")


def _leaky_relu(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.LeakyRelu)
    return _zero(op.x_zero, config) or _multipliers([op.mul], config)


def _requantise(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Requantise)
    if not all(graph.is_constant(name) for name in node.inputs[1:3]):
        return "mul and shift must be constants"
    if not 0 <= (op.negative_shift or 0) <= _MOST_SHIFT:
        return f"negative_shift must be within 0..{_MOST_SHIFT}, not {op.negative_shift}"
    values = graph.constant(node.inputs[1]).array.reshape(-1).tolist()
    return _zero(op.x_zero, config) or _multipliers(values, config)


def _any(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    return None


def _lut(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    if not config.vector_table:
        return "the vector unit has no table (vector_table = false)"
    if graph.type_of(node.inputs[0]).dtype.width > 8:
        return f"the operand must have at most 8 bits, not {graph.type_of(node.inputs[0]).dtype}"
    if not graph.is_constant(node.inputs[1]):
        return "the table must be a constant"
    return None if node.type.dtype.width <= 8 else f"the result must have at most 8 bits, not {node.type.dtype}"


def _pad(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Pad)
    if len(op.pads) != 4 or any(op.pads[0]) or any(op.pads[3]):
        return f"only height and width of [N, H, W, C] can be padded, not {op.pads}"
    if element_bytes(node.type.dtype) > 2:
        return f"the operand must have at most 16 bits, not {node.type.dtype}"
    return _window(node, graph, (1, 1))


def _slice(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Slice)
    if len(op.steps) > 4:
        return f"at most four axes, not {len(op.steps)}"
    return _row(graph.type_of(node.inputs[0]), prod(graph.type_of(node.inputs[0]).shape[-2:]))


def _row(type: ir.TensorType, elements: int) -> Reason:
    size = elements * element_bytes(type.dtype)
    return None if size <= _MOST_ROW else f"rows must have at most {_MOST_ROW} bytes, not {size}"


def _transpose(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op, x = node.op, graph.type_of(node.inputs[0])
    assert isinstance(op, ir.Transpose)
    return _strided(transposed(x, op), x, config)


def _broadcast(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op, x = node.op, graph.type_of(node.inputs[0])
    assert isinstance(op, ir.Broadcast)
    return _strided(repeated(x, op), x, config)


def _strided(move: Strided, x: ir.TensorType, config: ArrayConfig) -> Reason:
    axes = len(move.counts) + (element_bytes(x.dtype) > 2)
    size = x.size * element_bytes(x.dtype)
    if axes > LEVELS:
        return f"at most {LEVELS} axes (those that stay together count as one) beside the last, not {axes}"
    if any(count > _MOST_COUNT for count in move.counts[1:]):
        return f"dimensions must be at most {_MOST_COUNT}, not {max(move.counts[1:])}"
    if size > config.activation_bytes:
        return f"activation_bytes must be at least {size}, the bytes to move, not {config.activation_bytes}"
    return _row(x, x.size)


def _upsample(node: Node, graph: Graph, config: ArrayConfig) -> Reason:
    op = node.op
    assert isinstance(op, ir.Upsample)
    if max(op.factors) > _MOST_COUNT:
        return f"factors must be at most {_MOST_COUNT}, not {op.factors}"
    return _window(node, graph, (1, 1))


_MOVES = ir.Concat | ir.Slice | ir.Transpose | ir.Upsample | ir.Broadcast | ir.Reshape
_SUMS = ir.Conv2d | ir.RoundedConv2d

_SUMS_FIT = "sums fit vector_sum_width"
_STRIDED = (f"at most {LEVELS} axes beside the last", "the operand fits activation_bytes")

_TABLE: tuple[tuple[type[ir.Operator], tuple[str, ...], Predicate, Mapper | None], ...] = (
    (ir.Conv2d, ("one filter for each channel", _SUMS_FIT), _depthwise, map_vector_depthwise),
    (ir.RoundedConv2d, ("weights brought under one shift fit vector_operand_bytes",), _rounded, map_vector_rounded),
    (ir.Requantise, ("mul below 2^vector_multiplier_width",), _requantise, map_vector_elementwise),
    (ir.Add, ("vector_affine = true", "multipliers of 25 bits", _SUMS_FIT), _add, map_vector_elementwise),
    (ir.Multiply, ("vector_operand = true", "products fit vector_sum_width"), _multiply, map_vector_elementwise),
    (ir.Shift, ("vector_shift = true",), _shift, map_vector_elementwise),
    (ir.LeakyRelu, ("mul below 2^vector_multiplier_width",), _leaky_relu, map_vector_elementwise),
    (ir.MaxPool, ("vector_maximum = true",), _max_pool, map_vector_max_pool),
    (ir.AveragePool, (_SUMS_FIT,), _average_pool, map_vector_average_pool),
    (ir.ReduceMax, ("vector_maximum = true",), _reduction, map_vector_reduction),
    (ir.ArgMax, ("vector_maximum = true",), _reduction, map_vector_reduction),
    (ir.Clip, (), _any, map_vector_elementwise),
    (ir.Lut, ("vector_table = true", "operand of at most 8 bits"), _lut, map_vector_elementwise),
    (ir.Concat, (), _any, map_vector_concat),
    (ir.Pad, ("height and width only",), _pad, map_vector_pad),
    (ir.Slice, ("at most four axes",), _slice, map_vector_slice),
    (ir.Transpose, _STRIDED, _transpose, map_vector_transpose),
    (ir.Broadcast, _STRIDED, _broadcast, map_vector_broadcast),
    (ir.Upsample, (), _upsample, map_vector_upsample),
    (ir.Reshape, (), _any, None),
)
"""Of each operator: under which conditions it runs, why not, and the passes it becomes."""

_REASONS = {op: refuse for op, _, refuse, _ in _TABLE}
VECTOR_MAPPERS = {op: mapper for op, *_, mapper in _TABLE if mapper is not None}
VECTOR_RULES = tuple(
    (op, "no work" if op is ir.Reshape else "vector unit", conditions) for op, conditions, *_ in _TABLE
)
