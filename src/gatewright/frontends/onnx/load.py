"""Reading model files."""

from os import PathLike
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from gatewright.errors import ModelError, reason

__all__ = ["is_quantised", "load_model"]

_QUANTISED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinear",
    "QGemm",
    "ConvInteger",
    "MatMulInteger",
    "Quant",
    "IntQuant",
    "BipolarQuant",
    "MultiThreshold",
)
_INTEGERS = frozenset(
    onnx.TensorProto.DataType.Value(name)
    for name in (f"{prefix}INT{width}" for prefix in ("", "U") for width in (2, 4, 8, 16))
    if name in dict(onnx.TensorProto.DataType.items())  # those of 2 bits came late
)


def load_model(path: str | PathLike[str]) -> onnx.ModelProto:
    """The checked model of a file with its external data; raises `ModelError` that names the file and what is wrong."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(
            f"{path}: there is no such file" if not path.exists() else f"{path}: must be a file, not a folder"
        )
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise ModelError(f"{path}: is not an ONNX model, or is cut short") from error
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path}: external data cannot be read: {reason(error)}") from error
    if not model.graph.node or not model.graph.output:
        raise ModelError(f"{path}: is not an ONNX model: it has no nodes or no outputs")
    return model


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether a node of the model makes or takes quantised tensors, or all its inputs are integers."""
    constants = {tensor.name for tensor in model.graph.initializer}
    types = {value.type.tensor_type.elem_type for value in model.graph.input if value.name not in constants}
    return types <= _INTEGERS or any(node.op_type.startswith(_QUANTISED) for node in model.graph.node)
