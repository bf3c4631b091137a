"""Changes of layout at the edge of the graph, left to the host."""

from dataclasses import replace

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["absorb_transposes"]


def absorb_transposes(graph: ir.Graph) -> ir.Graph:
    """A Transpose next to an input or output joins its port: the host, which copies the array anyway, does it.

    1. An input whose readers all transpose it in the same way takes on the type they want.
    2. An output that is a Transpose becomes its operand. Both only where the port does not reshape besides.
    """
    edit = Editor(graph)
    for index, name in enumerate(edit.inputs):
        readers, port = edit.consumers(name), edit.input_ports[index]
        orders = {node.op.permutation if isinstance(node.op, ir.Transpose) else None for node in readers}
        order = orders.pop() if len(orders) == 1 else None
        ends = {name, *(node.name for node in readers)} & set(edit.outputs)
        if order is not None and not ends and not _reshapes(port):
            edit.inputs[name] = replace(edit.inputs[name], type=readers[0].type)
            edit.input_ports[index] = replace(port, permutation=tuple(_order(port)[axis] for axis in order))
            for node in readers:
                edit.forward(node.name, name)
    for index, name in enumerate(edit.outputs):
        found, port = edit.producer(name, ir.Transpose), edit.output_ports[index]
        if found is not None and _may_end(edit, found[0].inputs[0]) and not _reshapes(port):
            inverse = sorted(range(len(_order(port))), key=found[1].permutation.__getitem__)
            edit.outputs[index] = found[0].inputs[0]
            edit.output_ports[index] = replace(port, permutation=tuple(_order(port)[axis] for axis in inverse))
    return edit.finish()


def _may_end(edit: Editor, name: str) -> bool:
    """Whether a value is computed and not an output already."""
    return name in edit.nodes and name not in edit.outputs


def _order(port: ir.Port) -> tuple[int, ...]:
    return tuple(range(len(port.model_shape))) if port.permutation is None else port.permutation


def _reshapes(port: ir.Port) -> bool:
    """Whether the graph's shape is more than the model's in another order."""
    shape = port.concrete_shape
    return tuple(shape[axis] for axis in _order(port)) != port.graph_type.shape
