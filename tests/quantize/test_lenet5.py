"""The example network: real weights, real images, accuracy at several widths, exact dyadic arithmetic."""

import json
import shutil
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from gatewright.errors import DataError
from gatewright.ir import Graph
from gatewright.quantize import QuantiseOptions, accuracy, quantise

Digits = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

PARAMETERS = 61_706


def test_the_example_is_lenet5_and_has_learnt(lenet5: onnx.ModelProto, digits: Digits) -> None:
    assert sum(int(np.prod(tensor.dims)) for tensor in lenet5.graph.initializer) == PARAMETERS
    assert accuracy(lenet5, *digits[2:]) > 0.98


def test_the_images_are_split_for_good(digits: Digits) -> None:
    train_x, train_y, test_x, test_y = digits
    assert (train_x.shape, test_x.shape) == ((1442, 1, 32, 32), (355, 1, 32, 32))
    assert train_x.dtype == np.float32
    assert (train_x.min(), train_x.max()) == (0, 1)
    assert np.bincount(test_y).min() >= 34
    assert len(train_y) == 1442


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        (QuantiseOptions(), 0.01),
        (QuantiseOptions(activation_type="int8"), 0.01),
        (QuantiseOptions(scales="pow2"), 0.01),
        (QuantiseOptions(scales="pow2", activation_type="int8"), 0.01),
        (QuantiseOptions(4, 4), 0.02),
        (QuantiseOptions(4, 4, scales="pow2", symmetric_activations=False), 0.02),
        (QuantiseOptions(3, 3), 0.04),
        (QuantiseOptions(2, 2), 0.10),
    ],
)
def test_accuracy(lenet5: onnx.ModelProto, digits: Digits, options: QuantiseOptions, loss: float) -> None:
    train_x, _, test_x, test_y = digits
    graph, _ = quantise(lenet5, train_x[:200], options)
    assert accuracy(graph, test_x, test_y) >= accuracy(lenet5, test_x, test_y) - loss


@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_dyadic_layers_are_the_half_up_rounding_of_the_real_sum(
    lenet5: onnx.ModelProto, digits: Digits, kind: str
) -> None:
    train_x, _, test_x, _ = digits
    options = QuantiseOptions(scales="pow2", activation_type=kind)
    graph, report = quantise(lenet5, train_x[:200], options)
    biases = {tensor.name: numpy_helper.to_array(tensor) for tensor in lenet5.graph.initializer}
    values = graph.evaluate(graph.input_ports[0].encode(test_x[:1]), keep=True)
    encodings = [layer.encoding for layer in report.layers]
    layers = [layer for layer in report.layers if layer.weights]
    for layer, x in zip(layers, encodings, strict=False):
        step = Fraction(x.scale) * Fraction(layer.weights.scales[0])
        exact = half_up_of_real_sum(graph, values, layer.name, biases[f"{layer.name}.bias"], step, layer.encoding)
        (requantised,) = graph.consumers(layer.name)
        low = layer.encoding.zero if "Relu" in layer.op else layer.encoding.low
        assert np.array_equal(values[requantised.name], np.clip(exact, low, layer.encoding.high))


def half_up_of_real_sum(
    graph: Graph, values: dict[str, np.ndarray], name: str, bias: np.ndarray, step: Fraction, y: object
) -> np.ndarray:
    """`floor(Σ (x - x_zero) s_x w s_w + b) / s_y + 1/2) + y_zero` in rational arithmetic."""
    node = graph.node(name)
    x, weights = values[node.inputs[0]], graph.constant(node.inputs[1]).array
    sums = node.op.evaluate(x, weights, types=graph.operands(node)[:2])
    reals = [Fraction(float(value)) for value in bias]
    exact = [int(total) * step + reals[index % len(reals)] for index, total in enumerate(sums.flat)]
    rounded = [floor(real / Fraction(y.scale) + Fraction(1, 2)) + y.zero for real in exact]
    return np.array(rounded).reshape(sums.shape)


def test_the_example_of_the_documentation_runs(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[2] / "docs" / "quantisation.md"
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    shutil.copy(Path(__file__).parents[2] / "examples" / "lenet5" / "lenet5.onnx", tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(code, {"samples": digits[0][:100], "images": digits[2][:20], "labels": digits[3][:20]})
    assert "fc3" in capsys.readouterr().out
    assert json.loads((tmp_path / "quantisation.json").read_text())["samples"] == 64


def test_accuracy_refuses_labels_that_do_not_fit(lenet5: onnx.ModelProto, digits: Digits) -> None:
    with pytest.raises(DataError, match=r"labels must be 355 integers, not int64 of shape \[3\]"):
        accuracy(lenet5, digits[2], np.zeros(3, np.int64))
