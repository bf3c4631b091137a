"""Forms in which QuantizeLinear and DequantizeLinear stand, as converters write them, against ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from gatewright.errors import ModelError
from gatewright.frontends.onnx import ImportOptions, import_onnx
from gatewright.ir import I8, IntType, Rounding

RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
MATRIX = RNG.integers(-127, 128, (6, 5)).astype(np.int8)
IMAGE = (1, 3, 6, 5)


def _conv(build: Any, x: str, weights: Any = WEIGHTS, bias: Any = None, **attributes: Any) -> str:
    """A Conv between DequantizeLinear and nothing yet, weights with a scale a channel."""
    scale = np.linspace(0.002, 0.01, len(weights)).astype(np.float32)
    real = build.dequantise(weights, scale, 0, axis=0)
    return build.node("Conv", x, real, *([] if bias is None else [bias]), pads=[1, 1, 1, 1], **attributes)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_integers_in_and_out(dtype: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE, dtype), 0.05, 7, dtype)
    y = build.quantise(_conv(build, x), 0.1, 3, dtype)
    found = agree(build.build(**{y: dtype}))
    assert found.largest <= 1
    assert found.rate < 0.005
    (port,) = found.graph.input_ports
    assert (port.model_dtype, port.scale, port.zero_point, port.permutation) == (
        dtype,
        pytest.approx(0.05),
        7,
        (0, 2, 3, 1),
    )


def test_floats_in_and_out(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.quantise(build.input("x", IMAGE, "float32"), 0.05, -3), 0.05, -3)
    y = build.dequantise(build.quantise(_conv(build, x), 0.1, 3), 0.1, 3)
    found = agree(build.build(**{y: "float32"}))
    assert found.operators == ["conv2d", "requantise"]
    assert found.rate < 0.005
    assert found.graph.output_ports[0].permutation == (0, 2, 3, 1)


def test_half_precision_in_and_out(builder: Any) -> None:
    build = builder(opset=21)
    half = [np.float16(0.05), np.array(-3, np.int8)]
    x = build.node("QuantizeLinear", build.input("x", IMAGE, "float16"), *half)
    y = build.node("DequantizeLinear", build.node("MaxPool", x, kernel_shape=[2, 2]), *half)
    graph = import_onnx(build.build(**{y: "float16"}))
    assert [port.model_dtype for port in (*graph.input_ports, *graph.output_ports)] == ["float16", "float16"]
    (found,) = graph.evaluate(graph.input_ports[0].encode(np.full(IMAGE, 0.5, np.float16))).values()
    decoded = graph.output_ports[0].decode(found)
    assert (decoded.dtype, decoded.max()) == (np.float16, np.float16(0.5))


def test_identical_parameters_vanish(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 9)), 0.05, -3)
    x = build.dequantise(build.quantise(x, 0.05, -3), 0.05, -3)
    found = agree(build.build(**{build.quantise(x, 0.05, -3): "int8"}))
    assert (found.operators, found.largest) == ([], 0)


def test_other_parameters_requantise(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 900)), 0.05, -3)
    found = agree(build.build(**{build.quantise(x, 0.07, 9): "int8"}))
    assert found.operators == ["requantise"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)


def test_zero_point_alone_is_exact(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 900), "uint8"), 0.05, 128, "uint8")
    found = agree(build.build(**{build.quantise(x, 0.05, 0): "int8"}))
    (node,) = found.graph.nodes
    assert [int(found.graph.constant(name).array[0]) for name in node.inputs[1:]] == [1, 0]
    assert found.largest == 0


def test_power_of_two_scales_need_no_multiplier(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 2.0**-4, 0)
    y = build.node("MatMul", x, build.dequantise(MATRIX.T, 2.0**-6, 0))
    found = agree(build.build(**{build.quantise(y, 2.0**-2, 0): "int8"}))
    requantise = found.graph.nodes[-1]
    assert [int(found.graph.constant(name).array[0]) for name in requantise.inputs[1:]] == [1, 8]
    assert found.largest == 0


def test_relu_and_clip_are_bounds(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.05, 7)
    y = build.node("Clip", build.node("Relu", _conv(build, x)), np.float32(-1), np.float32(6))
    found = agree(build.build(**{build.quantise(y, 0.1, -20): "int8"}))
    (op,) = [node.op for node in found.graph.nodes if node.op.name == "requantise"]
    assert (op.low, op.high, found.largest <= 1) == (-20, 40, True)


def test_relu_without_quantisation_becomes_a_clip(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.node("Relu", build.dequantise(build.input("x", IMAGE), 0.05, 7))
    found = agree(build.build(**{build.quantise(_conv(build, x), 0.1, 3): "int8"}))
    assert found.operators == ["clip", "conv2d", "requantise"]
    assert found.rate < 0.005


def test_clip_between_steps_is_refused(builder: Any) -> None:
    build = builder()
    x = build.node("Clip", build.dequantise(build.input("x", IMAGE), 0.05, 7), np.float32(0), np.float32(1.234))
    model = build.build(**{build.quantise(_conv(build, x), 0.1, 3): "int8"})
    with pytest.raises(ModelError, match=r"Conv 'conv_\d': its operand is clipped at 1.234, which is no multiple of"):
        import_onnx(model)


def test_weights_quantised_in_the_model(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    real = build.constant((MATRIX.T * 0.004).astype(np.float32))
    weights = build.dequantise(build.quantise(real, 0.004, 0), 0.004, 0)
    found = agree(build.build(**{build.quantise(build.node("MatMul", x, weights), 0.05, 0): "int8"}))
    assert found.largest <= 1
    np.testing.assert_array_equal(found.graph.constants[0].array, MATRIX)


def test_weights_transposed_after_dequantisation(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    scale = np.linspace(0.002, 0.01, 6).astype(np.float32)
    weights = build.node("Transpose", build.dequantise(MATRIX, scale, 0, axis=0), perm=[1, 0])
    found = agree(build.build(**{build.quantise(build.node("MatMul", x, weights), 0.05, 0): "int8"}))
    assert found.operators == ["matmul", "requantise"]
    assert found.largest <= 1


def test_unsigned_weights_lose_their_zero_point(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5), "uint8"), 0.02, 11, "uint8")
    weights = build.dequantise((MATRIX.T.astype(int) + 128).astype(np.uint8), 0.004, 128, "uint8")
    found = agree(build.build(**{build.quantise(build.node("MatMul", x, weights), 0.05, 5, "uint8"): "uint8"}))
    assert found.largest <= 1
    assert found.graph.constants[0].type.dtype == I8


def test_weights_that_do_not_fit_eight_bits_are_wider(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    weights = build.dequantise(np.full((5, 4), 250, np.uint8), 0.004, 10, "uint8")
    found = agree(build.build(**{build.quantise(build.node("MatMul", x, weights), 0.05, 0): "int8"}))
    assert found.largest <= 1
    assert found.graph.constants[0].type.dtype == IntType(9)


def test_four_bit_weights(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder(opset=21)
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    weights = onnx.helper.make_tensor("weights", onnx.TensorProto.INT4, (5, 6), MATRIX.T.ravel() // 16)
    build.constants.append(weights)
    y = build.node("MatMul", x, build.dequantise("weights", 0.1, 0, "int4"))
    found = agree(build.build(**{build.quantise(y, 0.05, 0): "int8"}))
    assert found.largest <= 1
    assert found.graph.constants[0].type.dtype == IntType(4)


def test_sixteen_bit_activations(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder(opset=21)
    x = build.dequantise(build.input("x", (3, 5), "int16"), 0.0002, -100, "int16")
    y = build.quantise(build.node("MatMul", x, build.dequantise(MATRIX.T, 0.01, 0)), 0.001, 5, "int16")
    found = agree(build.build(**{y: "int16"}), multiplier_bits=31)
    assert found.largest <= 1


@pytest.mark.parametrize("form", ["exact", "other_scale", "float"])
def test_bias(form: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 4)
    weights = build.dequantise(MATRIX.T, 0.004, 0)
    steps = np.array([-9000, 800, 0, 1, 77, 123456], np.int32)
    bias = {
        "exact": lambda: build.dequantise(steps, np.float32(0.02) * np.float32(0.004), 0, "int32"),
        "other_scale": lambda: build.dequantise((steps // 1000).astype(np.int8), 0.08, 0),
        "float": lambda: build.constant((steps * 8e-5).astype(np.float32)),
    }[form]()
    y = build.node("Gemm", x, weights, bias)
    found = agree(build.build(**{build.quantise(y, 0.1, 0): "int8"}))
    assert found.largest <= 1
    if form != "other_scale":
        np.testing.assert_array_equal(found.graph.constant(found.graph.nodes[0].inputs[2]).array, steps)


def test_bias_computed_from_quantised_constants(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 4)
    bias = build.node("Mul", build.dequantise(np.arange(6, dtype=np.int8), 0.3, 2), np.float32(0.5))
    y = build.node("Gemm", x, build.dequantise(MATRIX.T, 0.004, 0), bias)
    assert agree(build.build(**{build.quantise(y, 0.1, 0): "int8"})).largest <= 1


def test_bias_added_after_the_product(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.05, 7)
    offsets = build.dequantise(np.array([[[1]], [[-7]], [[50]], [[90]]], np.int8), 0.1, 0)
    y = build.node("Add", offsets, _conv(build, x))
    y = build.node(
        "Mul", build.node("Sub", y, np.float32(0.25)), np.array([2, -1, 0.5, 3], np.float32).reshape(1, 4, 1, 1)
    )
    found = agree(build.build(**{build.quantise(y, 0.2, 3): "int8"}))
    assert found.operators == ["conv2d", "requantise"]
    assert (found.largest <= 1, found.rate < 0.005) == (True, True)


def test_batch_normalisation_after_a_product(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.05, 7)
    parameters = [
        np.array(row, np.float32) for row in ([1, -2, 0.5, 3], [0, 1, 2, -1], [0.1, 0, -0.2, 1], [1, 2, 3, 0.5])
    ]
    y = build.node("BatchNormalization", _conv(build, x), *parameters)
    found = agree(build.build(**{build.quantise(y, 0.2, 3): "int8"}))
    assert found.operators == ["conv2d", "requantise"]
    assert (found.largest <= 1, found.rate < 0.005) == (True, True)


def test_channel_without_weights_keeps_its_bias(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    matrix, scale = MATRIX.copy(), np.full(6, 0.004, np.float32)
    matrix[2], scale[2] = 0, 1e-12
    weights = build.dequantise(matrix.T.copy(), scale, 0, axis=1)
    y = build.node("Gemm", x, weights, np.full(6, 3.0, np.float32))
    found = agree(build.build(**{build.quantise(y, 0.05, 0): "int8"}))
    assert found.largest <= 1


def test_bias_too_large_is_refused(builder: Any) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    y = build.node("Gemm", x, build.dequantise(MATRIX.T, 1e-9, 0), np.full(6, 3.0, np.float32))
    with pytest.raises(ModelError, match=r"its bias must fit 32 bits in steps of the sum, not 1\.5e\+11"):
        import_onnx(build.build(**{build.quantise(y, 0.05, 0): "int8"}))


def test_two_consumers_share_one_sum(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    y = _conv(build, build.dequantise(build.input("x", IMAGE), 0.05, 7))
    first, second = build.quantise(y, 0.1, 3), build.quantise(build.node("Relu", y), 0.05, -128)
    found = agree(build.build(**{first: "int8", second: "int8"}))
    assert sorted(found.operators) == ["conv2d", "requantise", "requantise"]
    assert found.largest <= 1


def test_leaky_relu_with_a_power_of_two_slope(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    y = build.node("LeakyRelu", _conv(build, build.dequantise(build.input("x", IMAGE), 0.05, 7)), alpha=0.125)
    found = agree(build.build(**{build.quantise(y, 0.1, 3): "int8"}))
    assert found.operators == ["conv2d", "requantise"]
    assert found.graph.nodes[1].op.negative_shift == 3
    assert (found.largest <= 1, found.rate < 0.005) == (True, True)


def test_max_pool_before_quantisation_commutes(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    y = _conv(build, build.dequantise(build.input("x", IMAGE), 0.05, 7))
    y = build.node("MaxPool", build.node("Relu", y), kernel_shape=[2, 2], strides=[2, 2])
    found = agree(build.build(**{build.quantise(y, 0.1, 3): "int8"}))
    assert found.operators == ["conv2d", "requantise", "max_pool"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)


def test_concatenation_of_different_scales(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.05, 7)
    y = build.dequantise(build.input("y", IMAGE), 0.02, -7)
    z = build.dequantise(RNG.integers(-128, 128, (1, 2, 6, 5)).astype(np.int8), 0.07, 3)
    found = agree(build.build(**{build.quantise(build.node("Concat", x, y, z, axis=1), 0.05, 7): "int8"}))
    assert sorted(found.operators) == ["concat", "requantise", "requantise"]
    assert [port.name for port in found.graph.input_ports] == ["x", "y"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)


@pytest.mark.parametrize("kind", ["Add", "Sub"])
def test_sum_of_activations(kind: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.0513, 7)
    y = build.dequantise(build.input("y", IMAGE, "uint8"), 0.0207, 9, "uint8")
    found = agree(build.build(**{build.quantise(build.node("Relu", build.node(kind, x, y)), 0.0611, -100): "int8"}))
    assert found.operators == ["add"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)


@pytest.mark.parametrize("kind", ["Add", "Sub"])
def test_sum_with_a_constant_tensor(kind: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.0513, 7)
    y = build.dequantise(RNG.integers(-128, 128, (3, 1, 5)).astype(np.int8), 0.0307, 3)
    found = agree(build.build(**{build.quantise(build.node(kind, x, y), 0.0611, 0): "int8"}))
    assert found.operators == ["add"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)


def test_multiplication_by_a_number_is_a_scale(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", IMAGE), 0.05, 7)
    y = build.node("Div", build.node("Mul", build.node("Relu", x), np.float32(0.3)), np.float32(1.7))
    found = agree(build.build(**{build.quantise(y, 0.02, -128): "int8"}))
    assert found.operators == ["requantise"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)


def test_narrower_ranges_come_as_metadata(builder: Any) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (3, 5)), 0.02, 0)
    y = build.quantise(build.node("MatMul", x, build.dequantise(MATRIX.T // 20, 0.08, 0)), 0.3, 0)
    model = build.build(**{y: "int8"})
    for node, low, high in ((model.graph.node[1], -7, 7), (model.graph.node[3], 0, 15)):
        for name, value in (("low", low), ("high", high)):
            node.metadata_props.add(key=f"gatewright.{name}", value=str(value))
    graph = import_onnx(model)
    assert graph.constants[0].type.dtype == IntType(4)
    assert (graph.nodes[-1].op.low, graph.nodes[-1].op.high) == (0, 15)
    assert graph.nodes[-1].type.dtype == IntType(4, signed=False)


def test_rounding_and_multiplier_width_are_options(builder: Any) -> None:
    build = builder()
    y = _conv(build, build.dequantise(build.input("x", IMAGE), 0.05, 7))
    model = build.build(**{build.quantise(y, 0.1, 3): "int8"})
    graph = import_onnx(model, options=ImportOptions(multiplier_bits=8, rounding=Rounding.HALF_UP))
    requantise = graph.nodes[-1]
    assert requantise.op.rounding is Rounding.HALF_UP
    assert all(mul.bit_length() == 8 for mul in graph.constant(requantise.inputs[1]).array.tolist())


def test_rounding_of_one_node_comes_as_metadata(builder: Any) -> None:
    build = builder()
    y = build.quantise(_conv(build, build.dequantise(build.input("x", IMAGE), 0.05, 7)), 0.1, 3)
    model = build.build(**{build.quantise(build.dequantise(y, 0.1, 3), 0.2, 3): "int8"})
    model.graph.node[-3].metadata_props.add(key="gatewright.rounding", value="floor")
    options = ImportOptions(rounding=None)
    nodes = [node for node in import_onnx(model, options=options).nodes if node.op.name == "requantise"]
    assert [node.op.rounding for node in nodes] == [Rounding.FLOOR, Rounding.HALF_EVEN]
    model.graph.node[-1].metadata_props.add(key="gatewright.rounding", value="upwards")
    with pytest.raises(ModelError, match=r"metadata gatewright.rounding must be one of floor, .*, not 'upwards'"):
        import_onnx(model, options=options)


def test_initialisers_among_the_inputs(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    y = _conv(build, build.dequantise(build.input("x", IMAGE), 0.05, 7))
    model = build.build(**{build.quantise(y, 0.1, 3): "int8"})
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert [port.name for port in agree(model).graph.input_ports] == ["x"]


def test_dynamic_batch(builder: Any) -> None:
    build = builder()
    y = _conv(build, build.dequantise(build.input("x", ("N", 3, 6, 5)), 0.05, 7))
    model = build.build(**{build.quantise(y, 0.1, 3): "int8"})
    assert import_onnx(model).inputs[0].type.shape == (1, 6, 5, 3)
    assert import_onnx(model, batch=4).inputs[0].type.shape == (4, 6, 5, 3)
    assert import_onnx(model, options=ImportOptions(batch=2)).inputs[0].type.shape == (2, 6, 5, 3)


def test_integer_product_as_it_is(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    y = build.node("MatMulInteger", build.input("x", (3, 5)), MATRIX.T, np.array(7, np.int8))
    found = agree(build.build(**{build.node("Add", y, np.arange(6, dtype=np.int32)): "int32"}))
    assert (found.operators, found.largest) == (["matmul"], 0)


def test_integer_convolution_cast_and_scaled(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    zeros = [np.array(7, np.uint8), np.array(3, np.uint8)]
    y = build.node(
        "ConvInteger", build.input("x", IMAGE, "uint8"), RNG.integers(0, 20, (4, 3, 3, 3)).astype(np.uint8), *zeros
    )
    y = build.node("Mul", build.node("Cast", y, to=1), np.float32(0.004))
    y = build.node("Add", y, np.array([1, 2, 3, -4], np.float32).reshape(4, 1, 1))
    found = agree(build.build(**{build.quantise(build.node("Relu", y), 0.05, 0, "uint8"): "uint8"}))
    assert found.operators == ["conv2d", "requantise"]
    assert (found.largest <= 1, found.rate < 0.01) == (True, True)
