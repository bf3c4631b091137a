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
    for kind in (ir.Conv2d, ir.MatMul):
        for node, op in edit.each(kind):
            if node.name not in edit.outputs or edit.consumers(node.name):
                continue
            least, greatest = ir.accumulator_bounds(graph, node)
            for width in _WIDTHS:
                narrow = ir.IntType(width)
                if width < op.accumulator.width and narrow.holds(int(least.min()), int(greatest.max())):
                    edit.define(node.name, replace(op, accumulator=narrow), *node.inputs)
                    break
    return edit.finish()
