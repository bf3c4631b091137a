"""Float networks with seeded random weights, and the example network with its images."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

EXAMPLE = Path(__file__).parents[2] / "examples" / "lenet5"


class Network:
    """Collects nodes; weights are drawn so that values keep about the same size from layer to layer."""

    def __init__(self, *shape: int | str, seed: int = 0) -> None:
        self.generator = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def random(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.generator.normal(size=shape) * scale).astype(np.float32))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 3, bias: bool = True, **attributes: object) -> str:
        taps = inputs // int(attributes.get("group", 1))
        operands = [self.random(outputs, taps, kernel, kernel, scale=(taps * kernel**2) ** -0.5)]
        operands += [self.random(outputs, scale=0.3)] if bias else []
        return self.node("Conv", x, *operands, kernel_shape=[kernel, kernel], **attributes)

    def gemm(self, x: str, inputs: int, outputs: int) -> str:
        weights = self.random(outputs, inputs, scale=inputs**-0.5)
        return self.node("Gemm", x, weights, self.random(outputs, scale=0.3), transB=1)

    def batch_norm(self, x: str, channels: int) -> str:
        positive = [self.constant(self.generator.uniform(0.5, 1.5, channels).astype(np.float32)) for _ in range(2)]
        shifts = [self.random(channels, scale=0.2) for _ in range(2)]
        return self.node("BatchNormalization", x, positive[0], *shifts, positive[1])

    def model(self, *outputs: str) -> onnx.ModelProto:
        values = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "network", self.inputs, values, self.weights)
        opset = [helper.make_opsetid("", 17)]
        model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=opset, ir_version=8))
        onnx.checker.check_model(model)
        return model


def plain() -> onnx.ModelProto:
    net = Network("batch", 3, 12, 12)
    x = net.node("Relu", net.batch_norm(net.conv("x", 3, 8, bias=False, pads=[1, 1, 1, 1]), 8))
    x = net.node("Relu", net.node("MaxPool", net.conv(x, 8, 12, strides=[2, 2]), kernel_shape=[2, 2], strides=[2, 2]))
    x = net.node("Flatten", x)
    return net.model(net.gemm(net.node("Relu", net.gemm(x, 48, 16)), 16, 7))


def residual() -> onnx.ModelProto:
    net = Network("batch", 4, 8, 8, seed=1)
    stem = net.node("Relu", net.conv("x", 4, 8, pads=[1, 1, 1, 1]))
    x = net.node("Relu", net.batch_norm(net.conv(stem, 8, 8, bias=False, pads=[1, 1, 1, 1]), 8))
    x = net.node("Relu", net.node("Add", net.conv(x, 8, 8, pads=[1, 1, 1, 1]), stem))
    x = net.node("Add", net.conv(x, 8, 8, kernel=1), x)
    return net.model(net.gemm(net.node("Flatten", net.node("GlobalAveragePool", x)), 8, 5))


def depthwise() -> onnx.ModelProto:
    net = Network(1, 3, 13, 11, seed=2)
    x = net.node("Relu", net.conv("x", 3, 8, strides=[2, 2], pads=[1, 1, 1, 1]))
    six = [net.constant(np.array(value, np.float32)) for value in (0, 6)]
    x = net.node("Clip", net.batch_norm(net.conv(x, 8, 8, group=8, pads=[0, 0, 1, 1], bias=False), 8), *six)
    x = net.node("Relu", net.conv(x, 8, 12, kernel=1))
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    return net.model(net.node("Softmax", net.gemm(net.node("Flatten", x), 72, 6)))


def branches() -> onnx.ModelProto:
    net = Network("batch", 4, 6, 6, seed=3)
    left = net.node("Relu", net.conv("x", 4, 6, pads=[1, 1, 1, 1]))
    right = net.node("Sigmoid", net.conv("x", 4, 5, kernel=1))
    x = net.node("Concat", left, right, axis=1)
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    x = net.conv(net.node("Transpose", x, perm=[0, 1, 3, 2]), 11, 4)
    return net.model(x, net.node("Tanh", x))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": plain,
    "residual": residual,
    "depthwise": depthwise,
    "branches": branches,
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> onnx.ModelProto:
    """Each of the small float networks in turn."""
    return NETWORKS[request.param]()


@pytest.fixture
def small() -> onnx.ModelProto:
    """One small network, for what does not depend on the network."""
    return plain()


@pytest.fixture
def builder() -> type[Network]:
    """The class that networks are built with."""
    return Network


@pytest.fixture
def samples() -> Callable[[onnx.ModelProto, int], np.ndarray]:
    """A function that draws samples for the one input of a model."""

    def draw(model: onnx.ModelProto, count: int = 24) -> np.ndarray:
        shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim][1:]
        return np.random.default_rng(9).normal(size=(count, *shape)).astype(np.float32)

    return draw


def _digits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits", EXAMPLE / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The example's images: train_x, train_y, test_x, test_y."""
    return _digits().load()


@pytest.fixture(scope="session")
def lenet5() -> onnx.ModelProto:
    """The example network."""
    return onnx.load(EXAMPLE / "lenet5.onnx")
