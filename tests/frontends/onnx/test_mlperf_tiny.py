"""Real networks: ONNX Runtime's own intermediate integers go into each node, so that no rounding difference spreads."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from gatewright.frontends import run_reference
from gatewright.frontends.onnx import ImportOptions, import_onnx, load_model
from gatewright.ir import Graph

NETWORKS = {  # the operators each must come to: nothing is transposed, pooled images are flattened
    "ad_autoencoder_int8": {"matmul": 10, "requantise": 10},
    "kws_dscnn_int8": {"conv2d": 9, "requantise": 10, "average_pool": 1, "reshape": 1, "matmul": 1},
    "resnet8_int8": {"conv2d": 9, "requantise": 10, "add": 3, "average_pool": 1, "reshape": 1, "matmul": 1},
    "vww_mobilenet_int8": {"conv2d": 27, "requantise": 28, "average_pool": 1, "reshape": 1, "matmul": 1},
}
RATES = {17: 6e-4, 24: 1e-4}  # of integers that differ by one, for each width of multipliers


def _reference(model: onnx.ModelProto, names: list[str], inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The intermediate tensors of these names, as ONNX Runtime computes them."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    return run_reference(extended, inputs)


def _differences(graph: Graph, model: onnx.ModelProto, sample: np.ndarray) -> np.ndarray:
    """How far each rounded integer of the graph is off, its operands being ONNX Runtime's."""
    (port,) = graph.input_ports
    names = {name: name for node in model.graph.node if node.op_type == "QuantizeLinear" for name in node.output}
    clean = {"".join(c if c.isalnum() or c in "_." else "_" for c in name): name for name in names}
    expected = _reference(model, list(names), {port.name: sample})
    values = {constant.name: constant.array for constant in graph.constants}
    values[graph.inputs[0].name] = port.encode(sample)
    differences = []
    for node in graph.nodes:
        result = node.op.evaluate(*(values[name] for name in node.inputs), types=graph.operands(node))
        if node.name in clean:
            theirs = expected[clean[node.name]]
            theirs = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs
            differences.append((result.astype(int) - theirs).ravel())
            result = theirs
        values[node.name] = result
    return np.concatenate(differences)


@pytest.mark.parametrize("bits", RATES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_agrees(name: str, bits: int, shared_models: Path) -> None:
    model = load_model(shared_models / "mlperf_tiny" / f"{name}.onnx")
    graph = import_onnx(model, options=ImportOptions(multiplier_bits=bits))
    rng = np.random.default_rng(0)
    shape = graph.input_ports[0].concrete_shape
    found = np.concatenate(
        [_differences(graph, model, rng.integers(-128, 128, shape).astype(np.int8)) for _ in range(5)]
    )
    assert np.abs(found).max(initial=0) <= 1
    assert np.mean(found != 0) <= RATES[bits]


@pytest.mark.parametrize("name", NETWORKS)
def test_operators(name: str, shared_models: Path) -> None:
    graph = import_onnx(load_model(shared_models / "mlperf_tiny" / f"{name}.onnx"))
    names = [node.op.name for node in graph.nodes]
    assert {one: names.count(one) for one in names} == NETWORKS[name]


def test_batch(shared_models: Path) -> None:
    model = load_model(shared_models / "mlperf_tiny" / "kws_dscnn_int8.onnx")
    one, three = import_onnx(model), import_onnx(model, batch=3)
    samples = np.random.default_rng(0).integers(-128, 128, (3, 49, 10, 1)).astype(np.int8)
    (together,) = three.evaluate(three.input_ports[0].encode(samples)).values()
    for index, sample in enumerate(samples):
        (alone,) = one.evaluate(one.input_ports[0].encode(sample[None])).values()
        np.testing.assert_array_equal(together[index : index + 1], alone)


def test_host_tail(shared_models: Path) -> None:
    model = load_model(shared_models / "mlperf_tiny" / "kws_dscnn_int8.onnx")
    (port,) = import_onnx(model).output_ports
    assert [step.kind for step in port.tail] == ["dequantize", "softmax", "quantize"]
    assert (port.model_dtype, port.model_shape) == ("int8", (1, 12))
