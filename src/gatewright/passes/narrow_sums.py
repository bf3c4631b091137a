"""Sums that leave the network, in as few bits as they need."""

from dataclasses import replace

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["narrow_sums"]

_WIDTHS = (8, 16)


def narrow_sums(graph: ir.Graph) -> ir.Graph:
    """The sum of a Conv2d or MatMul that only outputs read becomes an i8 or i16 where that holds every possible sum.

    A machine whose results are narrower than its accumulator can then write it: the numbers are the same.
    """
    edit = Editor(graph)
    for node, conv in edit.each(ir.Conv2d):
        _narrow(edit, node, conv)
    for node, product in edit.each(ir.MatMul):
        _narrow(edit, node, product)
    return edit.finish()


def _narrow(edit: Editor, node: ir.Node, op: ir.Conv2d | ir.MatMul) -> None:
    if node.name not in edit.outputs or edit.consumers(node.name):
        return
    least, greatest = ir.accumulator_bounds(edit.graph, node)
    for width in _WIDTHS:
        narrow = ir.IntType(width)
        if width < op.accumulator.width and narrow.holds(int(least.min()), int(greatest.max())):
            edit.define(node.name, replace(op, accumulator=narrow), *node.inputs)
            return
