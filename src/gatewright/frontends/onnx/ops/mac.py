"""Convolutions and matrix products."""

from typing import Any

import numpy as np

from gatewright.frontends.onnx.batch_norm import scale_and_offset
from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.layout import channels_last
from gatewright.frontends.onnx.names import layer_name
from gatewright.frontends.onnx.ops.windows import frame, image_axes, image_shape
from gatewright.frontends.onnx.products import Convolution, IntegerSum, MatrixProduct, Product, weight_type
from gatewright.frontends.onnx.values import Constant, QuantisedConstant, Scaled
from gatewright.ir import I8, Conv2d, TensorType

__all__ = [
    "batch_normalization",
    "channel_constant",
    "conv",
    "conv_integer",
    "convolve",
    "gemm",
    "integer_operand",
    "integer_weights",
    "matmul",
    "matmul_integer",
    "multiply",
    "with_bias",
]

_SAME_BIAS_SCALE = 1e-6  # relative difference below which an integer bias is taken as it is


def conv(call: Call) -> Known:
    """1-D and 2-D, constant quantised weights, groups, dilations, auto_pad."""
    product = convolve(call, call.scaled(0), call.weights(1))
    if not call.has(2):
        return product
    bias, shape = call.value(2), (-1, *(1,) * (len(product.shape) - 2))
    match bias:
        case Constant():
            bias = Constant(bias.array.reshape(shape))
        case QuantisedConstant():
            bias = bias.map(lambda array: array.reshape(shape))
    return with_bias(product, bias)


def gemm(call: Call) -> Known:
    """Constant quantised B; transA, transB, alpha, beta."""
    weights = call.weights(1)
    if call.get_int("transB", 0) == 0:
        weights = weights.map(np.transpose)
    x = call.scaled(0)
    if call.get_int("transA", 0):
        view = x.view.transpose((1, 0))
        x = Scaled.of(view, x.scale, x.zero)
    product = multiply(call, x, weights).scaled_by(np.array(call.get_float("alpha", 1.0)))
    beta = call.get_float("beta", 1.0)
    if not call.has(2) or beta == 0:
        return product
    return with_bias(product, call.value(2) if beta == 1 else Constant(call.array(2) * beta))


def matmul(call: Call) -> Known:
    """Second operand a constant quantised matrix; the first of any rank."""
    weights = call.weights(1)
    if weights.integers.ndim != 2:
        raise Unsupported(f"weights must be a matrix, not {list(weights.shape)}")
    return multiply(call, call.scaled(0), weights.map(np.transpose))


def batch_normalization(call: Call) -> Known:
    """After Conv, Gemm or MatMul, folded into its scales."""
    product = call.value(0)
    if not isinstance(product, Product) or not product.plain or product.channel_axis != 1:
        raise Unsupported("it must follow a Conv, Gemm or MatMul directly, which its scales are folded into")
    if call.get_int("training_mode", 0):
        raise Unsupported("training_mode must be 0")
    gamma, beta, mean, variance = (call.array(index).astype(np.float64) for index in range(1, 5))
    scale, offset = scale_and_offset(gamma, beta, mean, variance, call.get_float("epsilon", 1e-5))
    return product.scaled_by(scale).plus(offset)


def conv_integer(call: Call) -> Known:
    """Constant weights and zero points; the int32 sum may be cast and scaled."""
    return IntegerSum(convolve(call, integer_operand(call, 0, 2), integer_weights(call, 1, 3, axis=0)))


def matmul_integer(call: Call) -> Known:
    """Constant weights and zero points; the int32 sum may be cast and scaled."""
    weights = integer_weights(call, 1, 3, axis=1)
    if weights.integers.ndim != 2:
        raise Unsupported(f"weights must be a matrix, not {list(weights.shape)}")
    return IntegerSum(multiply(call, integer_operand(call, 0, 2), weights.map(np.transpose)))


def integer_operand(call: Call, index: int, zero: int) -> Scaled:
    """Integers as reals of scale 1 around a zero point operand."""
    points = call.array(zero) if call.has(zero) else np.zeros(1)
    if np.ptp(points):
        raise Unsupported("the zero point of its first operand must be one number")
    return Scaled.of(call.integer(index).view, 1.0, int(points.flat[0]))


