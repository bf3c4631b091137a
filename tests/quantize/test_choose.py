"""Widths chosen under a budget: within it, cheaper, and told what they cost."""

import json
from collections.abc import Callable

import numpy as np
import onnx
import pytest

from gatewright.errors import ConfigError, DataError
from gatewright.frontends.reference import run_reference
from gatewright.quantize import (
    HeldOut,
    LayerWork,
    QuantiseOptions,
    WidthBudget,
    bit_operations,
    choose_widths,
    quantise,
    quantise_model,
)

Samples = Callable[..., np.ndarray]
PAIRS = ((8, 8), (8, 4), (4, 4), (2, 2))


def noise(exact: np.ndarray, found: np.ndarray) -> float:
    """Noise to signal, which any step changes."""
    return float(np.mean((found - exact) ** 2) / np.mean(exact**2))


def test_the_choice_keeps_within_the_budget_and_uses_it(small: onnx.ModelProto, samples: Samples) -> None:
    arrays = samples(small, 80)
    tight = choose_widths(small, arrays, WidthBudget(2e-2, candidates=PAIRS, measure=noise))
    loose = choose_widths(small, arrays, WidthBudget(8e-2, candidates=PAIRS, measure=noise))
    assert tight.loss + tight.margin <= 2e-2
    assert loose.loss + loose.margin <= 8e-2
    assert tight.confirmed
    assert loose.confirmed
    assert loose.cost < tight.cost <= tight.widest_cost
    for choice in (tight, loose):
        assert (choice.calibrated, choice.held_out) == (40, 40)
        total = sum(bit_operations(layer.work, layer.activation_bits, layer.weight_bits) for layer in choice.layers)
        assert choice.cost >= total  # what several layers read has the greatest of their widths
        assert sum(layer.cost for layer in choice.layers) == total


def test_the_loss_is_that_of_samples_nothing_has_seen(small: onnx.ModelProto, samples: Samples) -> None:
    arrays = samples(small, 40)
    name = small.graph.input[0].name
    choice = choose_widths(small, {name: arrays}, WidthBudget(8e-2, candidates=PAIRS, measure=noise))
    known, held_out = arrays[1::2], arrays[::2]
    np.testing.assert_array_equal(choice.calibration(arrays), known)
    np.testing.assert_array_equal(choice.calibration({name: arrays})[name], known)
    quantised, _ = quantise_model(small, known, choice.options)
    exact, found = (
        np.concatenate([next(iter(run_reference(one, {name: image[None]}).values())) for image in held_out])
        for one in (small, quantised)
    )
    assert choice.loss == pytest.approx(noise(exact, found), rel=1e-3)
    other = choose_widths(small, known, WidthBudget(8e-2, candidates=PAIRS, measure=noise), held_out=HeldOut(held_out))
    assert other == choice


def test_the_graph_has_the_chosen_widths(small: onnx.ModelProto, samples: Samples) -> None:
    arrays = samples(small, 80)
    choice = choose_widths(small, arrays, WidthBudget(3e-2, candidates=PAIRS, measure=noise))
    graph, _ = quantise(small, choice.calibration(arrays), choice.options)
    for layer in choice.layers:
        node = graph.producer(layer.work.name)
        assert graph.type_of(node.inputs[1]).dtype.width == layer.weight_bits
    assert len({(layer.activation_bits, layer.weight_bits) for layer in choice.layers}) > 1


def test_a_cost_of_the_callers_decides_what_is_saved(small: onnx.ModelProto, samples: Samples) -> None:
    """Where only one layer costs anything, only that one is narrowed."""

    def cost(layer: LayerWork, activation_bits: int, weight_bits: int) -> float:
        return float(weight_bits) if layer.name == "gemm_7" else 1.0

    choice = choose_widths(small, samples(small, 40), WidthBudget(0.1, cost, PAIRS, noise))
    widths = {layer.work.name: (layer.activation_bits, layer.weight_bits) for layer in choice.layers}
    assert widths.pop("gemm_7")[1] < 8
    assert set(widths.values()) == {(8, 8)}
    assert choice.widest_cost == 8 + len(widths)


