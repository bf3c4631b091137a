"""QONNX networks: the graph has exactly the integers of the specification in double precision."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx_float64 import ROUNDING, run_float64
from qonnx_network import QONNX, Network, expect_exact

from gatewright import ir
from gatewright.errors import ModelError
from gatewright.frontends import run_reference
from gatewright.frontends.onnx import ImportOptions, import_onnx, standard_form


@pytest.fixture
def network(builder: Any) -> Callable[[int], Network]:
    return lambda seed: Network(builder(), seed)


@pytest.mark.parametrize("name", ["tfc_2w2a", "kwsmlp_w3a3"])
def test_pretrained_networks(shared_models: Path, name: str) -> None:
    model = onnx.load(shared_models / "qonnx" / f"{name}.onnx")
    graph = expect_exact(model, spread=1.0 if name == "tfc_2w2a" else 60.0)
    products = [node for node in graph.nodes if isinstance(node.op, ir.MatMul)]
    bits = int(name.partition("w")[0][-1]) if name == "tfc_2w2a" else 3
    assert all(graph.type_of(node.inputs[1]).dtype.width == bits for node in products)
    assert all(graph.type_of(node.inputs[0]).dtype.width == bits for node in products[1:])


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("signed", [0, 1])
def test_convolutions_with_batch_normalisation(network: Callable[[int], Network], bits: int, signed: int) -> None:
    net = network(bits * 2 + signed)
    x = net.quant(net.build.input("x", [1, 3, 8, 8], "float32"), 0.02, 8)
    scales = net.rng.uniform(0.01, 0.1, (12, 1, 1, 1))
    y = net.build.node("Conv", x, net.weights((12, 3, 3, 3), bits, scales), pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    y = net.normalise(y, 12, 2.0)
    y = y if signed else net.build.node("Relu", y)
    y = net.quant(y, 4.0 / 2**bits, bits, signed=signed)
    depthwise = net.weights((12, 1, 3, 3), bits, 0.1)
    y = net.build.node("Conv", y, depthwise, group=12, strides=[2, 2], kernel_shape=[3, 3])
    y = net.quant(net.normalise(y, 12, 1.5), 3.0 / 2**bits, bits, signed=signed)
    y = net.build.node("Flatten", y)
    y = net.build.node("MatMul", y, net.weights((108, 5), bits, net.rng.uniform(0.01, 0.1, (1, 5))))
    graph = expect_exact(net.build.build(**{y: "float32"}))
    products = [node for node in graph.nodes if isinstance(node.op, ir.Conv2d | ir.MatMul)]
    assert [graph.type_of(node.inputs[1]).dtype.width for node in products] == [bits] * 3
    assert [graph.type_of(node.inputs[0]).dtype for node in products[1:]] == [ir.IntType(bits, bool(signed))] * 2


@pytest.mark.parametrize("mode", sorted(ROUNDING))
def test_rounding_modes(network: Callable[[int], Network], mode: str) -> None:
    net = network(7)
    x = net.quant(net.build.input("x", [1, 40], "float32"), 0.1, 4)
    y = net.build.node("Relu", net.build.node("MatMul", x, net.weights((40, 30), 3, 0.125)))
    y = net.quant(y, 0.25, 4, signed=0, rounding_mode=mode.lower())  # powers of two: ties are common
    y = net.quant(y, 0.7, 3, rounding_mode=mode)
    y = net.build.node("MatMul", y, net.weights((30, 4), 2))
    expect_exact(net.build.build(**{y: "float32"}))


def test_bipolar_network(network: Callable[[int], Network]) -> None:
    net = network(1)
    x = net.build.input("x", [1, 50], "float32")
    x = net.build.node("Sub", net.build.node("Mul", x, np.float32(2)), np.float32(1))
    x = net.build.node("BipolarQuant", x, np.float32(1), **QONNX)
    for width in (33, 20):
        raw = net.rng.normal(size=(50 if width == 33 else 33, width)).astype(np.float32)
        weights = net.build.node("BipolarQuant", raw, np.float32(0.5), **QONNX)
        x = net.normalise(net.build.node("MatMul", x, weights), width, 1.0, zero_gamma=True)
        x = net.build.node("BipolarQuant", x, np.float32(0.25), **QONNX)
    y = net.build.node("MatMul", x, net.quant(net.rng.normal(size=(20, 3)).astype(np.float32), 1.0, 1))
    graph = expect_exact(net.build.build(**{y: "float32"}), count=40)
    for constant in graph.constants:
        if constant.name.endswith("weight"):
            assert constant.type.dtype == ir.IntType(2)
            assert set(np.unique(constant.array)) <= {-1, 0, 1}


def test_ties_of_the_last_bit_go_to_even(network: Callable[[int], Network]) -> None:
    net = network(2)
    x = net.quant(net.build.input("x", [1, 8], "float32"), 1.0, 4)
    y = net.quant(net.build.node("MatMul", x, net.weights((8, 64), 4, 1.0)), 4.0, 8)
    graph = expect_exact(net.build.build(**{y: "float32"}), spread=4.0)
    (node,) = [node for node in graph.nodes if isinstance(node.op, ir.Requantise)]
    assert graph.constant(node.inputs[1]).array.tolist() == [1]
    assert graph.constant(node.inputs[2]).array.tolist() == [2]


def test_residual_addition_pool_and_zero_points(network: Callable[[int], Network]) -> None:
    net = network(3)
    x = net.quant(net.build.input("x", [1, 4, 6, 6], "float32"), 0.2, 4, zero=5, signed=0)
    y = net.build.node("Conv", x, net.weights((4, 4, 3, 3), 3), pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    y = net.quant(net.normalise(y, 4, 1.0), 0.15, 4, zero=-2)
    y = net.quant(net.build.node("Add", x, y), 0.3, 3, kind="IntQuant")
    y = net.build.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.quant(net.build.node("GlobalAveragePool", y), 0.3, 5)
    y = net.build.node("Gemm", net.build.node("Flatten", y), net.weights((4, 3), 4), np.float32([0.1, -0.7, 0.3]))
    graph = expect_exact(net.build.build(**{y: "float32"}))
    assert "add" in [node.op.name for node in graph.nodes]


def test_functions_of_an_activation_are_exact_tables(network: Callable[[int], Network]) -> None:
    net = network(4)
    x = net.quant(net.build.input("x", [1, 30], "float32"), 0.1, 6)
    y = net.quant(net.build.node("Mul", x, np.float32(0.3)), 0.07, 5)
    y = net.quant(y, 0.11, 4)  # no multiplier has these steps: a table
    y = net.build.node("MatMul", y, net.weights((30, 4), 2))
    expect_exact(net.build.build(**{y: "float32"}))


def test_multi_threshold(network: Callable[[int], Network]) -> None:
    net = network(5)
    x = net.quant(net.build.input("x", [1, 40], "float32"), 1.0, 4)
    y = net.build.node("MatMul", x, net.weights((40, 6), 3, 1.0))
    starts = net.rng.integers(-40, -10, (6, 1))
    rows = (starts + net.rng.uniform(7, 15, (6, 1)) * np.arange(7)).astype(np.float32)
    y = net.build.node("MultiThreshold", y, rows, out_dtype="UINT3", **QONNX)
    y = net.build.node("MatMul", y, net.weights((6, 9), 2, 1.0))
    bipolar = {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
    y = net.build.node("MultiThreshold", y, np.float32([[-1.5]]), **bipolar, **QONNX)
    y = net.build.node("MatMul", y, net.weights((9, 3), 2, 1.0))
    graph = expect_exact(net.build.build(**{y: "float32"}), count=50, spread=3.0)
    products = [node for node in graph.nodes if isinstance(node.op, ir.MatMul)]
    assert [str(graph.type_of(node.inputs[0]).dtype) for node in products] == ["i4", "u3", "i2"]


def test_weights_keep_their_own_widths(network: Callable[[int], Network]) -> None:
    net = network(6)
    y = net.quant(net.build.input("x", [1, 16], "float32"), 0.1, 8)
    for bits in (2, 5, 3, 8):
        y = net.build.node("MatMul", y, net.weights((16, 16), bits))
        y = net.quant(y, 0.4, bits)
    graph = expect_exact(net.build.build(**{y: "float32"}))
    products = [node for node in graph.nodes if isinstance(node.op, ir.MatMul)]
    assert [str(graph.type_of(node.inputs[1]).dtype) for node in products] == ["i2", "i5", "i3", "i8"]
    assert [str(graph.type_of(node.inputs[0]).dtype) for node in products] == ["i8", "i2", "i5", "i3"]


def test_standard_form_runs_in_onnx_runtime(network: Callable[[int], Network], shared_models: Path) -> None:
    net = network(9)
    x = net.quant(net.build.input("x", [1, 3, 5, 5], "float32"), 0.25, 4)
    y = net.build.node("Conv", x, net.weights((4, 3, 3, 3), 3, 0.5), kernel_shape=[3, 3])
    rows = (np.arange(7) * 3.0 - net.rng.uniform(0, 20, (4, 1))).astype(np.float32)
    y = net.build.node("MultiThreshold", y, rows, out_dtype="INT4", out_bias=-2.0, **QONNX)
    y = net.quant(net.build.node("Conv", y, net.weights((2, 4, 3, 3), 1, 0.5)), 0.5, 3, narrow=1, rounding_mode="FLOOR")
    y = net.build.node("BipolarQuant", net.build.node("Flatten", y), np.float32(0.5), **QONNX)
    pretrained = onnx.load(shared_models / "qonnx" / "tfc_2w2a.onnx")
    for model, name, shape in (
        (net.build.build(**{y: "float32"}), "x", (1, 3, 5, 5)),
        (pretrained, "0", (1, 1, 28, 28)),
    ):
        array = net.rng.normal(size=shape).astype(np.float32)
        found, expected = run_reference(standard_form(model), {name: array}), run_float64(model, {name: array})
        for output in found:
            np.testing.assert_allclose(found[output], expected[output], rtol=1e-5, atol=1e-5)


def test_models_without_quantisers_stay_as_they_are(network: Callable[[int], Network]) -> None:
    build = network(0).build
    model = build.build(**{build.node("Relu", build.input("x", [1, 4], "float32")): "float32"})
    assert standard_form(model) is model


def test_nearest_multipliers_keep_to_the_width(network: Callable[[int], Network]) -> None:
    net = network(10)
    x = net.quant(net.build.input("x", [1, 300], "float32"), 0.03, 8)
    y = net.normalise(net.build.node("MatMul", x, net.weights((300, 64), 8, 0.01)), 64, 2.0)
    model = net.build.build(**{net.quant(y, 0.2, 8): "float32"})
    multipliers, notes = [], []
    for exact in (True, False):
        graph = import_onnx(model, options=ImportOptions(multiplier_bits=12, exact=exact), notes=notes)
        (node,) = [node for node in graph.nodes if isinstance(node.op, ir.Requantise)]
        multipliers.append(int(graph.constant(node.inputs[1]).array.max()))
        assert len(notes) == (not exact)
    assert multipliers[0] >= 1 << 12 > multipliers[1]
    assert re.fullmatch(
        rf"{node.name}: \d+ of 64 channels take the nearest multipliers of 12 bits, a step off at sums near a "
        r"threshold; no multipliers are exact",
        notes[0],
    )
    x = net.rng.normal(size=(1, 300)).astype(np.float32)
    (found,) = graph.evaluate(graph.input_ports[0].encode(x)).values()
    expected = run_float64(model, {"x": x})[model.graph.output[0].name] / np.float32(0.2)
    assert np.abs(found - expected).max() < 1.5


def _uneven(net: Network) -> str:
    x = net.quant(net.build.input("x", [1, 4], "float32"), 1.0, 4)
    rows = np.float32([[-20, 0, 1, 30]])
    return net.build.node("MultiThreshold", net.build.node("MatMul", x, net.weights((4, 4), 4, 1.0)), rows, **QONNX)


def _quant_of(**changes: Any) -> Callable[[Network], str]:
    def make(net: Network) -> str:
        x = net.build.input("x", [1, 4], "float32")
        return net.quant(x, **{"scale": 1.0, "bits": 4} | changes)

    return make


ERRORS = {
    "uneven": (_uneven, "multithreshold_3': no bias and multiplier of 32 bits have its thresholds"),
    "mode": (_quant_of(rounding_mode="BEST"), "Quant 'quant_0': rounding_mode must be one of ROUND, "),
    "input mode": (_quant_of(rounding_mode="FLOOR"), "the rounding_mode of a model input must be ROUND, not FLOOR"),
    "half a bit": (_quant_of(bits=2.5), "bitwidth must be a whole number from 1 to 16, not 2.5"),
    "zero": (_quant_of(zero=0.5), "zeropt must be one whole number"),
    "channels": (_quant_of(scale=[[1, 2, 3, 4]]), "scale of an activation must be one number, not one a channel"),
    "scale": (_quant_of(scale=0.0), "scale must be positive and finite"),
}


@pytest.mark.parametrize(("make", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(network: Callable[[int], Network], make: Callable[[Network], str], message: str) -> None:
    net = network(8)
    y = make(net)
    with pytest.raises(ModelError) as caught:
        import_onnx(net.build.build(**{y: "float32"}))
    assert message in str(caught.value)


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_a_note_says_which_width_would_be_exact(network: Callable[[int], Network], bits: int) -> None:
    """And that width is: a sum, a mean and a product, imported again with multipliers that wide."""
    net = network(11)
    x = net.quant(net.build.input("x", [1, 4, 6, 6], "float32"), 0.11, bits)
    y = net.build.node("Conv", x, net.weights((8, 4, 3, 3), bits, 0.05))
    y = net.quant(net.normalise(y, 8, 2.0), 0.13, bits)
    y = net.quant(net.build.node("AveragePool", y, kernel_shape=[3, 3]), 0.17, bits)
    model = net.build.build(**{y: "float32"})
    notes = _notes(model, 8)
    found = re.fullmatch(r"quant_4: \d of 8 channels .*; (\d+) bits would be exact \(multiplier_width\)", *notes)
    assert found
    assert _notes(model, int(found[1])) == []
    assert len(_notes(model, int(found[1]) - 1)) == 1


def test_notes_of_sums_and_means(network: Callable[[int], Network]) -> None:
    net = network(12)
    x = net.quant(net.build.input("x", [1, 4, 6, 6], "float32"), 0.11, 6)
    y = net.quant(net.build.node("Add", x, net.quant(x, 0.083, 6)), 0.07, 6)
    model = net.build.build(**{net.quant(net.build.node("AveragePool", y, kernel_shape=[5, 5]), 0.029, 6): "float32"})
    total, mean = _notes(model, 4)
    most = []
    for note in (total, mean):
        found = re.fullmatch(
            r"quant_\d: the nearest multipliers of 4 bits are taken, a step off at some values; (\d+) bits would be "
            "exact",
            note,
        )
        assert found
        most.append(int(found[1]))
    assert _notes(model, max(most)) == []
    assert len(_notes(model, min(most))) == 1


def _notes(model: onnx.ModelProto, bits: int) -> list[str]:
    notes: list[str] = []
    import_onnx(model, options=ImportOptions(multiplier_bits=bits, add_bits=bits, exact=False), notes=notes)
    return notes
