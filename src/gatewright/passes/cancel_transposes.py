"""Fewer changes of layout."""

import numpy as np

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["cancel_transposes"]


def cancel_transposes(graph: ir.Graph) -> ir.Graph:
    """Changes of layout are composed, made free, or moved into weights.

    1. Transpose of a Transpose is one Transpose; Reshape of a Reshape is one Reshape.
    2. A Transpose that keeps the order of all axes longer than 1 is a Reshape, which costs nothing.
    3. A Transpose that keeps the batch axis, flattened to [N, K] for a MatMul, becomes an order of the columns of the
       weights: a flattened NCHW image is read as the NHWC image it is.
    """
    edit = Editor(graph)
    for node, op in edit.each(ir.Operator):
        if isinstance(op, ir.Transpose):
            _compose(edit, node, op)
        elif isinstance(op, ir.Reshape):
            _view(edit, node.name, op, node.inputs[0])
        elif isinstance(op, ir.MatMul):
            _reorder_weights(edit, node, op)
    return edit.finish()


def _compose(edit: Editor, node: ir.Node, op: ir.Transpose) -> None:
    found = edit.producer(node.inputs[0], ir.Transpose)
    value, permutation = node.inputs[0], op.permutation
    if found is not None:
        value, permutation = found[0].inputs[0], tuple(found[1].permutation[axis] for axis in permutation)
    shape = edit.type_of(value).shape
    long_axes = [axis for axis in permutation if shape[axis] > 1]
    in_order = long_axes == sorted(long_axes)
    if in_order:
        _view(edit, node.name, ir.Reshape(node.type.shape), value)
    else:
        edit.define(node.name, ir.Transpose(permutation), value)


def _view(edit: Editor, name: str, op: ir.Reshape, value: str) -> None:
    """A Reshape of the value, or of what the value itself is a Reshape of."""
    found = edit.producer(value, ir.Reshape)
    edit.define(name, op, value if found is None else found[0].inputs[0])


def _reorder_weights(edit: Editor, node: ir.Node, op: ir.MatMul) -> None:
    x, weights, *bias = node.inputs
    flat = edit.producer(x, ir.Reshape)
    turned = None if flat is None else edit.producer(flat[0].inputs[0], ir.Transpose)
    array = edit.array_of(weights)
    if flat is None or turned is None or array is None:
        return
    image, order = turned[0].type.shape, turned[1].permutation
    if flat[0].type.shape != (image[0], array.shape[1]) or order[0] != 0:
        return
    columns = np.arange(array.shape[1]).reshape(image[1:]).transpose(np.argsort(order[1:])).ravel()
    name = edit.constant(array[:, columns], edit.type_of(weights).dtype, f"{weights}.reordered")
    view = edit.unused(f"{x}.reordered")
    edit.define(view, flat[1], turned[0].inputs[0])
    edit.define(node.name, op, view, name, *bias)
