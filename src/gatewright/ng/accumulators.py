"""Accumulators as wide as the sums need, and the check of declared types."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gatewright import ir
from gatewright.ng.draft import Limits
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.passes import Editor

__all__ = ["size_accumulators"]

_SUMS = ir.Conv2d | ir.MatMul | ir.RoundedConv2d


def size_accumulators(graph: ir.Graph, limits: Mapping[str, Limits]) -> ir.Graph:
    """Every sum gets 32 bits, or as many more as range analysis shows it to need.

    1. A sum that could pass 64 bits, or the type that a script declared for it, is an error that names the layer. So is
       a product that could pass its declared type.
    2. A Requantise of such a sum to 64 bits (a shift before the scale) gets 8, 16, 32 or more bits, as few as hold it.
    """
    edit = Editor(graph)
    for node in list(edit.nodes.values()):
        op = node.op
        if isinstance(op, _SUMS):
            _check_limits(graph, graph.node(node.name), limits.get(node.name, Limits()))
            width = _width(graph, graph.node(node.name))
            edit.define(node.name, replace(op, accumulator=ir.IntType(width)), *node.inputs)
        elif isinstance(op, ir.Requantise) and op.dtype == ir.I64:
            dtype = _shifted_type(graph, graph.node(node.name))
            edit.define(node.name, replace(op, dtype=dtype, low=dtype.min, high=dtype.max), *node.inputs)
    return edit.finish()


def _width(graph: ir.Graph, node: ir.Node) -> int:
    least, greatest = ir.accumulator_bounds(graph, node)
    low, high = int(least.min()), int(greatest.max())
    width = max(32, (high if high >= -low else -low - 1).bit_length() + 1)
    if width > 64:
        raise ArgumentError(f"{_layer(node)}: sums of {low}..{high} must fit 64 bits")
    return width


def _shifted_type(graph: ir.Graph, node: ir.Node) -> ir.IntType:
    """The type of a shifted sum."""
    assert isinstance(node.op, ir.Requantise)
    ends = ir.accumulator_bounds(graph, graph.node(node.inputs[0]))
    shift = graph.constant(node.inputs[2]).array.astype(np.int64)
    low, high = (ir.numerics.rounding_shift(end.astype(np.int64), shift, node.op.rounding) for end in ends)
    widths = map(ir.IntType, (8, 16, *range(32, 65)))
    return next(dtype for dtype in widths if dtype.holds(int(low.min()), int(high.max())))


def _check_limits(graph: ir.Graph, node: ir.Node, limits: Limits) -> None:
    """Raise `ArgumentError` unless products and sums (without the bias) fit what was declared for them."""
    if limits.product is not None:
        ends = [ir.value_range(graph, name) for name in node.inputs[:2]]
        products = [x * w for x in ends[0] for w in ends[1]]
        _expect("mul_dtype", limits.product, "products", node, min(products), max(products))
    if limits.total is not None:
        parameters = 3 if isinstance(node.op, ir.RoundedConv2d) else 2
        least, greatest = ir.accumulator_bounds(graph, replace(node, inputs=node.inputs[:parameters]))
        channel = int(np.argmax(np.maximum(-least, greatest)))
        _expect("sum_dtype", limits.total, "sums", node, int(least[channel]), int(greatest[channel]))


def _expect(name: str, dtype: dtype_info, what: str, node: ir.Node, low: int, high: int) -> None:
    if not dtype.integer.holds(low, high):
        reason = f"{name} must hold {what} of {low}..{high}, not be {dtype.to_str()}"
        raise ArgumentError(f"{_layer(node)}: {reason} (left out, the sum is as wide as it needs to be)")


def _layer(node: ir.Node) -> str:
    return f"{node.op.name} {node.name.removesuffix('.sum')!r}"
