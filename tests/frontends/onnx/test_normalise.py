"""Normalisation: the same network, in the one form that import and quantisation read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from gatewright.errors import ModelError
from gatewright.frontends import run_reference
from gatewright.frontends.onnx import normalise

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def _positive(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 2, shape).astype(np.float32)


def _batch_norm(build: Any, x: str, channels: int) -> Any:
    return build.node(
        "BatchNormalization", x, _random(channels), _random(channels, seed=1), _random(channels), _positive(channels)
    )


def conv_batch_norm(build: Any) -> Any:
    x = build.node("Conv", build.input("x", ("N", 3, 6, 6), "float32"), _random(4, 3, 3, 3), _random(4))
    return build.node("Relu", _batch_norm(build, x, 4))


def conv_scaled_and_shifted(build: Any) -> Any:
    x = build.node("Conv", build.input("x", ("N", 3, 6, 6), "float32"), _random(4, 3, 3, 3))
    x = build.node("Mul", _batch_norm(build, x, 4), build.node("Unsqueeze", _random(4), np.array([1, 2])))
    return build.node("Sub", build.node("Add", _random(4, 1, 1), x), np.float32(0.5))


def gemm_batch_norm(build: Any) -> Any:
    x = build.input("x", ("N", 5), "float32")
    x = build.node("Gemm", x, _random(4, 5), _random(4), transB=1, alpha=0.5, beta=2.0)
    return build.node("Div", _batch_norm(build, x, 4), np.array([1, 2, 3, 4], np.float32))


def matmul_add(build: Any) -> Any:
    x = build.node("MatMul", build.input("x", ("N", 5), "float32"), _random(5, 4))
    return _batch_norm(build, build.node("Add", _random(4), x), 4)


def batch_norm_alone(build: Any) -> Any:
    x = _batch_norm(build, build.node("Relu", build.input("x", ("N", 3, 6, 6), "float32")), 3)
    return build.node("Add", x, _random(1, 3, 1, 1))


def dropout_and_identity(build: Any) -> Any:
    x = build.node("Dropout", build.node("Identity", build.input("x", ("N", 5), "float32")))
    return build.node("Relu", x)


def shape_arithmetic(build: Any) -> Any:
    x = build.node("Conv", build.input("x", ("N", 3, 6, 6), "float32"), _random(4, 3, 3, 3))
    rows = build.node("Unsqueeze", build.node("Gather", build.node("Shape", x), np.array(0)), np.array([0]))
    return build.node("Reshape", x, build.node("Concat", rows, np.array([-1]), axis=0))


def two_consumers(build: Any) -> Any:
    x = build.node("Conv", build.input("x", ("N", 3, 6, 6), "float32"), _random(4, 3, 3, 3))
    return build.node("Sum", build.node("Relu", x), _batch_norm(build, x, 4))


KINDS: dict[Callable[[Any], Any], list[str]] = {
    conv_batch_norm: ["Conv", "Relu"],
    conv_scaled_and_shifted: ["Conv"],
    gemm_batch_norm: ["Gemm"],
    matmul_add: ["Gemm"],
    batch_norm_alone: ["Relu", "Conv"],
    dropout_and_identity: ["Relu"],
    shape_arithmetic: ["Conv", "Reshape"],
    two_consumers: ["Conv", "Relu", "Conv", "Add"],
}


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.__name__)
def test_same_network(case: Callable[[Any], Any], builder: Any) -> None:
    build = builder()
    model = build.build(**{case(build): "float32"})
    before = model.SerializeToString()
    normal = normalise(model, batch=2)
    assert model.SerializeToString() == before
    assert [node.op_type for node in normal.graph.node] == KINDS[case]
    shape = [size.dim_value for size in normal.graph.input[0].type.tensor_type.shape.dim]
    x = {"x": np.random.default_rng(5).normal(size=shape).astype(np.float32)}
    for ours, theirs in zip(run_reference(normal, x).values(), run_reference(model, x).values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_every_shape_is_known(builder: Any) -> None:
    build = builder()
    normal = normalise(build.build(**{shape_arithmetic(build): "float32"}), batch=3)
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*normal.graph.value_info, *normal.graph.output]
    }
    assert [shapes[node.output[0]] for node in normal.graph.node] == [[3, 4, 4, 4], [3, 64]]


def test_old_opsets_are_upgraded(builder: Any) -> None:
    build = builder(opset=9)
    x = build.node("Unsqueeze", build.input("x", (2, 5), "float32"), axes=[1])
    normal = normalise(build.build(**{build.node("Clip", x, min=0.0, max=6.0): "float32"}))
    assert [entry.version for entry in normal.opset_import] == [13]
    assert [len(node.input) for node in normal.graph.node] == [2, 3]


def test_integer_weights_stay_integers(builder: Any) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    weights = build.dequantise(build.quantise(build.constant(_random(5, 4)), 0.01, 0), 0.01, 0)
    normal = normalise(build.build(**{build.quantise(build.node("MatMul", x, weights), 0.1, 0): "int8"}))
    kinds = [node.op_type for node in normal.graph.node]
    assert kinds.count("DequantizeLinear") == 2
    assert kinds.count("QuantizeLinear") == 1


def test_dimension_that_is_not_the_batch(builder: Any) -> None:
    build = builder()
    y = build.node("Relu", build.input("x", ("N", "length"), "float32"))
    with pytest.raises(ModelError, match=r"input 'x' may have a dynamic first dimension only, not \[N, length\]"):
        normalise(build.build(**{y: "float32"}))


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "densenet121"])
def test_real_topologies(name: str) -> None:
    """Weights of these files are all one: they get random ones, so that folding shows."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    rng = np.random.default_rng(0)
    fills = {node.output[0]: node for node in model.graph.node if node.op_type == "ConstantOfShape"}
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for result, node in fills.items():
        shape = [int(size) for size in shapes[node.input[0]]]
        array = rng.uniform(0.5, 1.5, shape) / (np.prod(shape[1:]) if len(shape) > 1 else 1)
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), result))
        model.graph.node.remove(node)
    normal = normalise(model)
    (value,) = normal.graph.input
    x = {value.name: rng.normal(size=[size.dim_value for size in value.type.tensor_type.shape.dim]).astype(np.float32)}
    (ours,), (theirs,) = run_reference(normal, x).values(), run_reference(model, x).values()
    np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=1e-6)
    assert not {"BatchNormalization", "Dropout", "ConstantOfShape", "Unsqueeze"} & {
        node.op_type for node in normal.graph.node
    }
