"""Range analysis: what a value can hold, and whether every sum fits its accumulator."""

from collections.abc import Callable, Mapping

import numpy as np

from gatewright.errors import GraphError
from gatewright.ir.graph import Graph, Node
from gatewright.ir.numerics import Rounding, largest, rounding_shift
from gatewright.ir.ops import (
    Add,
    ArgMax,
    AveragePool,
    Broadcast,
    Clip,
    Concat,
    Conv2d,
    LeakyRelu,
    Lut,
    MatMul,
    MaxPool,
    Multiply,
    Pad,
    ReduceMax,
    Requantise,
    Reshape,
    RoundedConv2d,
    Shift,
    Slice,
    Transpose,
    Upsample,
)
from gatewright.ir.products import signed_sums

__all__ = ["accumulator_bounds", "check_accumulators", "value_range"]

Range = tuple[int, int]

_SUMS = Conv2d | MatMul | RoundedConv2d


def value_range(graph: Graph, name: str) -> Range:
    """Bounds on a value: the array of a constant, the clip of its producer, or what its type holds."""
    if graph.is_constant(name):
        array = graph.constant(name).array
        return int(array.min()), int(array.max())
    node = graph.producer(name)
    rule = None if node is None else _RULES.get(type(node.op))
    if node is None or rule is None:
        dtype = graph.type_of(name).dtype
        return dtype.min, dtype.max
    return rule(graph, node)


def accumulator_bounds(graph: Graph, node: Node) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest final sum, bias included, of each output channel of a convolution or product.

    Each bound is reached by some x within its range (unless padding or correlated inputs forbid it), so a sum that may
    not fit is no artefact of the analysis. int64, or Python integers where int64 might not do.
    """
    op = node.op
    if not isinstance(op, _SUMS):
        raise GraphError(f"{op.name} {node.name!r}: node must be a convolution or product")
    low, high = (bound - op.x_zero for bound in value_range(graph, node.inputs[0]))
    if isinstance(op, Conv2d | RoundedConv2d) and any(op.pads):
        low, high = min(low, 0), max(high, 0)
    if isinstance(op, RoundedConv2d):
        least, greatest = _rounded_sums(graph, node, low, high)
    else:
        least, greatest = _sums(graph, node.inputs[1], low, high)
    for bias in node.inputs[len(op.operands) - 1 :]:
        bias_low, bias_high = _bias(graph, bias)
        wide = object if largest(bias_low) + largest(least) + largest(greatest) >= 1 << 62 else np.int64
        least, greatest = least.astype(wide) + bias_low, greatest.astype(wide) + bias_high
    return least, greatest


def check_accumulators(graph: Graph) -> None:
    """Raise `GraphError` naming the layer where some input could overflow a sum."""
    for node in graph.nodes:
        if isinstance(node.op, _SUMS):
            dtype = node.op.accumulator
            least, greatest = accumulator_bounds(graph, node)
            if not dtype.holds(int(least.min()), int(greatest.max())):
                channel = int(np.argmax(np.maximum(-least, greatest)))
                sums = f"sums of {least[channel]}..{greatest[channel]} (output channel {channel})"
                raise GraphError(f"{node.op.name} {node.name!r}: {sums} must fit the accumulator {dtype}")


def _sums(graph: Graph, weights: str, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Per output channel, the bounds of Σ x · w for every x within low..high."""
    shape = graph.type_of(weights).shape
    if not graph.is_constant(weights):
        weight_low, weight_high = value_range(graph, weights)
        products = [x * w for x in (low, high) for w in (weight_low, weight_high)]
        count = int(np.prod(shape[1:]))
        ones = np.ones(shape[0], object)
        return ones * min(products) * count, ones * max(products) * count
    rows = graph.constant(weights).array.reshape(shape[0], -1)
    wide = max(abs(low), abs(high)) * largest(rows) * rows.shape[1] >= 1 << 62
    positive, negative = (sums.astype(object) if wide else sums for sums in signed_sums(rows))
    return positive * low + negative * high, positive * high + negative * low


def _rounded_sums(graph: Graph, node: Node, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Per output channel, the bounds of Σ half_up(x · w / 2^shift): rounding keeps the order of products."""
    arrays = [graph.constant(name).array if graph.is_constant(name) else None for name in node.inputs[1:3]]
    if arrays[0] is None or arrays[1] is None:
        return _sums(graph, node.inputs[1], min(low, 0), max(high, 0))  # rounding never leads away from 0
    rows = arrays[0].reshape(len(arrays[0]), -1).astype(object)
    ends = [rounding_shift(rows * x, arrays[1][:, None], Rounding.HALF_UP) for x in (low, high)]
    return np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)


def _bias(graph: Graph, name: str) -> tuple[np.ndarray, np.ndarray]:
    if graph.is_constant(name):
        return graph.constant(name).array, graph.constant(name).array
    low, high = value_range(graph, name)
    ones = np.ones(graph.type_of(name).shape, object)
    return ones * low, ones * high


def _clipped(graph: Graph, node: Node) -> Range:
    assert isinstance(node.op, Requantise | Add | AveragePool | Multiply | Shift | LeakyRelu)
    return node.op.low, node.op.high


def _clip(graph: Graph, node: Node) -> Range:
    assert isinstance(node.op, Clip)
    low, high = value_range(graph, node.inputs[0])
    bounds = node.op.low, node.op.high
    return int(np.clip(low, *bounds)), int(np.clip(high, *bounds))


def _same(graph: Graph, node: Node) -> Range:
    return value_range(graph, node.inputs[0])


def _max_pool(graph: Graph, node: Node) -> Range:
    assert isinstance(node.op, MaxPool)
    low, high = value_range(graph, node.inputs[0])
    return (node.type.dtype.min if any(node.op.pads) else low), high


def _arg_max(graph: Graph, node: Node) -> Range:
    assert isinstance(node.op, ArgMax)
    return node.op.zero, graph.type_of(node.inputs[0]).shape[-1] - 1 + node.op.zero


def _concat(graph: Graph, node: Node) -> Range:
    ranges = [value_range(graph, name) for name in node.inputs]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _pad(graph: Graph, node: Node) -> Range:
    assert isinstance(node.op, Pad)
    low, high = value_range(graph, node.inputs[0])
    return min(low, node.op.value), max(high, node.op.value)


def _lut(graph: Graph, node: Node) -> Range:
    return value_range(graph, node.inputs[1])


_RULES: Mapping[type, Callable[[Graph, Node], Range]] = {
    Requantise: _clipped,
    Add: _clipped,
    AveragePool: _clipped,
    Multiply: _clipped,
    Shift: _clipped,
    LeakyRelu: _clipped,
    Clip: _clip,
    MaxPool: _max_pool,
    Reshape: _same,
    Transpose: _same,
    Slice: _same,
    Upsample: _same,
    ReduceMax: _same,
    Broadcast: _same,
    ArgMax: _arg_max,
    Concat: _concat,
    Pad: _pad,
    Lut: _lut,
}
