"""Single operators quantised by ONNX Runtime's own quantiser, against ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest


def _weights(*shape: int) -> np.ndarray:
    return (np.random.default_rng(3).normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def _image(build: Any, channels: int, height: int, width: int) -> Any:
    """A quantised image: the quantiser leaves pooling alone where nothing before it is quantised."""
    x = build.input("x", [1, 2, height, width], "float32")
    return build.node("Conv", x, _weights(channels, 2, 1, 1))


def conv(build: Any) -> Any:
    x = build.input("x", ["N", 3, 9, 7], "float32")
    return build.node("Conv", x, _weights(5, 3, 3, 3), _weights(5), pads=[1, 0, 2, 1], strides=[2, 1])


def conv_relu(build: Any) -> Any:
    return build.node("Relu", conv(build))


def conv_clip(build: Any) -> Any:
    return build.node("Clip", conv(build), np.float32(0), np.float32(0.7))


def conv_1d(build: Any) -> Any:
    x = build.input("x", [1, 4, 20], "float32")
    return build.node("Conv", x, _weights(6, 4, 5), _weights(6), pads=[2, 2], dilations=[2])


def depthwise(build: Any) -> Any:
    x = build.input("x", [1, 6, 8, 8], "float32")
    return build.node("Conv", x, _weights(6, 1, 3, 3), _weights(6), auto_pad="SAME_UPPER", strides=[2, 2], group=6)


def grouped(build: Any) -> Any:
    x = build.input("x", [1, 6, 5, 5], "float32")
    return build.node("Conv", x, _weights(4, 3, 3, 3), group=2, dilations=[2, 2], pads=[2, 2, 2, 2])


def gemm(build: Any) -> Any:
    x = build.input("x", ["N", 24], "float32")
    return build.node("Gemm", x, _weights(24, 10), _weights(10))


def gemm_transposed(build: Any) -> Any:
    x = build.input("x", ["N", 24], "float32")
    return build.node("Gemm", x, _weights(10, 24), _weights(10), transB=1)


def matmul(build: Any) -> Any:
    x = build.input("x", [2, 5, 24], "float32")
    return build.node("MatMul", x, _weights(24, 10))


def flatten_gemm(build: Any) -> Any:
    x = build.input("x", ["N", 3, 6, 5], "float32")
    x = build.node("Conv", x, _weights(4, 3, 3, 3), _weights(4))
    return build.node("Gemm", build.node("Flatten", x), _weights(7, 48), _weights(7), transB=1)


def add(build: Any) -> Any:
    return build.node("Add", build.input("x", [1, 4, 6, 5], "float32"), build.input("y", [1, 4, 6, 5], "float32"))


def residual(build: Any) -> Any:
    x = build.node("Conv", build.input("x", [1, 4, 6, 6], "float32"), _weights(4, 4, 1, 1))
    y = build.node("Conv", x, _weights(4, 4, 3, 3), _weights(4), pads=[1, 1, 1, 1])
    return build.node("Relu", build.node("Add", x, y))


def max_pool(build: Any) -> Any:
    x = _image(build, 3, 9, 9)
    return build.node("MaxPool", x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=1)


def average_pool(build: Any) -> Any:
    x = _image(build, 3, 9, 9)
    return build.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


def average_pool_including_pads(build: Any) -> Any:
    x = _image(build, 3, 9, 9)
    return build.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)


def global_average_pool(build: Any) -> Any:
    return build.node("GlobalAveragePool", _image(build, 6, 5, 7))


def concat(build: Any) -> Any:
    x = build.node("Conv", build.input("x", [1, 3, 6, 6], "float32"), _weights(4, 3, 1, 1))
    y = build.node("Sigmoid", x)
    return build.node("Concat", x, y, axis=1)


def resize(build: Any) -> Any:
    x = _image(build, 3, 4, 5)
    scales = np.array([1, 1, 2, 3], np.float32)
    return build.node(
        "Resize", x, "", scales, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
    )


def leaky_relu(build: Any) -> Any:
    return build.node("LeakyRelu", conv(build), alpha=0.1)


def sigmoid(build: Any) -> Any:
    return build.node("Sigmoid", conv(build))


def softmax(build: Any) -> Any:
    return build.node("Softmax", gemm(build))


OPERATORS = {
    function.__name__: function
    for function in (
        conv,
        conv_relu,
        conv_clip,
        conv_1d,
        depthwise,
        grouped,
        gemm,
        gemm_transposed,
        matmul,
        flatten_gemm,
        add,
        residual,
        max_pool,
        average_pool,
        average_pool_including_pads,
        global_average_pool,
        concat,
        resize,
        leaky_relu,
        sigmoid,
        softmax,
    )
}
RATES = {"average_pool": 0.06}  # sums over 6 values often end in a half, which float32 rounds either way
KINDS = ["int8-int8", "uint8-int8", "uint8-uint8"]


@pytest.mark.parametrize("per_channel", [False, True], ids=["per_tensor", "per_channel"])
@pytest.mark.parametrize("types", KINDS)
@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_agrees(
    operator: str,
    form: str,
    types: str,
    per_channel: bool,
    builder: Any,
    quantised: Callable[..., onnx.ModelProto],
    agree: Callable[..., Any],
) -> None:
    build = builder()
    model = build.build(**{OPERATORS[operator](build): "float32"})
    found = agree(quantised(model, form, *types.split("-"), per_channel))
    assert found.largest <= 1
    assert found.rate <= RATES.get(operator, 0.01)
