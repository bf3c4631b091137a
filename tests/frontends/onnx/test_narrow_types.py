"""ONNX's own narrow types, INT4, UINT4, INT2 and UINT2, between QuantizeLinear and DequantizeLinear."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from gatewright import ir
from gatewright.frontends.onnx import import_onnx, is_quantised

ZEROS = {"int8": 0, "uint8": 130, "int4": -1, "uint4": 6, "int2": 0, "uint2": 1}
NARROW = ("int4", "uint4", "int2", "uint2")


def _array(values: Any, dtype: str) -> np.ndarray:
    return np.asarray(values).astype(getattr(ml_dtypes, dtype, dtype))


def _type(dtype: str) -> ir.IntType:
    return ir.IntType(int(dtype.lstrip("uint")), dtype.startswith("int"))


def network(builder: Any, activations: str, weights: str, per_channel: bool, biased: bool = True) -> onnx.ModelProto:
    """Two convolutions with a bias and a Relu, a pool and a product; one type for activations, one for weights."""
    build, rng = builder(opset=25), np.random.default_rng(0)
    full = _type(weights)

    def rounded(x: str, scale: float) -> str:
        parameters = np.float32(scale), _array(ZEROS[activations], activations)
        return build.node("DequantizeLinear", build.node("QuantizeLinear", x, *parameters), *parameters)

    def filters(*shape: int) -> str:
        integers = _array(rng.integers(full.min, full.max + 1, shape), weights)
        scale = rng.uniform(0.02, 0.1, shape[0] if per_channel else ()).astype(np.float32)
        zero = _array(np.full(scale.shape, 0 if full.signed else 1 << (full.width - 1)), weights)
        return build.node("DequantizeLinear", integers, scale, zero, axis=0)

    def bias(size: int) -> np.ndarray:
        return (biased * rng.normal(0, 0.3, size)).astype(np.float32)

    step = 8.0 / (1 << _type(activations).width)
    x = rounded(build.input("x", [1, 3, 8, 8], "float32"), step)
    x = rounded(build.node("Relu", build.node("Conv", x, filters(6, 3, 3, 3), bias(6), pads=[1] * 4)), step)
    x = rounded(build.node("Conv", x, filters(6, 1, 3, 3), bias(6), group=6), step)
    x = rounded(build.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), step)
    y = rounded(build.node("Gemm", build.node("Flatten", x), filters(5, 54), bias(5), transB=1), 2 * step)
    model = build.build(**{y: "float32"})
    model.ir_version = 13  # the first that knows types of 2 bits
    return model


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("weights", NARROW)
@pytest.mark.parametrize("activations", NARROW)
def test_every_integer_is_that_of_onnx_runtime(
    builder: Any, agree: Callable[..., Any], activations: str, weights: str, per_channel: bool
) -> None:
    """A bias that is no whole number of sums matters where the steps are so few; the import meets them exactly."""
    found = agree(network(builder, activations, weights, per_channel), count=40)
    assert (found.rate, found.largest) == (0, 0)
    products = [node for node in found.graph.nodes if isinstance(node.op, ir.Conv2d | ir.MatMul)]
    assert {found.graph.type_of(node.inputs[0]).dtype for node in products} == {_type(activations)}
    assert {found.graph.type_of(node.inputs[1]).dtype.width for node in products} == {_type(weights).width}


@pytest.mark.parametrize("weights", NARROW)
def test_narrow_weights_beside_wide_activations(builder: Any, agree: Callable[..., Any], weights: str) -> None:
    found = agree(network(builder, "uint8", weights, True, biased=False), count=40, multiplier_bits=24)
    assert (found.rate, found.largest) == (0, 0)


@pytest.mark.parametrize("dtype", NARROW)
def test_inputs_and_outputs_may_be_narrow_integers(builder: Any, dtype: str) -> None:
    build = builder(opset=25)
    kind = onnx.TensorProto.DataType.Value(dtype.upper())
    build.inputs.append(onnx.helper.make_tensor_value_info("x", kind, [1, 6]))
    zero = _array(0, dtype)
    weights = build.node("DequantizeLinear", _array(np.ones((6, 2)), "int4"), np.float32(1), _array(0, "int4"))
    sums = build.node("MatMul", build.node("DequantizeLinear", "x", np.float32(0.5), zero), weights)
    y = build.node("QuantizeLinear", sums, np.float32(1.0), zero)
    model = build.build()
    model.graph.output.append(onnx.helper.make_tensor_value_info(y, kind, None))
    assert is_quantised(model)
    graph = import_onnx(model)
    assert [str(value.type.dtype) for value in graph.inputs] == [str(_type(dtype))]
    x = np.array([[1, 0, 1, 1, 0, 1]])
    port = graph.input_ports[0]
    (found,) = graph.evaluate(port.encode(x.astype(port.graph_type.dtype.storage))).values()
    expected = np.clip(2, _type(dtype).min, _type(dtype).max)
    assert graph.output_ports[0].decode(found).tolist() == [[expected, expected]]
