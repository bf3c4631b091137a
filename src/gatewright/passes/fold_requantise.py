"""Two requantisations as one."""

from dataclasses import replace

import numpy as np

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["fold_requantise", "is_unit"]

_ROUNDING = ir.Requantise | ir.Add | ir.Multiply | ir.AveragePool


def fold_requantise(graph: ir.Graph) -> ir.Graph:
    """A Requantise by exactly 1, which only moves the zero point and clips, joins its neighbour. Nothing else is exact.

    1. Behind a Requantise, Add, Multiply or AveragePool that it alone reads: zero points add up, bounds intersect,
       provided that the new zero point is of the new type.
    2. In front of another Requantise, where it clips no possible value: the zero points add up.
    """
    edit = Editor(graph)
    for node, op in edit.each(ir.Requantise):
        if is_unit(edit, node):
            _join_producer(edit, node, op)
    for node, op in edit.each(ir.Requantise):
        found = edit.producer(node.inputs[0], ir.Requantise)
        if found is not None and is_unit(edit, found[0]) and _keeps(graph, *found):
            first, before = found
            x_zero = op.x_zero - before.zero + before.x_zero
            edit.define(node.name, replace(op, x_zero=x_zero), first.inputs[0], *node.inputs[1:])
    return edit.finish()


def is_unit(edit: Editor, node: ir.Node) -> bool:
    """Whether a Requantise multiplies by exactly 1, whatever the sign."""
    if not isinstance(node.op, ir.Requantise) or node.op.negative_shift:
        return False
    mul, shift = edit.array_of(node.inputs[1]), edit.array_of(node.inputs[2])
    if mul is None or shift is None:
        return False
    return all(int(factor) == 1 << int(bits) for factor, bits in np.broadcast(mul, shift))


def _join_producer(edit: Editor, node: ir.Node, op: ir.Requantise) -> None:
    (name, *_), step = node.inputs, op.zero - op.x_zero
    first = edit.nodes.get(name)
    if first is None or not isinstance(first.op, _ROUNDING) or not edit.private(name):
        return
    zero = first.op.zero + step
    if op.dtype.holds(zero, zero):
        low, high = (min(max(bound + step, op.low), op.high) for bound in (first.op.low, first.op.high))
        edit.define(node.name, replace(first.op, zero=zero, low=low, high=high, dtype=op.dtype), *first.inputs)


def _keeps(graph: ir.Graph, node: ir.Node, op: ir.Requantise) -> bool:
    """Whether no possible value of its operand meets the clip; ranges are those before the pass."""
    low, high = ir.value_range(graph, node.inputs[0])
    return op.low <= low - op.x_zero + op.zero and high - op.x_zero + op.zero <= op.high
