"""Evaluation and instruction-set model agree on every case, on every configuration."""

import numpy as np
import pytest

from gatewright import ir
from gatewright.passes import run_passes, to_signed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.lower import lower
from gatewright.targets.array.model import execute
from gatewright.targets.array.supports import SUPPORT
from tests.conformance.cases import CASES, Maker, inputs_of
from tests.conformance.cases_vector import VECTOR_CASES
from tests.conformance.cases_wide import NARROW_SUMS, WIDE_CASES, WideMaker
from tests.conformance.machines import SYSTOLIC, VECTOR, WIDE

CONFIGS = SYSTOLIC | {
    # the smallest scratchpads, the widest bus, one lane
    "8x8_tiny": ArrayConfig(
        post_lanes=1, bus_bits=256, activation_bytes=2048, output_bytes=2048, weight_bytes=2048, parameter_bytes=1024
    ),
    "1x1": ArrayConfig(rows=1, columns=1, post_lanes=1, queue_depth=2),
    # tap words of nine and twelve elements: a row of 3 x 3 channels, half of one of 3 x 8
    "9x4": ArrayConfig(rows=9, columns=4, feed_words=9, bus_bits=32),
    "7x3": ArrayConfig(rows=7, columns=3, post_lanes=2, feed_words=12, weight_bytes=2048),
}


VECTOR_CONFIGS = VECTOR | {
    "1x1_v4": ArrayConfig(
        rows=1,
        columns=1,
        post_lanes=1,
        bus_bits=256,
        activation_bytes=2048,
        output_bytes=2048,
        weight_bytes=2048,
        parameter_bytes=1024,
        vector_lanes=4,
    ),
    "dyadic_v1": ArrayConfig(multiplier_width=0, vector_lanes=1),
}


def _check(graph: ir.Graph, config: ArrayConfig) -> None:
    inputs = inputs_of(graph)
    outputs = execute(lower(graph, config), config, inputs)
    for name, expected in graph.evaluate(*inputs).items():
        np.testing.assert_array_equal(outputs[name], expected, err_msg=name)


@pytest.mark.parametrize("machine", CONFIGS)
@pytest.mark.parametrize("case", CASES)
def test_model_equals_evaluation(case: str, machine: str) -> None:
    config = CONFIGS[machine]
    _check(run_passes(CASES[case](Maker(case, dyadic=config.dyadic))), config)


@pytest.mark.parametrize("machine", VECTOR_CONFIGS)
@pytest.mark.parametrize("case", CASES | VECTOR_CASES)
def test_with_a_vector_unit_the_model_equals_evaluation(case: str, machine: str) -> None:
    config = VECTOR_CONFIGS[machine]
    graph = run_passes((CASES | VECTOR_CASES)[case](Maker(case, dyadic=config.dyadic)))
    for node in graph.nodes:
        assert SUPPORT.reason(node, graph, config) is None
    _check(graph, config)


WIDE_CONFIGS = WIDE | {
    "9x2_16x16_tiny": ArrayConfig(
        rows=9,
        columns=2,
        feed_words=10,
        activation_width=16,
        weight_width=16,
        accumulator_width=64,
        result_width=32,
        post_lanes=1,
        bus_bits=256,
        activation_bytes=4096,
        output_bytes=4096,
        weight_bytes=4096,
        parameter_bytes=1024,
    ),
}


@pytest.mark.parametrize("machine", WIDE_CONFIGS)
@pytest.mark.parametrize("case", WIDE_CASES)
def test_model_equals_evaluation_of_wide_values(case: str, machine: str) -> None:
    config = WIDE_CONFIGS[machine]
    graph = to_signed(run_passes(WIDE_CASES[case](WideMaker(case, dyadic=config.dyadic))))
    if config.weight_width == 8 and case not in NARROW_SUMS:
        reasons = [reason for node in graph.nodes if (reason := SUPPORT.reason(node, graph, config))]
        assert reasons
        return
    inputs = inputs_of(graph)
    outputs = execute(lower(graph, config), config, inputs)
    for name, expected in graph.evaluate(*inputs).items():
        np.testing.assert_array_equal(outputs[name], expected, err_msg=name)
        assert np.unique(expected).size > min(8, expected.size // 2)
