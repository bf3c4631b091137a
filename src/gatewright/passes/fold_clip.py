"""Clips as bounds of what comes before."""

from dataclasses import replace

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["fold_clip"]

_BOUNDED = ir.Requantise | ir.Add | ir.Multiply | ir.Shift | ir.LeakyRelu | ir.AveragePool | ir.Clip


def fold_clip(graph: ir.Graph) -> ir.Graph:
    """A Clip becomes bounds of the node before it, where that has some: Requantise, Add, AveragePool, Clip and others.

    1. The node before it must have no other reader.
    2. MaxPool, Reshape, Transpose, Slice and Upsample may stand between: they commute with a clip, a MaxPool as long as
       every window holds a pixel of the image (pads below the kernel).
    """
    edit = Editor(graph)
    for name in reversed([node.name for node, _ in edit.each(ir.Clip)]):
        while (found := edit.producer(name, ir.Clip)) and (path := _path(edit, found[0].inputs[0])):
            _bound(edit, name, found[1], path)
    return edit.finish()


def _path(edit: Editor, name: str) -> list[ir.Node]:
    """The nodes from the bounded one down to the value `name`; empty where there is none."""
    path: list[ir.Node] = []
    while name in edit.nodes and edit.private(name):
        node = edit.nodes[name]
        path.insert(0, node)
        if isinstance(node.op, _BOUNDED):
            return path
        if not _commutes(node.op):
            break
        name = node.inputs[0]
    return []


def _commutes(op: ir.Operator) -> bool:
    if isinstance(op, ir.MaxPool):
        top, left, bottom, right = op.pads
        return max(top, bottom) < op.kernel[0] and max(left, right) < op.kernel[1]
    return isinstance(op, ir.Reshape | ir.Transpose | ir.Slice | ir.Upsample)


def _bound(edit: Editor, name: str, clip: ir.Clip, path: list[ir.Node]) -> None:
    """Clipped copies of the path, the last under the Clip's own name; the old path dies with its reader."""
    first, *rest = path
    assert isinstance(first.op, _BOUNDED)
    low, high = (min(max(bound, clip.low), clip.high) for bound in (first.op.low, first.op.high))
    names = [*(edit.unused(f"{node.name}.clipped") for node in path[:-1]), name]
    edit.define(names[0], replace(first.op, low=low, high=high), *first.inputs)
    for before, after, node in zip(names, names[1:], rest, strict=False):
        edit.define(after, node.op, before)
