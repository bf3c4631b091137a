"""Equal values once."""

from collections.abc import Hashable
from dataclasses import replace

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["merge_duplicates"]


def merge_duplicates(graph: ir.Graph) -> ir.Graph:
    """Constants of equal type and numbers become one; nodes of equal operator and operands become one.

    Nodes that are outputs stay.
    """
    edit = Editor(graph)
    known: dict[Hashable, str] = {}
    same: dict[str, str] = {}
    for name, constant in edit.constants.items():
        same[name] = known.setdefault((constant.type, constant.array.tobytes()), name)
    for node, op in edit.each(ir.Operator):
        inputs = tuple(same.get(name, name) for name in node.inputs)
        edit.nodes[node.name] = replace(node, inputs=inputs)
        first = known.setdefault((op, inputs), node.name)
        if first != node.name and node.name not in edit.outputs:
            edit.forward(node.name, first)
    return edit.finish()
