"""Keras models for tests: files written by hand, and the layers in NumPy as Keras defines them."""

import io
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = ["FORWARD", "layer", "run_sequential", "sequential", "tensor", "write_keras"]


def layer(class_name: str, name: str, **settings: Any) -> dict[str, Any]:
    """A layer's entry in `config.json`."""
    return {"module": "keras.layers", "class_name": class_name, "config": {"name": name, **settings}}


def tensor(name: str, use: int = 0) -> dict[str, Any]:
    """The result of a layer, as a functional model refers to it."""
    return {"class_name": "__keras_tensor__", "config": {"shape": None, "keras_history": [name, use, 0]}}


def sequential(shape: Sequence[int], *layers: dict[str, Any], name: str = "model") -> dict[str, Any]:
    """A Sequential model with an input of this shape."""
    first = layer("InputLayer", "image", batch_shape=[None, *shape])
    return {"class_name": "Sequential", "config": {"name": name, "layers": [first, *layers]}}


def write_keras(path: Path, config: Any, variables: dict[str, Sequence[np.ndarray]]) -> Path:
    """A `.keras` file; `variables` are by the path of their group, such as `layers/conv2d`."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for group, arrays in variables.items():
            for index, array in enumerate(arrays):
                file[f"{group}/vars/{index}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def run_sequential(config: dict[str, Any], variables: dict[str, Sequence[np.ndarray]], x: np.ndarray) -> np.ndarray:
    """A Sequential model's result in double precision; each class occurs once."""
    x = x.astype(np.float64)
    for entry in config["config"]["layers"][1:]:
        found = variables.get(entry["config"]["name"], ())
        x = FORWARD[entry["class_name"]](x, entry["config"], [np.asarray(one, np.float64) for one in found])
        x = ACTIVATIONS[entry["config"].get("activation", "linear")](x)
    return x


def _pads(sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: str) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0), (0, 0)]
    totals = [
        max((-(-size // step) - 1) * step + span - size, 0)
        for size, span, step in zip(sizes, window, strides, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def _windows(x: np.ndarray, kernel: Sequence[int], settings: dict[str, Any], fill: float) -> np.ndarray:
    """[N, OH, OW, C, kh, kw]."""
    strides = settings.get("strides") or settings.get("pool_size") or [1, 1]
    dilation = settings.get("dilation_rate", [1, 1])
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    pads = _pads(x.shape[1:3], spans, strides, settings.get("padding", "valid"))
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, tuple(spans), axis=(1, 2))
    return view[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]


def _conv(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    kernel, *bias = found
    groups = settings.get("groups", 1)
    taps = _windows(x, kernel.shape[:2], settings, 0.0)
    parts = zip(np.split(taps, groups, axis=3), np.split(kernel, groups, axis=3), strict=True)
    return sum(bias, np.concatenate([np.einsum("nhwcij,ijco->nhwo", *part) for part in parts], axis=3))


def _depthwise(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    kernel, *bias = found
    result = np.einsum("nhwcij,ijcm->nhwcm", _windows(x, kernel.shape[:2], settings, 0.0), kernel)
    return sum(bias, result.reshape(*result.shape[:3], -1))


def _separable(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    depthwise, pointwise, *bias = found
    return sum(bias, _depthwise(x, settings, [depthwise]) @ pointwise[0, 0])


def _average(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    counts = _windows(np.ones_like(x), settings["pool_size"], settings, 0.0).sum(axis=(4, 5))
    return _windows(x, settings["pool_size"], settings, 0.0).sum(axis=(4, 5)) / counts


def _maximum(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    return _windows(x, settings["pool_size"], settings, -np.inf).max(axis=(4, 5))


def _normalise(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    *given, mean, variance = found
    gamma = given[0] if settings.get("scale", True) else 1.0
    beta = given[-1] if settings.get("center", True) else 0.0
    return (x - mean) / np.sqrt(variance + settings.get("epsilon", 1e-3)) * gamma + beta


def _relu(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    y = np.where(x < 0, settings.get("negative_slope", 0.0) * x, x)
    return np.minimum(y, np.inf if settings.get("max_value") is None else settings["max_value"])


def _global(reduce: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda x, settings, found: reduce(x, axis=(1, 2), keepdims=settings.get("keepdims", False))


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _crop(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    (top, bottom), (left, right) = settings["cropping"]
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def _upsample(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    rows, columns = settings["size"]
    return x.repeat(rows, axis=1).repeat(columns, axis=2)


def _standardise(x: np.ndarray, settings: dict[str, Any], found: Sequence[np.ndarray]) -> np.ndarray:
    mean, variance = found[:2] if found else (np.asarray(settings[key], np.float64) for key in ("mean", "variance"))
    return (x - mean) / np.maximum(np.sqrt(variance), 1e-7)


FORWARD: dict[str, Callable[..., np.ndarray]] = {
    "Activation": lambda x, settings, found: x,
    "AveragePooling2D": _average,
    "BatchNormalization": _normalise,
    "Conv2D": _conv,
    "Cropping2D": _crop,
    "Dense": lambda x, settings, found: sum(found[1:], x @ found[0]),
    "DepthwiseConv2D": _depthwise,
    "Dropout": lambda x, settings, found: x,
    "ELU": lambda x, settings, found: np.where(x < 0, settings.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x),
    "Flatten": lambda x, settings, found: x.reshape(len(x), -1),
    "GlobalAveragePooling2D": _global(np.mean),
    "GlobalMaxPooling2D": _global(np.max),
    "LeakyReLU": lambda x, settings, found: np.where(x < 0, settings.get("negative_slope", 0.3) * x, x),
    "MaxPooling2D": _maximum,
    "Normalization": _standardise,
    "Permute": lambda x, settings, found: x.transpose(0, *settings["dims"]),
    "ReLU": _relu,
    "Rescaling": lambda x, settings, found: x * settings["scale"] + settings.get("offset", 0.0),
    "Reshape": lambda x, settings, found: x.reshape(len(x), *settings["target_shape"]),
    "SeparableConv2D": _separable,
    "Softmax": lambda x, settings, found: _softmax(x),
    "UpSampling2D": _upsample,
    "ZeroPadding2D": lambda x, settings, found: np.pad(x, ((0, 0), *settings["padding"], (0, 0))),
}

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x < 0, 0.2 * x, x),
    "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "exponential": np.exp,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": _softmax,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
    "selu": lambda x: 1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), x),
    "celu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
}
