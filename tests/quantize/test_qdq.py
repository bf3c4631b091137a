"""The quantised ONNX model: what stands in it, and that ONNX Runtime keeps its bounds."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from gatewright.quantize import QuantiseOptions, quantise_model
from gatewright.quantize.execute import run_batches
from gatewright.quantize.network import Network

Samples = Callable[..., np.ndarray]


def metadata(node: onnx.NodeProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in node.metadata_props}


def quantisers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "QuantizeLinear"]


def test_at_8_bits_nothing_but_standard_nodes(small: onnx.ModelProto, samples: Samples) -> None:
    model, _ = quantise_model(small, samples(small))
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.metadata_props for node in model.graph.node)
    assert "Clip" not in [node.op_type for node in model.graph.node]
    stored = {tensor.data_type for tensor in model.graph.initializer if tensor.name.endswith("weight.integers")}
    assert stored == {onnx.TensorProto.INT8}


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("bits", [2, 3, 7])
def test_low_widths_are_respected(network: onnx.ModelProto, samples: Samples, bits: int, kind: str) -> None:
    options = QuantiseOptions(bits, bits, output_bits=bits, activation_type=kind)
    arrays = samples(network)
    model, _ = quantise_model(network, arrays, options)
    low, high = (0, (1 << bits) - 1) if kind == "uint8" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    nodes = quantisers(model)
    assert {(metadata(node)["gatewright.low"], metadata(node)["gatewright.high"]) for node in nodes} == {
        (str(low), str(high))
    }
    for batch in run_batches(Network(model), {"x": 3 * arrays}, [node.output[0] for node in nodes]):
        assert all(low <= array.min() and array.max() <= high for array in batch.values())
    for tensor in model.graph.initializer:
        if tensor.name.endswith("weight.integers"):
            assert np.abs(numpy_helper.to_array(tensor)).max() <= 1 << (bits - 1)


def test_outputs_keep_their_own_width(small: onnx.ModelProto, samples: Samples) -> None:
    model, report = quantise_model(small, samples(small), QuantiseOptions(4, 4))
    assert [layer.encoding.bits for layer in report.layers] == [4] * (len(report.layers) - 1) + [8]
    assert "gatewright.low" not in metadata(quantisers(model)[-1])


def test_power_of_two_scales_everywhere(network: onnx.ModelProto, samples: Samples) -> None:
    model, _ = quantise_model(network, samples(network), QuantiseOptions(scales="pow2"))
    scales = [numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".scale")]
    assert len(scales) > 8
    assert all((np.frexp(scale)[0] == 0.5).all() for scale in scales)
    assert all(metadata(node)["gatewright.rounding"] == "half_up" for node in quantisers(model))


def test_the_input_model_is_not_changed(small: onnx.ModelProto, samples: Samples) -> None:
    before = small.SerializeToString()
    quantise_model(small, samples(small))
    assert small.SerializeToString() == before


def test_the_same_samples_give_the_same_bytes(small: onnx.ModelProto, samples: Samples) -> None:
    models = [quantise_model(small, samples(small))[0].SerializeToString(deterministic=True) for _ in range(2)]
    assert models[0] == models[1]


def test_a_bias_that_is_added_later_becomes_32_bits(builder: type, samples: Samples) -> None:
    net = builder(1, 4, 5)
    added = net.node("Relu", net.node("Add", net.random(6), net.node("MatMul", "x", net.random(5, 6))))
    model, report = quantise_model(net.model(added), samples(net.model(added)))
    assert report.layers[-1].op == "MatMul Add Relu"
    assert report.outputs[added].sqnr_db > 35
    biases = [tensor for tensor in model.graph.initializer if tensor.name.endswith("bias.integers")]
    assert [tensor.data_type for tensor in biases] == [onnx.TensorProto.INT32]


def test_a_constant_that_is_added_is_quantised(builder: type, samples: Samples) -> None:
    net = builder(1, 4, 5)
    added = net.node("Add", net.node("Tanh", "x"), net.random(1, 4, 5))
    model, report = quantise_model(net.model(added), samples(net.model(added)))
    assert report.outputs[added].sqnr_db > 35
    producer = {name: node for node in model.graph.node for name in node.output}
    node = next(node for node in model.graph.node if node.op_type == "Add")
    assert [producer[name].op_type for name in node.input] == ["DequantizeLinear", "DequantizeLinear"]
