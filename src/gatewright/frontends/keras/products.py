"""Layers with weights."""

import math
from collections.abc import Sequence

import numpy as np

from gatewright.frontends.keras.activations import activate
from gatewright.frontends.keras.layer import Layer, Unsupported
from gatewright.frontends.keras.writer import Value

__all__ = [
    "batch_normalization",
    "conv2d",
    "dense",
    "depthwise_conv2d",
    "normalization",
    "same_pads",
    "separable_conv2d",
    "window",
]


def dense(layer: Layer, x: Value) -> Value:
    """Along the last axis of tensors of any rank."""
    depth, units = x.shape[-1], int(layer.get("units", 0))
    weights, *bias = layer.expect_variables((depth, units), *_bias_shape(layer, units))
    operands = [layer.constant(weights, "kernel"), *(layer.constant(one, "bias") for one in bias)]
    if len(x.shape) == 1:
        return activate(layer, Value(layer.add("Gemm", x.name, *operands), (units,)))
    name = layer.add("MatMul", layer.writer.last(x), operands[0])
    if bias:
        name = layer.add("Add", name, operands[1], suffix=".biased")
    return activate(layer, Value(name, (*x.shape[:-1], units)))


def conv2d(layer: Layer, x: Value) -> Value:
    """Strides, dilation, groups; padding valid and same."""
    channels, filters, groups = layer.expect_image(x)[2], int(layer.get("filters", 0)), int(layer.get("groups", 1))
    kernel, *bias = layer.expect_variables(
        (*layer.pair("kernel_size"), channels // groups, filters), *_bias_shape(layer, filters)
    )
    return activate(layer, _convolve(layer, x, kernel.transpose(3, 2, 0, 1), bias, groups))


def depthwise_conv2d(layer: Layer, x: Value) -> Value:
    """As Conv2D; depth_multiplier."""
    channels, multiplier = layer.expect_image(x)[2], int(layer.get("depth_multiplier", 1))
    kernel, *bias = layer.expect_variables(
        (*layer.pair("kernel_size"), channels, multiplier), *_bias_shape(layer, channels * multiplier)
    )
    return activate(layer, _convolve(layer, x, _depthwise(kernel), bias, channels))


def separable_conv2d(layer: Layer, x: Value) -> Value:
    """As DepthwiseConv2D, then 1 x 1."""
    channels, multiplier = layer.expect_image(x)[2], int(layer.get("depth_multiplier", 1))
    filters = int(layer.get("filters", 0))
    spatial, pointwise, *bias = layer.expect_variables(
        (*layer.pair("kernel_size"), channels, multiplier),
        (1, 1, channels * multiplier, filters),
        *_bias_shape(layer, filters),
    )
    between = _convolve(layer, x, _depthwise(spatial), [], channels, ".depthwise")
    operands = [layer.constant(pointwise.transpose(3, 2, 0, 1), "pointwise")]
    operands += [layer.constant(one, "bias") for one in bias]
    name = layer.add("Conv", between.name, *operands)
    return activate(layer, Value(name, (*between.shape[:2], filters), first=True))


def batch_normalization(layer: Layer, x: Value) -> Value:
    """Over the last axis; folded into the layer before it, or a 1 x 1 depthwise convolution."""
    axis = layer.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, len(x.shape)) or len(x.shape) not in (1, 3):
        raise Unsupported(f"axis must be the last one of a vector or an image, not {axis!r}")
    channels = x.shape[-1]
    given = [bool(layer.get(key, True)) for key in ("scale", "center")]
    found = layer.expect_variables(*[(channels,)] * (sum(given) + 2))
    mean, variance = found[-2:]
    gamma = found[0] if given[0] else np.ones(channels, np.float32)
    beta = found[sum(given) - 1] if given[1] else np.zeros(channels, np.float32)
    return _normalise(layer, x, (gamma, beta, mean, variance), float(layer.get("epsilon", 1e-3)))


