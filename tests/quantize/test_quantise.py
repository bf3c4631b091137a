"""Small networks of every kind: close to the float network, and the graph equal to ONNX Runtime."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from gatewright.errors import ConfigError
from gatewright.frontends.onnx import import_onnx
from gatewright.frontends.reference import run_reference
from gatewright.ir import AveragePool, Graph, Requantise, Rounding, verify
from gatewright.quantize import QuantisationReport, QuantiseOptions, quantise, quantise_model

Samples = Callable[..., np.ndarray]

# The least signal to noise in dB of any output of the small networks, whose weights and inputs are random.
BOUNDS = [
    (QuantiseOptions(), 36),
    (QuantiseOptions(activation_type="int8", per_channel=False), 32),
    (QuantiseOptions(symmetric_activations=True), 32),
    (QuantiseOptions(calibration="percentile"), 35),
    (QuantiseOptions(calibration="mse"), 36),
    (QuantiseOptions(scales="pow2"), 30),
    (QuantiseOptions(scales="pow2", activation_type="int8"), 30),
    (QuantiseOptions(scales="pow2", symmetric_activations=False), 30),
    (QuantiseOptions(6, 6), 26),
    (QuantiseOptions(4, 4), 14),
    (QuantiseOptions(8, 3), 13),
    (QuantiseOptions(5, 5, scales="pow2", symmetric_activations=False), 17),
]


def integers(graph: Graph, array: np.ndarray) -> dict[str, np.ndarray]:
    return graph.evaluate(graph.input_ports[0].encode(array), keep=True)


@pytest.mark.parametrize(("options", "bound"), BOUNDS)
def test_close_to_the_float_network(
    network: onnx.ModelProto, samples: Samples, options: QuantiseOptions, bound: float
) -> None:
    _, report = quantise(network, samples(network), options)
    for agreement in report.outputs.values():
        assert agreement.sqnr_db is None or agreement.sqnr_db > bound


@pytest.mark.parametrize(("options", "bound"), BOUNDS)
def test_the_graph_equals_onnx_runtime_up_to_isolated_steps(
    network: onnx.ModelProto, samples: Samples, options: QuantiseOptions, bound: float
) -> None:
    """Rounding half to even as ONNX Runtime does, also where the scales are powers of two."""
    arrays = samples(network, 12)
    model, _ = quantise_model(network, arrays, options)
    graph = import_onnx(model)
    verify(graph)
    steps = []
    for sample in arrays[:, None]:
        expected = run_reference(model, {"x": sample})
        found = integers(graph, sample)
        for port, name in zip(graph.output_ports, graph.outputs, strict=True):
            off = np.abs(port.decode(found[name]) - expected[port.name])
            steps.append(off / (port.scale if not port.tail else 1 / 64))
    steps = np.concatenate([step.ravel() for step in steps])
    assert np.mean(steps > 0.5) < 0.002
    assert steps.max() < 1.5


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_graph_has_the_widths_asked_for(network: onnx.ModelProto, samples: Samples, bits: int, kind: str) -> None:
    arrays = samples(network, 8)
    graph, _ = quantise(network, arrays, QuantiseOptions(bits, bits, output_bits=bits, activation_type=kind))
    activations = {str(node.type.dtype) for node in graph.nodes if node.type.dtype.width <= 8}
    assert activations == {f"{'i' if kind == 'int8' else 'u'}{bits}"}
    weights = {constant.type.dtype for constant in graph.constants if constant.name.endswith(".weight")}
    assert {str(dtype) for dtype in weights} == {f"i{bits}"}


def test_requantisation_is_a_shift_when_scales_are_powers_of_two(network: onnx.ModelProto, samples: Samples) -> None:
    graph, _ = quantise(network, samples(network), QuantiseOptions(scales="pow2"))
    requantised = [node for node in graph.nodes if isinstance(node.op, Requantise)]
    assert requantised
    for node in requantised:
        assert (graph.constant(node.inputs[1]).array == 1).all()
        assert (graph.constant(node.inputs[2]).array >= 1).all()
        assert node.op.rounding is Rounding.HALF_UP
    for node in graph.nodes:
        if hasattr(node.op, "mul_a"):
            assert node.op.mul_a & (node.op.mul_a - 1) == 0
            assert node.op.mul_b & (node.op.mul_b - 1) == 0
        if isinstance(node.op, AveragePool):
            assert all(mul == 1 for divisor, mul in node.op.multipliers if divisor & (divisor - 1) == 0)


def test_layers_may_have_widths_of_their_own(small: onnx.ModelProto, samples: Samples) -> None:
    names = [node.name for node in small.graph.node if node.op_type in ("Conv", "Gemm")]
    options = QuantiseOptions(4, 4, layers={names[0]: (8, 8), names[2]: (6, 2)})
    _, report = quantise(small, samples(small), options)
    assert [layer.encoding.bits for layer in report.layers] == [8, 4, 6, 4, 8]
    assert [layer.weights.bits for layer in report.layers[1:]] == [8, 4, 2, 4]
    uniform = quantise(small, samples(small), QuantiseOptions(4, 4, layers={names[0]: (8, 8)}))[1]
    assert uniform.layers[1].agreement.sqnr_db > 20


def test_unknown_layers_are_refused(small: onnx.ModelProto, samples: Samples) -> None:
    with pytest.raises(ConfigError, match=r"layers must be among conv_0, .*, gemm_9, not conv9"):
        quantise(small, samples(small), QuantiseOptions(layers={"conv9": (8, 8)}))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_of_any_size_gives_the_same_integers(small: onnx.ModelProto, samples: Samples, batch: int) -> None:
    arrays = samples(small, 6)
    single, _ = quantise(small, arrays)
    graph, _ = quantise(small, arrays, batch=batch)
    found = integers(graph, arrays[:batch])[graph.outputs[0]]
    expected = [integers(single, array[None])[single.outputs[0]] for array in arrays[:batch]]
    assert np.array_equal(found, np.concatenate(expected))


def test_several_inputs(builder: type) -> None:
    net = builder("batch", 4)
    net.inputs.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4]))
    model = net.model(net.node("Relu", net.node("Add", net.gemm("x", 4, 6), net.gemm("y", 4, 6))))
    generator = np.random.default_rng(0)
    arrays = {name: generator.normal(size=(20, 4)).astype(np.float32) for name in ("x", "y")}
    graph, report = quantise(model, arrays)
    assert [port.name for port in graph.input_ports] == ["x", "y"]
    assert next(iter(report.outputs.values())).sqnr_db > 28


def test_a_leaky_relu_with_a_slope_of_a_power_of_two_is_part_of_its_product(builder: type, samples: Samples) -> None:
    net = builder(1, 3, 6, 6)
    model = net.model(net.node("LeakyRelu", net.conv("x", 3, 4), alpha=0.125))
    graph, report = quantise(model, samples(model))
    assert [node.op.name for node in graph.nodes] == ["conv2d", "requantise"]
    assert graph.nodes[1].op.negative_shift == 3
    assert report.layers[-1].op == "Conv LeakyRelu"
    assert report.outputs[report.layers[-1].tensor].sqnr_db > 36


def test_what_only_carries_values_costs_nothing(builder: type, samples: Samples) -> None:
    net = builder(1, 3, 8, 8)
    x = net.node("Relu", net.conv("x", 3, 4))
    x = net.node("Concat", net.node("MaxPool", x, kernel_shape=[2, 2]), net.conv(x, 4, 3, kernel=2), axis=1)
    x = net.node("Pad", net.node("Transpose", x, perm=[0, 1, 3, 2]), net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])))
    model = net.model(net.conv(x, 7, 2))
    graph, _ = quantise(model, samples(model))
    assert sum(node.op.name == "requantise" for node in graph.nodes) == 3
    assert {"max_pool", "concat", "pad"} <= {node.op.name for node in graph.nodes}


@pytest.mark.parametrize("steps", [("Sigmoid", "Mul"), ("HardSigmoid", "Mul"), ("Relu",), ("Tanh",), ("LeakyRelu",)])
def test_functions_of_one_activation(builder: type, samples: Samples, steps: tuple[str, ...]) -> None:
    net = builder(1, 3, 6, 6)
    x = net.conv("x", 3, 4)
    y = net.node(steps[0], x)
    y = net.node("Mul", x, y) if len(steps) > 1 else y
    model = net.model(net.conv(y, 4, 2))
    graph, report = quantise(model, samples(model))
    assert next(iter(report.outputs.values())).sqnr_db > 30
    assert sum(node.op.name == "lut" for node in graph.nodes) <= 1


def test_the_report_says_what_it_measured(small: onnx.ModelProto, samples: Samples, tmp_path: object) -> None:
    _, report = quantise(small, samples(small), QuantiseOptions(8, 4))
    assert isinstance(report, QuantisationReport)
    assert [layer.op for layer in report.layers] == ["input", "Conv Relu", "Conv Relu", "Gemm Relu", "Gemm"]
    assert [layer.weights.bits if layer.weights else None for layer in report.layers] == [None, 4, 4, 4, 4]
    assert len(report.layers[1].weights.scales) == 8
    assert "SQNR dB" in str(report)
    assert "float accuracy 99.00 %" in str(report.with_accuracy(float=0.99)).replace("99.00%", "99.00 %")
    text = report.to_json()
    assert text["options"]["weight_bits"] == 4
    assert text["layers"][0]["agreement"]["sqnr_db"] > 30


def test_a_network_that_only_moves_its_input(builder: type) -> None:
    net = builder(1, 3, 8, 8)
    model = net.model(net.node("GlobalMaxPool", "x"))
    images = np.random.default_rng(0).normal(size=(20, 3, 8, 8)).astype(np.float32)
    graph, report = quantise(model, images)
    assert [node.op.name for node in graph.nodes] == ["max_pool"]
    assert next(iter(report.outputs.values())).sqnr_db > 35
