"""Sums with several readers, for machines that cannot keep them."""

from dataclasses import replace

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["duplicate_sums"]


def duplicate_sums(graph: ir.Graph) -> ir.Graph:
    """A Conv2d or MatMul whose sums several nodes read is computed anew for each of them after the first.

    For machines that write requantised results only. Sums that are an output besides stay one for it.
    """
    edit = Editor(graph)
    for node, op in edit.each(ir.Operator):
        if isinstance(op, ir.Conv2d | ir.MatMul):
            readers = edit.consumers(node.name)
            for reader in readers if node.name in edit.outputs else readers[1:]:
                copy = edit.unused(f"{node.name}.again")
                edit.define(copy, op, *node.inputs)
                inputs = tuple(copy if name == node.name else name for name in reader.inputs)
                edit.nodes[reader.name] = replace(reader, inputs=inputs)
    return edit.finish()
