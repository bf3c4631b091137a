"""Model inputs: which layout and scale the graph's inputs take, read off the nodes that use them."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir

from gatewright.frontends.onnx.call import Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View, channels_last, port_order
from gatewright.frontends.onnx.qdq import integer_type
from gatewright.frontends.onnx.sums import FloatInput
from gatewright.frontends.onnx.values import Integer
from gatewright.ir import Port, TensorType

__all__ = ["import_input"]

_IMAGES = frozenset(
    {
        "Conv",
        "ConvInteger",
        "QLinearConv",
        "MaxPool",
        "GlobalMaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "QLinearAveragePool",
        "QLinearGlobalAveragePool",
        "Resize",
        "Upsample",
        "DepthToSpace",
        "SpaceToDepth",
    }
)
_PASSING = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "Cast", "Relu", "Clip", "Mul", "Sub", "Add", "Div", "Pad", "Identity"}
    | {"Quant", "IntQuant", "BipolarQuant"}
)
_MOVING = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split"})


def import_input(context: Context, value: onnx_ir.Value) -> Known:
    """A model input as a value of the import; images used as [N, C, H, W] become [N, H, W, C] in the graph."""
    name, shape = value.name or "input", tuple(value.shape.numpy()) if value.shape is not None else ()
    axes = channels_last(len(shape)) if _is_image(value, len(shape)) else tuple(range(len(shape)))
    if value.dtype is None:
        raise Unsupported("its type must be given")
    if value.dtype.is_floating_point():
        return FloatInput(shape=shape, name=name, axes=axes, model_dtype=value.dtype.numpy().name)
    dtype, parameters = integer_type(value.dtype), _parameters(value)
    stored = TensorType(tuple(shape[axis] for axis in axes), dtype)
    scale, zero = parameters.scale, parameters.zero
    port = Port(name, value.dtype.numpy().name, shape, port_order(axes), scale, zero, zero)
    return Integer(View.of(context.input(name, stored, port), shape, axes), scale, zero)


@dataclass(frozen=True)
class _Parameters:
    scale: float | None = None
    zero: int = 0


def _is_image(value: onnx_ir.Value, rank: int) -> bool:
    """Whether the first node that cares about layout takes the tensor as [N, C, ...]."""
    if rank not in (3, 4):
        return False
    for use in value.uses():
        if use.node.op_type in _IMAGES:
            return True
        if use.node.op_type in _PASSING and _is_image(use.node.outputs[0], rank):
            return True
    return False


def _parameters(value: onnx_ir.Value) -> _Parameters:
    """Scale and zero point of an integer input, from the first DequantizeLinear or QLinear operator that reads it."""
    for use in value.uses():
        node = use.node
        if node.op_type in _MOVING:
            found = _parameters(node.outputs[0])
        elif node.op_type == "DequantizeLinear" or node.op_type.startswith("Q"):
            found = _read(node.inputs[use.idx + 1 : use.idx + 3])
        else:
            continue
        if found.scale is not None:
            return found
    return _Parameters()


def _read(operands: Sequence[onnx_ir.Value | None]) -> _Parameters:
    arrays = [value.const_value.numpy() for value in operands if value is not None and value.const_value is not None]
    if not arrays or any(array.size != 1 for array in arrays) or arrays[0].dtype.kind != "f":
        return _Parameters()
    zero = int(arrays[1].reshape(-1)[0]) if len(arrays) > 1 else 0
    return _Parameters(float(arrays[0].reshape(-1)[0]), zero)
