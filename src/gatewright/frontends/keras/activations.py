"""Activation functions, as layers of their own and as settings of others."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from gatewright.frontends.keras.layer import Layer, Unsupported
from gatewright.frontends.keras.writer import Value

__all__ = ["ACTIVATIONS", "activate", "activation", "elu", "leaky_relu", "relu", "softmax"]

_DEFAULT_SLOPE = 0.2  # of the function; that of the layer LeakyReLU is 0.3


def activation(layer: Layer, x: Value) -> Value:
    """By name: see the activations below."""
    return activate(layer, x)


def relu(layer: Layer, x: Value) -> Value:
    """max_value; negative_slope without max_value; threshold 0."""
    top, slope = layer.settings.get("max_value"), float(layer.get("negative_slope", 0.0))
    if layer.get("threshold", 0.0) != 0 or (slope and top is not None):
        raise Unsupported("threshold must be 0, and negative_slope too where there is a max_value")
    if slope:
        return _leaky(layer, x, slope)
    return _bounded(layer, x, float(top)) if top is not None else _plain("Relu")(layer, x)


def leaky_relu(layer: Layer, x: Value) -> Value:
    """Any slope; 2^-k costs least."""
    return _leaky(layer, x, float(layer.get("negative_slope", layer.get("alpha", 0.3))))


def elu(layer: Layer, x: Value) -> Value:
    """Any alpha."""
    return _node(layer, x, "Elu", alpha=float(layer.get("alpha", 1.0)))


def softmax(layer: Layer, x: Value) -> Value:
    """Along the last axis, at the end of the network."""
    if layer.get("axis", -1) not in (-1, len(x.shape)):
        raise Unsupported("axis must be the last one")
    return _softmax(layer, x)


def activate(layer: Layer, x: Value) -> Value:
    """Apply the function that a layer's setting `activation` names."""
    setting: Any = layer.get("activation", "linear")
    if isinstance(setting, dict) and setting.get("class_name") in _LAYERS:
        return _LAYERS[setting["class_name"]](replace(layer, settings=setting["config"]), x)
    if isinstance(setting, dict):
        inner = setting.get("config")
        setting = inner if isinstance(inner, str) else setting.get("class_name")
    function = ACTIVATIONS.get(setting)
    if function is None:
        raise Unsupported(f"activation must be one of {', '.join(ACTIVATIONS)}, not {setting!r}")
    return function(layer, x)


def _node(layer: Layer, x: Value, kind: str, **attributes: Any) -> Value:
    return replace(x, name=layer.add(kind, x.name, suffix=f".{kind.lower()}", **attributes))


def _plain(kind: str, **attributes: Any) -> Callable[[Layer, Value], Value]:
    return lambda layer, x: _node(layer, x, kind, **attributes)


def _leaky(layer: Layer, x: Value, slope: float) -> Value:
    return _node(layer, x, "LeakyRelu", alpha=slope)


def _bounded(layer: Layer, x: Value, top: float) -> Value:
    bounds = [layer.constant(np.float32(bound), name) for bound, name in ((0, "low"), (top, "high"))]
    return replace(x, name=layer.add("Clip", x.name, *bounds, suffix=".clip"))


def _softmax(layer: Layer, x: Value) -> Value:
    name = layer.writer.last(x)
    return Value(layer.add("Softmax", name, suffix=".softmax", axis=-1), x.shape)


def _swish(layer: Layer, x: Value) -> Value:
    gate = layer.add("Sigmoid", x.name, suffix=".sigmoid")
    return replace(x, name=layer.add("Mul", x.name, gate, suffix=".swish"))


def _hard_tanh(layer: Layer, x: Value) -> Value:
    bounds = [layer.constant(np.float32(bound), name) for bound, name in ((-1, "low"), (1, "high"))]
    return replace(x, name=layer.add("Clip", x.name, *bounds, suffix=".clip"))


def _mish(layer: Layer, x: Value) -> Value:
    inner = layer.add("Tanh", layer.add("Softplus", x.name, suffix=".softplus"), suffix=".tanh")
    return replace(x, name=layer.add("Mul", x.name, inner, suffix=".mish"))


def _gelu(layer: Layer, x: Value) -> Value:
    """`x · (1 + erf(x / sqrt(2))) / 2`."""
    inner = layer.add("Mul", x.name, layer.constant(np.float32(0.5**0.5), "root"), suffix=".scaled")
    share = layer.add(
        "Add", layer.add("Erf", inner, suffix=".erf"), layer.constant(np.float32(1), "one"), suffix=".gate"
    )
    doubled = layer.add("Mul", x.name, share, suffix=".doubled")
    return replace(x, name=layer.add("Mul", doubled, layer.constant(np.float32(0.5), "half"), suffix=".gelu"))


_LAYERS: Mapping[str, Callable[[Layer, Value], Value]] = MappingProxyType(
    {"ELU": elu, "LeakyReLU": leaky_relu, "ReLU": relu, "Softmax": softmax}
)
"""Layers that other layers have as their activation."""

ACTIVATIONS: Mapping[Any, Callable[[Layer, Value], Value]] = MappingProxyType(
    {
        "linear": lambda layer, x: x,
        "relu": _plain("Relu"),
        "relu6": lambda layer, x: _bounded(layer, x, 6.0),
        "leaky_relu": lambda layer, x: _leaky(layer, x, _DEFAULT_SLOPE),
        "elu": _plain("Elu"),
        "selu": _plain("Selu"),
        "exponential": _plain("Exp"),
        "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
        "hard_silu": _plain("HardSwish"),
        "hard_swish": _plain("HardSwish"),
        "sigmoid": _plain("Sigmoid"),
        "silu": _swish,
        "softmax": _softmax,
        "softplus": _plain("Softplus"),
        "softsign": _plain("Softsign"),
        "swish": _swish,
        "tanh": _plain("Tanh"),
        "celu": _plain("Celu"),
        "gelu": _gelu,
        "hard_tanh": _hard_tanh,
        "mish": _mish,
    }
)
