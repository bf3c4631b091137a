"""Widths priced in cycles of a machine."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import gatewright
from gatewright.errors import ConfigError
from gatewright.inputs import random_inputs
from gatewright.price import cycle_price
from gatewright.quantize import LayerWork, QuantiseOptions, WidthBudget, choose_widths, layer_works

LENET = Path(__file__).parents[1] / "examples" / "lenet5" / "lenet5.onnx"
PAIRS = ((8, 8), (4, 4), (2, 2))


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(LENET)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(0).random((16, 1, 32, 32), np.float32)


def _cycles(model: onnx.ModelProto, samples: np.ndarray, options: QuantiseOptions) -> int:
    build = gatewright.compile(model, "bitfusion", samples=samples, options=options)
    inputs = random_inputs(build.graph.input_ports, 0)
    return build.target.run(build.program, build.program.encode(inputs)).cycles


def test_prices_are_those_of_the_model(model: onnx.ModelProto, samples: np.ndarray) -> None:
    cost = cycle_price(model, "bitfusion", None, samples, PAIRS)
    works = layer_works(model)
    assert [work.name for work in works] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    prices = [sum(cost(work, *pair) for work in works) for pair in PAIRS]
    assert prices == [_cycles(model, samples, QuantiseOptions(*pair)) for pair in PAIRS]
    assert prices == sorted(prices, reverse=True)
    assert cost(works[1], 3, 3) == cost(works[1], 4, 4) < cost(works[1], 8, 8)


def test_a_choice_in_cycles_is_as_fast_as_it_says(model: onnx.ModelProto, samples: np.ndarray) -> None:
    cost = cycle_price(model, "bitfusion", None, samples, PAIRS)
    choice = choose_widths(model, samples, WidthBudget(0.5, cost, PAIRS, unit="cycles"))
    assert choice.cost < choice.widest_cost
    assert "cycles instead of" in " ".join(str(choice).split())
    found = _cycles(model, samples, choice.options)
    assert abs(found - choice.cost) < 0.2 * found  # a layer's time depends a little on the widths of its neighbours


def test_widths_that_make_no_difference_have_no_price(model: onnx.ModelProto, samples: np.ndarray) -> None:
    assert cycle_price(model, "systolic", None, samples, ((8, 8), (4, 4))) is None


def test_what_the_machine_refuses(model: onnx.ModelProto, samples: np.ndarray) -> None:
    cost = cycle_price(model, "bitfusion", {"rows": 2}, samples, ((8, 8), (4, 4), (8, 16)))  # 4 pixels of a pool
    assert cost(layer_works(model)[0], 8, 16) == float("inf")
    with pytest.raises(ConfigError, match="rows must be"):
        cycle_price(model, "bitfusion", {"rows": 0}, samples, PAIRS)


def test_work_is_found_in_order(model: onnx.ModelProto) -> None:
    assert layer_works(model)[0] == LayerWork("conv1", "Conv", 784, 6, (5, 5), 1)
