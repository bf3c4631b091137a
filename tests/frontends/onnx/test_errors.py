"""What the importer refuses, and how it says so: every node at once, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.frontends.onnx import import_onnx

WEIGHTS = np.ones((4, 3, 3, 3), np.int8)


def _image(build: Any) -> Any:
    return build.dequantise(build.input("x", (1, 3, 6, 6)), 0.05, 0)


def unknown_operator(build: Any) -> Any:
    return build.node("LRN", _image(build), size=3)


def operator_of_another_domain(build: Any) -> Any:
    return build.node("Relu", _image(build), domain="somebody.else")


def floating_point_weights(build: Any) -> Any:
    return build.node("Conv", _image(build), WEIGHTS.astype(np.float32))


def computed_weights(build: Any) -> Any:
    x = build.dequantise(build.input("x", (5, 5)), 0.05, 0)
    return build.node("MatMul", x, x)


def nothing_between_two_convolutions(build: Any) -> Any:
    weights = build.dequantise(WEIGHTS, 0.1, 0)
    x = build.node("Conv", _image(build), weights)
    return build.node("Conv", x, build.dequantise(WEIGHTS[:, :1].repeat(4, 1), 0.1, 0))


def input_not_quantised(build: Any) -> Any:
    return build.node("Conv", build.input("x", (1, 3, 6, 6), "float32"), build.dequantise(WEIGHTS, 0.1, 0))


def scale_a_channel_of_an_activation(build: Any) -> Any:
    return build.dequantise(build.input("x", (1, 3, 6, 6)), [0.1, 0.2, 0.3], 0)


def softmax_amid_the_network(build: Any) -> Any:
    x = build.node("Softmax", _image(build))
    return build.node("Conv", x, build.dequantise(WEIGHTS, 0.1, 0))


def two_activations_multiplied(build: Any) -> Any:
    return build.node("Mul", _image(build), build.dequantise(build.input("y", (1, 3, 6, 6)), 0.1, 0))


def sum_of_two_shapes(build: Any) -> Any:
    return build.node("Add", _image(build), build.dequantise(build.input("y", (1, 3, 1, 1)), 0.1, 0))


def pooling_with_dilations(build: Any) -> Any:
    return build.node("MaxPool", _image(build), kernel_shape=[2, 2], dilations=[2, 2])


def linear_interpolation(build: Any) -> Any:
    return build.node("Resize", _image(build), "", np.array([1, 1, 2, 2], np.float32), mode="linear")


def reversed_slice(build: Any) -> Any:
    return build.node("Slice", _image(build), np.array([5]), np.array([0]), np.array([2]), np.array([-1]))


def scales_computed_at_run_time(build: Any) -> Any:
    return build.node("DynamicQuantizeLinear", build.input("x", (1, 3), "float32"), outputs=3)[0]


def window_larger_than_the_image(build: Any) -> Any:
    return build.node("Conv", _image(build), build.dequantise(np.ones((4, 3, 9, 9), np.int8), 0.1, 0))


def slope_without_quantisation(build: Any) -> Any:
    return build.node("LeakyRelu", build.node("Conv", _image(build), build.dequantise(WEIGHTS, 0.1, 0)), alpha=0.3)


CASES = {
    unknown_operator: "LRN 'lrn_1': the importer does not know this operator",
    operator_of_another_domain: "somebody.else.Relu 'relu_1': the importer does not know this operator",
    floating_point_weights: r"Conv 'conv_1': weights \(constant_2\) must be quantised: DequantizeLinear of integers",
    computed_weights: r"MatMul 'matmul_1': weights \(dequantizelinear_0\) must be constant, not computed",
    nothing_between_two_convolutions: "Conv 'conv_4': conv_2 and this node must have a QuantizeLinear and a Dequant",
    input_not_quantised: "Conv 'conv_1': input x must be quantised: a QuantizeLinear and a DequantizeLinear must",
    scale_a_channel_of_an_activation: "DequantizeLinear 'dequantizelinear_0': scale of an activation must be one",
    softmax_amid_the_network: r"Conv 'conv_3': operand softmax_1 is a result of the host \(softmax\)",
    two_activations_multiplied: "Mul 'mul_2': its operands must be one activation and constants, or functions of one",
    sum_of_two_shapes: r"Add 'add_2': its operands must have the same shape, not \[1, 3, 6, 6\] and \[1, 3, 1, 1\]",
    pooling_with_dilations: r"MaxPool 'maxpool_1': dilations must be 1, not \[2, 2\]",
    linear_interpolation: "Resize 'resize_1': it must be nearest-neighbour over .*, not linear",
    reversed_slice: "Slice 'slice_1': steps must be positive, not -1",
    scales_computed_at_run_time: "DynamicQuantizeLinear '.*': the importer does not know this operator",
    window_larger_than_the_image: r"Conv 'conv_2': a window of \(9, 9\) must fit the padded image",
    slope_without_quantisation: "LeakyRelu 'leakyrelu_3': slope 0.3 must be a power of two",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_reason(case: Callable[[Any], Any], builder: Any) -> None:
    build = builder()
    y = build.quantise(build.node("Relu", case(build)), 0.1, 0)
    with pytest.raises(ModelError, match=CASES[case]):
        import_onnx(build.build(**{y: "int8"}))


def test_every_node_is_listed_once(builder: Any) -> None:
    build = builder()
    x = build.node("LRN", _image(build), size=3)
    x = build.node("Conv", x, WEIGHTS.astype(np.float32))
    y = build.node("Einsum", build.node("Relu", x), equation="abcd->abcd")
    z = build.node("MaxPool", _image(build), kernel_shape=[2, 2], dilations=[2, 2])
    model = build.build(**{y: "float32", z: "float32"})
    del model.graph.input[1:]
    with pytest.raises(ModelError) as caught:
        import_onnx(model)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the model cannot be imported, 3 of its nodes are in the way:"
    assert [line.split("'")[1] for line in lines[1:]] == ["lrn_1", "einsum_4", "maxpool_6"]


def test_output_that_is_not_quantised(builder: Any) -> None:
    build = builder()
    y = build.node("Add", _image(build), build.dequantise(build.input("y", (1, 3, 6, 6)), 0.1, 0))
    with pytest.raises(ModelError, match="output 'add_2': Add before it must be followed by a QuantizeLinear"):
        import_onnx(build.build(**{y: "float32"}))


def test_float_input_quantised_in_two_ways(builder: Any) -> None:
    build = builder()
    x = build.input("x", (2, 9), "float32")
    ends = {build.quantise(x, 0.1, 0): "int8", build.quantise(x, 0.2, 0): "int8"}
    with pytest.raises(ModelError, match="input 'x' must be quantised in one way, not with several scales"):
        import_onnx(build.build(**ends))


def test_model_that_is_not_quantised(builder: Any) -> None:
    build = builder()
    y = build.node("Relu", build.input("x", (2, 9), "float32"))
    with pytest.raises(ModelError, match=r"model must be quantised .* quantise it first"):
        import_onnx(build.build(**{y: "float32"}))


@pytest.mark.parametrize(
    ("shape", "batch", "message"),
    [
        ((None, 3, "height", 6), None, r"input 'x' may have a dynamic first dimension only, not \[.*, 3, height, 6\]"),
        ((1, 3, 6, 6), 4, "input 'x' has a fixed batch of 1, not 4"),
    ],
)
def test_shapes(shape: Any, batch: int | None, message: str, builder: Any) -> None:
    build = builder()
    y = build.quantise(build.dequantise(build.input("x", shape), 0.05, 0), 0.1, 0)
    with pytest.raises(ModelError, match=message):
        import_onnx(build.build(**{y: "int8"}), batch=batch)


def test_broken_scale(builder: Any) -> None:
    build = builder()
    y = build.quantise(build.dequantise(build.input("x", (1, 3)), -0.05, 0), 0.1, 0)
    with pytest.raises(ModelError, match="DequantizeLinear 'dequantizelinear_0': scale must be positive and finite"):
        import_onnx(build.build(**{y: "int8"}))


def test_node_reading_what_nobody_computes(builder: Any) -> None:
    build = builder()
    y = build.quantise(build.node("Relu", "nowhere"), 0.1, 0)
    build.input("x", (1, 3))
    with pytest.raises(ModelError, match="Relu 'relu_0': operand nowhere is computed by no node"):
        import_onnx(build.build(**{y: "int8"}))


def test_graph_is_not_changed(builder: Any) -> None:
    build = builder()
    model = build.build(**{build.quantise(_image(build), 0.1, 0): "int8"})
    before = model.SerializeToString()
    import_onnx(model)
    assert model.SerializeToString() == before


def test_malformed_node(builder: Any) -> None:
    build = builder()
    y = build.quantise(build.node("MaxPool", _image(build)), 0.1, 0)
    with pytest.raises(ModelError, match=r"MaxPool 'maxpool_1': it is malformed \(IndexError"):
        import_onnx(build.build(**{y: "int8"}))


def test_circular_model(builder: Any) -> None:
    build = builder()
    y = build.quantise(build.node("Relu", "relu_1"), 0.1, 0)
    build.nodes[0].input[0] = "relu_0"
    build.input("x", (1, 3))
    with pytest.raises(ModelError, match="model must be well formed"):
        import_onnx(build.build(**{y: "int8"}))
