"""Element-wise functions of one small integer as one table."""

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["fold_tables"]


def fold_tables(graph: ir.Graph) -> ir.Graph:
    """A Lut absorbs element-wise nodes around it: one table maps each value of the first operand to the last result.

    1. Clip, Lut and Requantise with one factor, behind a Lut that they alone read.
    2. The same in front of a Lut that alone reads them, where their own operand has at most 12 bits.
    """
    edit = Editor(graph)
    for node, _ in edit.each(ir.Operator):
        before = edit.nodes.get(node.inputs[0])
        if before is None or not edit.private(before.name) or ir.Lut not in (type(node.op), type(before.op)):
            continue
        if _by_table(edit, before) and _by_table(edit, node):
            x = edit.type_of(before.inputs[0]).dtype
            levels = ir.Constant.of("levels", range(x.min, x.max + 1), x)
            table = _apply(edit, node, _apply(edit, before, levels))
            name = edit.constant(table.array, table.type.dtype, f"{node.name}.table")
            edit.define(node.name, ir.Lut(table.type.dtype), before.inputs[0], name)
    return edit.finish()


def _by_table(edit: Editor, node: ir.Node) -> bool:
    """Whether a node is the same function of one small integer for every element."""
    parameters = [edit.array_of(name) for name in node.inputs[1:]]
    if any(array is None for array in parameters) or edit.type_of(node.inputs[0]).dtype.width > ir.MAX_LUT_WIDTH:
        return False
    per_tensor = all(array is not None and array.size == 1 for array in parameters)
    return isinstance(node.op, ir.Lut | ir.Clip) or (isinstance(node.op, ir.Requantise) and per_tensor)


def _apply(edit: Editor, node: ir.Node, x: ir.Constant) -> ir.Constant:
    """The node's results for each of these values."""
    parameters = [edit.constants[name] for name in node.inputs[1:]]
    types = [x.type, *(parameter.type for parameter in parameters)]
    result = node.op.evaluate(x.array, *(parameter.array for parameter in parameters), types=types)
    return ir.Constant.of(node.name, result, node.op.infer(*types).dtype)