def normalization(layer: Layer, x: Value) -> Value:
    """Over the last axis, as it was adapted or given; not inverted. As BatchNormalization."""
    axis, channels = layer.get("axis", -1), x.shape[-1]
    if axis not in (-1, len(x.shape), [-1], [len(x.shape)]) or len(x.shape) not in (1, 3) or layer.get("invert", False):
        raise Unsupported(f"axis must be the last one of a vector or an image, and invert false, not {axis!r}")
    if layer.variables:
        mean, variance = layer.expect_variables((channels,), (channels,), ())[:2]
    else:
        given = (np.asarray(layer.settings.get(key), np.float32).reshape(-1) for key in ("mean", "variance"))
        mean, variance = (np.broadcast_to(each, (channels,)) for each in given)
    least = 1e-7  # of the deviation, as Keras has it
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return _normalise(layer, x, (ones, zeros, mean, np.maximum(variance, np.float32(least**2))), 0.0)


def _normalise(layer: Layer, x: Value, parameters: Sequence[np.ndarray], epsilon: float) -> Value:
    """`(x - mean) / sqrt(variance + epsilon) · gamma + beta` of parameters gamma, beta, mean, variance."""
    names = ("gamma", "beta", "mean", "variance")
    operands = [layer.constant(array, name) for array, name in zip(parameters, names, strict=True)]
    if x.is_image:
        name = layer.add("BatchNormalization", layer.writer.first(x), *operands, epsilon=epsilon)
        return Value(name, x.shape, first=True)
    image = layer.add("Reshape", x.name, layer.constant(np.array([0, -1, 1, 1], np.int64), "image"), suffix=".image")
    image = layer.add("BatchNormalization", image, *operands, epsilon=epsilon)
    return Value(layer.add("Flatten", image, suffix=".vector", axis=1), x.shape)


def window(
    layer: Layer,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[list[int], tuple[int, int]]:
    """Pads (top, left, bottom, right) and output size of a window that slides over height and width."""
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    padding = layer.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise Unsupported(f"padding must be valid or same, not {padding!r}")
    pairs = [(0, 0)] * 2
    if padding == "same":
        pairs = [same_pads(*one) for one in zip(shape[:2], spans, strides, strict=True)]
    sizes = [
        (size + sum(pair) - span) // stride + 1
        for size, pair, span, stride in zip(shape[:2], pairs, spans, strides, strict=True)
    ]
    if min(sizes) < 1:
        raise Unsupported(f"its window of {spans[0]} x {spans[1]} must fit {shape[0]} x {shape[1]}")
    (top, bottom), (left, right) = pairs
    return [top, left, bottom, right], (sizes[0], sizes[1])


def same_pads(size: int, span: int, stride: int) -> tuple[int, int]:
    """What `same` adds before and after; the larger half comes after."""
    total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _convolve(
    layer: Layer, x: Value, kernel: np.ndarray, bias: list[np.ndarray], groups: int, suffix: str = ""
) -> Value:
    """A convolution by `kernel`, [outputs, inputs a group, height, width]."""
    strides, dilation = layer.pair("strides"), layer.pair("dilation_rate")
    pads, size = window(layer, x.shape, kernel.shape[2:], strides, dilation)
    operands = [layer.constant(kernel, f"kernel{suffix}"), *(layer.constant(one, "bias") for one in bias)]
    name = layer.add(
        "Conv",
        layer.writer.first(x),
        *operands,
        suffix=suffix,
        kernel_shape=list(kernel.shape[2:]),
        strides=list(strides),
        dilations=list(dilation),
        pads=pads,
        group=groups,
    )
    return Value(name, (*size, len(kernel)), first=True)


def _depthwise(kernel: np.ndarray) -> np.ndarray:
    """[height, width, channels, multiplier] as [channels · multiplier, 1, height, width]."""
    height, width = kernel.shape[:2]
    return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)


def _bias_shape(layer: Layer, size: int) -> list[tuple[int, ...]]:
    return [(size,)] if layer.get("use_bias", True) else []
