"""Padding as part of the window that reads it."""

from dataclasses import replace

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["merge_pads"]


def merge_pads(graph: ir.Graph) -> ir.Graph:
    """A Pad of height and width becomes part of the pads of its reader where that inserts the same value.

    1. Conv2d: the value is `x_zero`.  2. MaxPool: the value is the type's minimum.
    3. AveragePool: the value is `x_zero` and padding counts in the divisor; a pool without padding of its own then
       counts its whole kernel.  4. Pad: the values are equal (any axes).
    """
    edit = Editor(graph)
    for node, _ in edit.each(ir.Operator):
        found = edit.producer(node.inputs[0], ir.Pad)
        if found is None:
            continue
        before, pad = found
        op = _padded(node.op, pad, before.type)
        if op is not None:
            edit.define(node.name, op, before.inputs[0], *node.inputs[1:])
    return edit.finish()


def _padded(op: ir.Operator, pad: ir.Pad, type: ir.TensorType) -> ir.Operator | None:
    """The reader with the padding as its own; None where it would not mean the same."""
    if isinstance(op, ir.Pad):
        pairs = zip(op.pads, pad.pads, strict=True)
        total = tuple((outer[0] + inner[0], outer[1] + inner[1]) for outer, inner in pairs)
        return replace(op, pads=total) if op.value == pad.value else None
    if not isinstance(op, ir.Conv2d | ir.MaxPool | ir.AveragePool) or any((*pad.pads[0], *pad.pads[3])):
        return None
    if pad.value != (type.dtype.min if isinstance(op, ir.MaxPool) else op.x_zero):
        return None
    (top, bottom), (left, right) = pad.pads[1], pad.pads[2]
    pads = (op.pads[0] + top, op.pads[1] + left, op.pads[2] + bottom, op.pads[3] + right)
    if isinstance(op, ir.AveragePool) and not op.count_include_pad:
        return None if any(op.pads) else replace(op, pads=pads, count_include_pad=True)
    return replace(op, pads=pads)
