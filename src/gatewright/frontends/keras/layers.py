"""The layers of Keras the importer knows: one function each, in one table."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from gatewright.frontends.keras import activations, products
from gatewright.frontends.keras.layer import Layer, Unsupported
from gatewright.frontends.keras.writer import Value

__all__ = ["FUNCTIONS", "LAYERS", "Translator", "support_table"]

Translator = Callable[..., Value]


def pass_through(layer: Layer, x: Value) -> Value:
    """Nothing at inference."""
    return x


def pool(kind: str) -> Translator:
    def translate(layer: Layer, x: Value) -> Value:
        """Size, strides; padding valid and same."""
        layer.expect_image(x)
        kernel = layer.pair("pool_size", 2)
        strides = layer.pair("strides") if layer.get("strides", None) else kernel
        pads, size = products.window(layer, x.shape, kernel, strides)
        name = layer.add(kind, layer.writer.first(x), kernel_shape=list(kernel), strides=list(strides), pads=pads)
        return Value(name, (*size, x.shape[2]), first=True)

    return translate


def global_pool(kind: str) -> Translator:
    def translate(layer: Layer, x: Value) -> Value:
        """keepdims."""
        channels = layer.expect_image(x)[2]
        name = layer.add(kind, layer.writer.first(x))
        if layer.get("keepdims", False):
            return Value(name, (1, 1, channels), first=True)
        return Value(layer.add("Flatten", name, suffix=".vector", axis=1), (channels,))

    return translate


def sums(kind: str) -> Translator:
    def translate(layer: Layer, *operands: Value) -> Value:
        """Tensors of one shape."""
        if len(operands) < 2 or len({value.shape for value in operands}) > 1 or (kind == "Sub" and len(operands) > 2):
            shapes = ", ".join(str(list(value.shape)) for value in operands)
            raise Unsupported(f"its operands must have the same shape, not {shapes}")
        first = any(value.first for value in operands)
        names = [layer.writer.first(value) if first else value.name for value in operands]
        total = names[0]
        for name in names[1:]:
            total = layer.add(kind, total, name)
        return Value(total, operands[0].shape, first)

    return translate


def average(layer: Layer, *operands: Value) -> Value:
    """Tensors of one shape."""
    total = sums("Add")(layer, *operands)
    share = layer.constant(np.float32(1 / len(operands)), "share")
    return replace(total, name=layer.add("Mul", total.name, share, suffix=".mean"))


def function(name: str) -> Translator:
    def translate(layer: Layer, x: Value) -> Value:
        """A function of `keras.ops`."""
        return activations.ACTIVATIONS[name](layer, x)

    return translate


def concatenate(layer: Layer, *operands: Value) -> Value:
    """Along any axis but the batch."""
    rank = len(operands[0].shape)
    axis = int(layer.get("axis", -1)) % (rank + 1)
    if axis == 0 or len({len(value.shape) for value in operands}) > 1:
        raise Unsupported(f"axis must be one of 1..{rank}, and all operands of one rank")
    first = any(value.first for value in operands)
    names = [layer.writer.first(value) if first else value.name for value in operands]
    shape = list(operands[0].shape)
    shape[axis - 1] = sum(value.shape[axis - 1] for value in operands)
    stored = Value("", tuple(shape), first)
    return replace(stored, name=layer.add("Concat", *names, axis=stored.axis(axis)))


def flatten(layer: Layer, x: Value) -> Value:
    """Row by row, channels last."""
    if layer.get("data_format", "channels_last") != "channels_last":
        raise Unsupported("data_format must be channels_last, not channels_first")
    return Value(layer.add("Flatten", layer.writer.last(x), axis=1), (prod(x.shape),))


def reshape(layer: Layer, x: Value) -> Value:
    """Any shape, with one -1."""
    shape = [int(size) for size in layer.get("target_shape", [])]
    known = prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known and prod(x.shape) % known == 0:
        shape[shape.index(-1)] = prod(x.shape) // known
    if prod(shape) != prod(x.shape) or min(shape, default=1) < 1:
        raise Unsupported(f"target_shape must hold {prod(x.shape)} elements, not {layer.get('target_shape', [])}")
    target = layer.constant(np.array([0, *shape], np.int64), "shape")
    return Value(layer.add("Reshape", layer.writer.last(x), target), tuple(shape))


def permute(layer: Layer, x: Value) -> Value:
    """Any order of axes."""
    order = [int(axis) for axis in layer.get("dims", [])]
    if sorted(order) != list(range(1, len(x.shape) + 1)):
        raise Unsupported(f"dims must order the axes 1..{len(x.shape)}, not {order}")
    name = layer.add("Transpose", layer.writer.last(x), perm=[0, *order])
    return Value(name, tuple(x.shape[axis - 1] for axis in order))


def zero_padding2d(layer: Layer, x: Value) -> Value:
    """Any padding."""
    height, width, channels = layer.expect_image(x)
    (top, bottom), (left, right) = _sides(layer, "padding")
    pads = layer.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64), "pads")
    zero = layer.constant(np.float32(0), "zero")
    name = layer.add("Pad", layer.writer.first(x), pads, zero)
    return Value(name, (height + top + bottom, width + left + right, channels), first=True)


def cropping2d(layer: Layer, x: Value) -> Value:
    """Any cropping that leaves a pixel."""
    height, width, channels = layer.expect_image(x)
    (top, bottom), (left, right) = _sides(layer, "cropping")
    if top + bottom >= height or left + right >= width:
        raise Unsupported(f"cropping must leave a pixel of {height} x {width}")
    numbers = {"starts": [top, left], "ends": [height - bottom, width - right], "axes": [2, 3]}
    operands = [layer.constant(np.array(values, np.int64), name) for name, values in numbers.items()]
    name = layer.add("Slice", layer.writer.first(x), *operands)
    return Value(name, (height - top - bottom, width - left - right, channels), first=True)


def up_sampling2d(layer: Layer, x: Value) -> Value:
    """interpolation nearest."""
    height, width, channels = layer.expect_image(x)
    if layer.get("interpolation", "nearest") != "nearest":
        raise Unsupported("interpolation must be nearest")
    rows, columns = layer.pair("size", 2)
    scales = layer.constant(np.array([1, 1, rows, columns], np.float32), "scales")
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    name = layer.add("Resize", layer.writer.first(x), "", scales, **modes)
    return Value(name, (height * rows, width * columns, channels), first=True)


def rescaling(layer: Layer, x: Value) -> Value:
    """One scale and one offset."""
    numbers = [layer.get("scale", 1.0), layer.get("offset", 0.0)]
    if not all(isinstance(number, int | float) for number in numbers) or numbers[0] <= 0:
        raise Unsupported(f"scale must be a positive number and offset a number, not {numbers}")
    name = layer.add("Mul", x.name, layer.constant(np.float32(numbers[0]), "scale"), suffix=".scaled")
    return replace(x, name=layer.add("Add", name, layer.constant(np.float32(numbers[1]), "offset")))


def _sides(layer: Layer, key: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Before and after, for height and width."""
    value: Any = layer.get(key, 1 if key == "padding" else 0)
    rows, columns = (value, value) if isinstance(value, int) else value
    pairs = [(one, one) if isinstance(one, int) else tuple(one) for one in (rows, columns)]
    if any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise Unsupported(f"{key} must be numbers of at least 0, not {value!r}")
    return pairs[0], pairs[1]


