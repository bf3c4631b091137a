"""Float ONNX networks layer by layer, with random weights: what the examples compile."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["Layers"]

_OPSET = 17


class Layers:
    """One layer after another on the present value; `value` can be kept and handed back as a residual operand.

    Weights are drawn so that activations keep their size from layer to layer, as they do in a trained network.
    Batch normalisations are left out: a compiler folds them into the weights anyway.
    """

    def __init__(self, name: str, shape: tuple[int, ...], seed: int = 0) -> None:
        self.name, self.random = name, np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)
        self.value, self.channels = "image", shape[1]

    def convolution(self, filters: int, kernel: int = 3, stride: int = 1, *, relu: bool = True) -> Layers:
        weights = self._weights((filters, self.channels, kernel, kernel))
        self._node(
            "Conv",
            self.value,
            weights,
            self._constant(self.random.normal(0, 0.1, filters)),
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
        )
        self.channels = filters
        return self.relu() if relu else self

    def dense(self, features: int, *, relu: bool = True) -> Layers:
        """A product; `channels` must be the length of the flattened value."""
        weights, bias = self._weights((features, self.channels)), self._constant(self.random.normal(0, 0.1, features))
        self._node("Gemm", self.value, weights, bias, transB=1)
        self.channels = features
        return self.relu() if relu else self

    def relu(self) -> Layers:
        return self._node("Relu", self.value)

    def max_pool(self, kernel: int, stride: int, pad: int = 0) -> Layers:
        return self._node("MaxPool", self.value, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def average_pool(self) -> Layers:
        """The mean of each channel."""
        return self._node("GlobalAveragePool", self.value)

    def flatten(self, pixels: int = 1) -> Layers:
        """All channels of all `pixels` in one row."""
        self.channels *= pixels
        return self._node("Flatten", self.value)

    def add(self, other: str) -> Layers:
        return self._node("Add", self.value, other)

    def model(self) -> onnx.ModelProto:
        output = helper.make_tensor_value_info(self.value, onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, self.name, [self.input], [output], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)

    def _weights(self, shape: tuple[int, ...]) -> str:
        return self._constant(self.random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape))

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def _node(self, operator: str, *inputs: str, **attributes: object) -> Layers:
        self.value = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [self.value], self.value, **attributes))
        return self
