"""Nodes that change nothing."""

from gatewright import ir
from gatewright.passes.editor import Editor
from gatewright.passes.fold_requantise import is_unit

__all__ = ["remove_identities"]


def remove_identities(graph: ir.Graph) -> ir.Graph:
    """A node whose result is its operand for every possible value is removed.

    Reshape to the same shape, Transpose in order, Clip to bounds the value keeps anyway, Pad by nothing, Slice of
    everything, Upsample by 1, Broadcast to the same shape, ReduceMax of one value, Concat of one value, Lut that maps
    each value to itself, MaxPool of single pixels, Requantise by exactly 1 whose zero points and bounds change nothing.
    An output that would become an input stays.
    """
    edit = Editor(graph)
    for node, _ in edit.each(ir.Operator):
        if len(node.inputs) and edit.type_of(node.inputs[0]) == node.type and _is_identity(graph, edit, node):
            edit.forward(node.name, node.inputs[0])
    return edit.finish()


def _is_identity(graph: ir.Graph, edit: Editor, node: ir.Node) -> bool:
    """Given that type and shape stay the same."""
    match node.op:
        case ir.Reshape() | ir.Pad() | ir.Slice() | ir.Upsample() | ir.Broadcast() | ir.ReduceMax():
            return True
        case ir.Concat():
            return len(node.inputs) == 1
        case ir.Transpose(permutation=permutation):
            return permutation == tuple(sorted(permutation))
        case ir.MaxPool(kernel=kernel, pads=pads):
            return kernel == (1, 1) and not any(pads)
        case ir.Clip(low=low, high=high):
            least, greatest = ir.value_range(graph, graph.node(node.name).inputs[0])
            return low <= least and greatest <= high
        case ir.Requantise(x_zero=x_zero, zero=zero, low=low, high=high):
            least, greatest = ir.value_range(graph, graph.node(node.name).inputs[0])
            return x_zero == zero and low <= least and greatest <= high and is_unit(edit, node)
        case ir.Lut():
            table = edit.array_of(node.inputs[1])
            return table is not None and table.tolist() == list(range(node.type.dtype.min, node.type.dtype.max + 1))
    return False