def integer_weights(call: Call, index: int, zero: int, axis: int, scale: np.ndarray | None = None) -> QuantisedConstant:
    """Constant integers less a zero point operand, with a scale (1 by default), both single or along `axis`."""
    value = call.value(index)
    if not isinstance(value, Constant) or value.array.dtype.kind not in "iu":
        raise Unsupported(f"operand {index} must be constant integers")
    stored = value.array
    points = call.array(zero) if call.has(zero) else np.zeros(1)
    integers = stored.astype(np.int64) - _along(points, stored.ndim, axis).astype(np.int64)
    scales = np.broadcast_to(_along(np.ones(1) if scale is None else scale, stored.ndim, axis), stored.shape)
    return QuantisedConstant(integers, scales, weight_type(integers, I8))


def convolve(call: Call, x: Scaled, weights: QuantisedConstant) -> Convolution:
    """The convolution of a Conv-like node without its bias."""
    shape, kernel = image_shape(x.shape), weights.shape[2:]
    if len(weights.shape) != len(x.shape):
        raise Unsupported(f"weights must have {len(x.shape)} dimensions, not {list(weights.shape)}")
    window = frame(call, (shape[2], shape[3]), kernel, len(x.shape))
    integers = weights.integers.reshape(image_shape(weights.shape)).transpose(channels_last(4))
    geometry: dict[str, Any] = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "groups": call.get_int("group", 1),
    }
    sums = Conv2d(**geometry).infer(
        TensorType(tuple(shape[axis] for axis in channels_last(4)), I8), TensorType(integers.shape, I8)
    )
    batch, height, width, channels = sums.shape
    return Convolution(
        **geometry,
        **_product(call, x, integers, weights, 0),
        shape=(batch, channels, height, width) if len(x.shape) == 4 else (batch, channels, width),
        x=image_axes(call.context, x.view),
        axes=channels_last(4),
    )


def multiply(call: Call, x: Scaled, weights: QuantisedConstant) -> MatrixProduct:
    """The product with a matrix [O, K] of weights."""
    if x.shape[-1:] != weights.shape[1:]:
        raise Unsupported(
            f"operands must agree in their inner dimension, not {list(x.shape)} and {list(weights.shape)}"
        )
    return MatrixProduct(
        **_product(call, x, weights.integers, weights, 0), shape=(*x.shape[:-1], weights.shape[0]), x=x.view
    )


def with_bias(product: Product, value: Known) -> Product:
    """The product plus a constant, one number or one a channel; integers in steps of the sum are kept as they are."""
    if isinstance(value, QuantisedConstant):
        integers = channel_constant(value.integers, product)
        scale = channel_constant(value.scale, product)
        same = np.abs(scale - product.scale) <= _SAME_BIAS_SCALE * product.scale
        if same.all():
            return product.biased(integers)
        return product.plus(integers * scale)
    if isinstance(value, Constant):
        return product.plus(channel_constant(value.array.astype(np.float64), product))
    raise Unsupported("its bias must be constant")


def _product(call: Call, x: Scaled, integers: np.ndarray, weights: QuantisedConstant, axis: int) -> dict[str, Any]:
    channels = weights.shape[axis]
    scale = _channel_scale(weights.scale.astype(np.float64), axis) * x.single_scale
    return {
        "name": layer_name(call.name, call.input_name(1)),
        "x_zero": x.zero,
        "weights": integers,
        "weight_dtype": weight_type(integers, weights.dtype),
        "scale": scale,
        "bias": np.zeros(channels, np.int64),
        "offset": np.zeros(channels),
    }


def _channel_scale(scale: np.ndarray, axis: int) -> np.ndarray:
    rows = np.moveaxis(scale, axis, 0).reshape(scale.shape[axis], -1)
    if np.ptp(rows, axis=1).any():
        raise Unsupported("weights must have one scale, or one an output channel")
    return rows[:, 0]


def channel_constant(array: np.ndarray, product: Product) -> np.ndarray:
    """A constant that broadcasts against the product along its channels alone, with one entry a channel."""
    rank, channels = len(product.shape), product.scale.size
    if array.ndim <= rank:
        full = array.reshape((1,) * (rank - array.ndim) + array.shape)
        sizes = [size for axis, size in enumerate(full.shape) if axis != product.channel_axis]
        if all(size == 1 for size in sizes) and full.shape[product.channel_axis] in (1, channels):
            return np.broadcast_to(full.reshape(-1), (channels,))
    raise Unsupported(f"a constant added to it must have one entry a channel ({channels}), not {list(array.shape)}")


def _along(array: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """A scalar or vector made to broadcast along one axis."""
    return array.reshape([-1 if index == axis else 1 for index in range(rank)])
