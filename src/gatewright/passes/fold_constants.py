"""What is known at compile time."""

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["fold_constants", "remove_dead"]


def fold_constants(graph: ir.Graph) -> ir.Graph:
    """A node whose operands are all constants becomes a constant; what no output needs is removed."""
    edit = Editor(graph)
    for node, op in edit.each(ir.Operator):
        arrays = [edit.array_of(name) for name in node.inputs]
        known = [array for array in arrays if array is not None]
        if len(known) == len(arrays):
            result = op.evaluate(*known, types=[edit.type_of(name) for name in node.inputs])
            del edit.nodes[node.name]
            edit.constant(result, node.type.dtype, node.name)
    return edit.finish()


def remove_dead(graph: ir.Graph) -> ir.Graph:
    """Nodes and constants that no output needs are removed; inputs stay."""
    return Editor(graph).finish()
