"""Unsigned activations as signed ones."""

from dataclasses import fields, replace

import numpy as np

from gatewright import ir
from gatewright.passes.editor import Editor

__all__ = ["to_signed"]

_OPERAND_ZEROS = {"x_zero": 0, "a_zero": 0, "b_zero": 1}  # attributes on the scale of an operand
_RESULT_LEVELS = ("zero", "low", "high", "value")  # attributes on the scale of the result


def to_signed(graph: ir.Graph) -> ir.Graph:
    """Every unsigned activation uN becomes iN by subtracting 2^(N-1); real numbers stay what they are.

    1. Inputs, node results and constants read as data move; zero points, bounds, padding values, tables and ports move
       along, so that sums and the model's own view of inputs and outputs stay the same.
    2. Unsigned weights whose values iN holds are retyped, since only x moves; others are left as they are.
    """
    edit = Editor(graph)
    for value in graph.inputs:
        edit.inputs[value.name] = replace(value, type=_signed(value.type))
    for node in graph.nodes:
        inputs = [_operand(edit, graph, node, index) for index in range(len(node.inputs))]
        edit.define(node.name, _move(graph, node), *inputs)
    names = [value.name for value in graph.inputs]
    edit.input_ports = [_move_port(graph, *pair) for pair in zip(names, graph.input_ports, strict=True)]
    edit.output_ports = [_move_port(graph, *pair) for pair in zip(graph.outputs, graph.output_ports, strict=True)]
    return edit.finish()


def _signed(type: ir.TensorType) -> ir.TensorType:
    return ir.TensorType(type.shape, ir.IntType(type.dtype.width))


def _offset(type: ir.TensorType) -> int:
    return 0 if type.dtype.signed else 1 << (type.dtype.width - 1)


def _move(graph: ir.Graph, node: ir.Node) -> ir.Operator:
    """The operator with its attributes on the new scales."""
    operands, result = graph.operands(node), _offset(node.type)
    changes: dict[str, object] = {}
    for field in fields(node.op):
        value = getattr(node.op, field.name)
        if field.name in _OPERAND_ZEROS:
            changes[field.name] = value - _offset(operands[_OPERAND_ZEROS[field.name]])
        elif field.name in _RESULT_LEVELS:
            changes[field.name] = value - result
        elif field.name == "dtype":
            changes[field.name] = _signed(node.type).dtype
    return replace(node.op, **changes)


def _operand(edit: Editor, graph: ir.Graph, node: ir.Node, index: int) -> str:
    """The operand on its new scale."""
    name = node.inputs[index]
    if index == 0 or isinstance(node.op, ir.Add | ir.Concat | ir.Multiply | ir.Shift):
        return _move_constant(edit, name, _offset(graph.type_of(name))) if graph.is_constant(name) else name
    if not graph.is_constant(name):
        if _offset(graph.type_of(name)):
            operand = f"{node.op.operands[index].rstrip('?')} must be a constant or signed"
            raise ir.GraphError(f"{node.op.name} {node.name!r}: {operand}, not the {graph.type_of(name)} {name!r}")
        return name
    if isinstance(node.op, ir.Lut):
        return _move_constant(edit, name, _offset(node.type))
    weights = index == 1 and isinstance(node.op, ir.Conv2d | ir.MatMul | ir.RoundedConv2d)
    if weights and _signed(graph.type_of(name)).dtype.holds(*_extremes(edit, name)):
        return _move_constant(edit, name, 0)
    return name


def _move_constant(edit: Editor, name: str, offset: int) -> str:
    """The constant, `offset` less and signed; itself where it is signed already."""
    constant = edit.constants[name]
    if constant.type.dtype.signed:
        return name
    moved = constant.array.astype(np.int64) - offset
    same = f"{name}.signed"
    if same in edit.constants and np.array_equal(edit.constants[same].array, moved):
        return same
    return edit.constant(moved, _signed(constant.type).dtype, same)


def _extremes(edit: Editor, name: str) -> tuple[int, int]:
    array = edit.constants[name].array
    return int(array.min()), int(array.max())


def _move_port(graph: ir.Graph, name: str, port: ir.Port) -> ir.Port:
    offset = 0 if graph.is_constant(name) else _offset(graph.type_of(name))
    low, high = (None if bound is None else bound - offset for bound in (port.low, port.high))
    return replace(port, zero_point=port.zero_point - offset, low=low, high=high)
