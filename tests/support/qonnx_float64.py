"""QONNX networks executed as their specification defines them, in NumPy double precision, one image at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import get_attribute_value

__all__ = ["run_float64"]


def run_float64(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value of the network by name, float64; model inputs are taken as float64."""
    values: dict[str, Any] = {tensor.name: _array(tensor) for tensor in model.graph.initializer}
    values |= {name: np.asarray(array, np.float64) for name, array in inputs.items()}
    for node in model.graph.node:
        attributes = {item.name: get_attribute_value(item) for item in node.attribute}
        operands = [values[name] if name else None for name in node.input]
        values[node.output[0]] = OPERATORS[node.op_type](operands, attributes)
    return values


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    array = numpy_helper.to_array(tensor)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _away(x: np.ndarray, tie_away: bool) -> np.ndarray:
    magnitude = np.floor(np.abs(x) + 0.5) if tie_away else np.ceil(np.abs(x) - 0.5)
    return np.sign(x) * magnitude


ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": lambda x: np.sign(x) * np.floor(np.abs(x)),
    "HALF_UP": lambda x: _away(x, True),
    "HALF_DOWN": lambda x: _away(x, False),
}


def _quant(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    x, scale, zero, bits = operands
    signed, narrow = attributes.get("signed", 1), attributes.get("narrow", 0)
    mode = attributes.get("rounding_mode", b"ROUND").decode().upper()
    steps = x / scale + zero
    if signed and bits == 1:
        steps = np.where(steps >= 0, 1.0, -1.0)
    else:
        least = (-(2.0 ** (bits - 1)) + bool(narrow)) if signed else 0.0
        most = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - bool(narrow)
        steps = ROUNDING[mode](np.minimum(np.maximum(steps, least), most))
    return (steps - zero) * scale


def _trunc(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    x, scale, zero, bits, *result_scale, result_bits = operands
    shift = np.round(np.log2(result_scale[0] / scale)) if result_scale else bits - result_bits
    steps = np.round(x / scale + zero) / 2.0**shift
    if result_scale:
        signed, narrow = attributes.get("signed", 1), attributes.get("narrow", 0)
        least = (-(2.0 ** (result_bits - 1)) + narrow) if signed else 0.0
        most = 2.0 ** (result_bits - 1) - 1 if signed else 2.0**result_bits - 1 - narrow
        steps = np.minimum(np.maximum(steps, least), most)
    rounded = ROUNDING[attributes.get("rounding_mode", b"FLOOR").decode().upper()](steps)
    return (rounded - zero / 2.0**shift) * result_scale[0] if result_scale else (rounded - zero) * scale


def _bipolar(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    return np.where(operands[0] >= 0, 1.0, -1.0) * operands[1]


def _multi_threshold(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    x, thresholds = operands
    axis = x.ndim - 1 if attributes.get("data_layout") == b"NHWC" else 1
    moved = np.moveaxis(x, axis, -1)[..., None]
    counts = np.moveaxis((moved >= thresholds).sum(axis=-1), -1, axis)
    return counts * attributes.get("out_scale", 1.0) + attributes.get("out_bias", 0.0)


def _batch_normalization(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    x, *parameters = operands
    shape = [1, -1, *[1] * (x.ndim - 2)]
    gamma, beta, mean, variance = (parameter.reshape(shape) for parameter in parameters)
    return (x - mean) / np.sqrt(variance + attributes.get("epsilon", 1e-5)) * gamma + beta


def _windows(x: np.ndarray, kernel: Sequence[int], attributes: dict[str, Any], fill: float) -> np.ndarray:
    """[N, C, OH, OW, kh, kw]."""
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    step = attributes.get("strides", (1, 1))
    view = np.lib.stride_tricks.sliding_window_view(padded, tuple(kernel), axis=(2, 3))
    return view[:, :, :: step[0], :: step[1]]


def _conv(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    x, weights, *bias = operands
    groups = attributes.get("group", 1)
    taps = _windows(x, weights.shape[2:], attributes, 0.0)
    parts = [
        np.einsum("nchwij,ocij->nohw", part, filters)
        for part, filters in zip(np.split(taps, groups, axis=1), np.split(weights, groups), strict=True)
    ]
    result = np.concatenate(parts, axis=1)
    return result + bias[0].reshape(1, -1, 1, 1) if bias else result


def _max_pool(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    return _windows(operands[0], attributes["kernel_shape"], attributes, -np.inf).max(axis=(4, 5))


def _average_pool(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    return _windows(operands[0], attributes["kernel_shape"], attributes, 0.0).mean(axis=(4, 5))


def _gemm(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    x, weights, *bias = operands
    product = x @ (weights.T if attributes.get("transB") else weights)
    return product + bias[0] if bias else product


def _flatten(operands: Sequence[np.ndarray], attributes: dict[str, Any]) -> np.ndarray:
    (x,) = operands
    return x.reshape(int(np.prod(x.shape[: attributes.get("axis", 1)])), -1)


OPERATORS: dict[str, Callable[[Any, dict[str, Any]], np.ndarray]] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "MultiThreshold": _multi_threshold,
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "Gemm": _gemm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda operands, _: operands[0].mean(axis=(2, 3), keepdims=True),
    "MatMul": lambda operands, _: operands[0] @ operands[1],
    "Relu": lambda operands, _: np.maximum(operands[0], 0),
    "Mul": lambda operands, _: operands[0] * operands[1],
    "Div": lambda operands, _: operands[0] / operands[1],
    "Add": lambda operands, _: operands[0] + operands[1],
    "Sub": lambda operands, _: operands[0] - operands[1],
    "Pow": lambda operands, _: operands[0] ** operands[1],
    "Transpose": lambda operands, attributes: operands[0].transpose(attributes["perm"]),
    "Flatten": _flatten,
    "Shape": lambda operands, _: np.array(operands[0].shape),
    "Gather": lambda operands, attributes: np.take(operands[0], operands[1], attributes.get("axis", 0)),
    "Unsqueeze": lambda operands, attributes: np.expand_dims(operands[0], tuple(attributes["axes"])),
    "Concat": lambda operands, attributes: np.concatenate(operands, attributes["axis"]),
    "Reshape": lambda operands, _: operands[0].reshape(operands[1]),
}