_NOTHING = ("ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "Identity", "SpatialDropout2D")

FUNCTIONS: Mapping[str, str] = {
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
"""Operations of `keras.ops` that functional models have in place of layers, and their names as activations."""

LAYERS: Mapping[str, Translator] = MappingProxyType(
    {
        **dict.fromkeys(_NOTHING, pass_through),
        **{kind: function(name) for kind, name in FUNCTIONS.items()},
        "Activation": activations.activation,
        "Add": sums("Add"),
        "Average": average,
        "AveragePooling2D": pool("AveragePool"),
        "BatchNormalization": products.batch_normalization,
        "Concatenate": concatenate,
        "Conv2D": products.conv2d,
        "Cropping2D": cropping2d,
        "Dense": products.dense,
        "DepthwiseConv2D": products.depthwise_conv2d,
        "ELU": activations.elu,
        "Flatten": flatten,
        "GlobalAveragePooling2D": global_pool("GlobalAveragePool"),
        "GlobalMaxPooling2D": global_pool("GlobalMaxPool"),
        "LeakyReLU": activations.leaky_relu,
        "MaxPooling2D": pool("MaxPool"),
        "Normalization": products.normalization,
        "Permute": permute,
        "ReLU": activations.relu,
        "Rescaling": rescaling,
        "Reshape": reshape,
        "SeparableConv2D": products.separable_conv2d,
        "Softmax": activations.softmax,
        "Subtract": sums("Sub"),
        "UpSampling2D": up_sampling2d,
        "ZeroPadding2D": zero_padding2d,
    }
)


def support_table() -> str:
    """The layers and their forms in Markdown: the first line of each function's docstring."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, translator in sorted(LAYERS.items()):
        form = (translator.__doc__ or "").splitlines()[0]
        key = (form, name if translator is not pass_through else "")
        names.setdefault(key, []).append(f"`{name}`")
    rows = [f"| {', '.join(group)} | {form} |" for (form, _), group in names.items()]
    return "\n".join(["| layer | forms |", "|---|---|", *rows])