def test_widths_that_are_given_stay(small: onnx.ModelProto, samples: Samples) -> None:
    options = QuantiseOptions(layers={"conv_0": (8, 5)})
    choice = choose_widths(small, samples(small, 30), WidthBudget(0.1, candidates=PAIRS, measure=noise), options)
    assert choice.options.layers["conv_0"] == (8, 5)
    assert set(choice.options.layers) == {layer.work.name for layer in choice.layers}
    assert dict(choice.layers[0].alone) == {}
    assert "given" in str(choice)


def test_work_of_layers(small: onnx.ModelProto, samples: Samples) -> None:
    choice = choose_widths(small, samples(small, 20), WidthBudget(1.0, candidates=((8, 8), (4, 4)), measure=noise))
    works = {layer.work.name: layer.work for layer in choice.layers}
    assert works["conv_0"] == LayerWork("conv_0", "Conv", 144, 8, (3, 3), 3)
    assert works["gemm_7"] == LayerWork("gemm_7", "Gemm", 1, 16, (1, 1), 48)
    assert works["conv_0"].macs == 144 * 8 * 27
    assert bit_operations(works["gemm_7"], 4, 2) == 16 * 48 * 8


def test_labels_measure_accuracy(lenet5: onnx.ModelProto, digits: tuple[np.ndarray, ...]) -> None:
    images, labels = digits[0][:120], digits[1][:120]
    budget = WidthBudget(0.02, candidates=((8, 8), (4, 4), (2, 2)))
    choice = choose_widths(lenet5, images, budget, labels=labels)
    assert choice.loss <= 0.02
    assert choice.cost < choice.widest_cost
    assert [layer.work.name for layer in choice.layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    told = json.loads(json.dumps(choice.to_json()))
    assert told["layers"][0]["alone"]["a8w8"]["sqnr_db"] > 30
    assert "bit operations instead of" in " ".join(str(choice).split())


def test_too_few_samples_allow_nothing_that_loses_more(lenet5: onnx.ModelProto, digits: tuple[np.ndarray, ...]) -> None:
    images, labels = digits[0][:120], digits[1][:120]
    choice = choose_widths(lenet5, images, WidthBudget(0.01), labels=labels)
    assert not choice.confirmed
    assert choice.loss <= 0
    assert choice.margin == pytest.approx(1 - 0.05 ** (1 / 60), rel=1e-3)
    assert choice.caution.startswith("60 samples held out show no more than that at most 4.87% is lost, not 1.00%")
    assert choose_widths(lenet5, images, WidthBudget(0.06), labels=labels).confirmed


def test_what_is_refused(small: onnx.ModelProto, samples: Samples) -> None:
    arrays = samples(small, 20)
    with pytest.raises(ConfigError, match=r"loss must be at least \d.*, which a2w2 loses already, not 1e-06"):
        choose_widths(small, arrays, WidthBudget(1e-6, candidates=((2, 2), (2, 2)), measure=noise))
    with pytest.raises(ConfigError, match="loss must be a number of at least 0, not -1"):
        WidthBudget(-1)
    with pytest.raises(ConfigError, match="candidates must be at least two pairs of widths"):
        WidthBudget(candidates=((8, 8),))
    with pytest.raises(ConfigError, match="weight_bits must be a whole number from 2 to 8, or 16, not 9"):
        WidthBudget(candidates=((8, 8), (8, 9)))
    with pytest.raises(DataError, match=r"labels must be 20 integers, not float64 of shape \[20\]"):
        choose_widths(small, arrays, labels=np.zeros(20))
    with pytest.raises(DataError, match="samples to choose widths with must be at least 2"):
        choose_widths(small, arrays[:1])
    with pytest.raises(DataError, match="labels must be given for both"):
        choose_widths(small, arrays, labels=np.zeros(20, int), held_out=HeldOut(arrays))
    with pytest.raises(DataError, match=r"labels held out must be 20 integers, not int64 of shape \[3\]"):
        choose_widths(small, arrays, labels=np.zeros(20, int), held_out=HeldOut(arrays, np.zeros(3, int)))
    with pytest.raises(ConfigError, match=r"confidence must be at least 0\.5 and below 1, not 1"):
        WidthBudget(confidence=1)
    every = {node.name: (8, 8) for node in small.graph.node if node.op_type in ("Conv", "Gemm")}
    with pytest.raises(ConfigError, match="must have a layer with weights whose widths are not given"):
        choose_widths(small, arrays, options=QuantiseOptions(layers=every))
