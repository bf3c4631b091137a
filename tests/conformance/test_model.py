"""Evaluation and instruction-set model agree on every case, on every configuration."""

import numpy as np
import pytest

from gatewright.passes import run_passes
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.lower import lower
from gatewright.targets.array.model import execute
from tests.conformance.cases import CASES, Maker, inputs_of
from tests.conformance.machines import SYSTOLIC

CONFIGS = SYSTOLIC | {
    # the smallest scratchpads, the widest bus, one lane
    "8x8_tiny": ArrayConfig(
        post_lanes=1, bus_bits=256, activation_bytes=2048, output_bytes=2048, weight_bytes=2048, parameter_bytes=1024
    ),
    "1x1": ArrayConfig(rows=1, columns=1, post_lanes=1, queue_depth=2),
    # tap words of nine and twelve elements: a row of 3 x 3 channels, half of one of 3 x 8
    "9x4": ArrayConfig(rows=9, columns=4, feed_words=9, bus_bits=32),
    "7x3": ArrayConfig(rows=7, columns=3, post_lanes=2, feed_words=12, weight_bytes=4096),
}


@pytest.mark.parametrize("machine", CONFIGS)
@pytest.mark.parametrize("case", CASES)
def test_model_equals_evaluation(case: str, machine: str) -> None:
    config = CONFIGS[machine]
    graph = run_passes(CASES[case](Maker(case, dyadic=config.dyadic)))
    inputs = inputs_of(graph)
    outputs = execute(lower(graph, config), config, inputs)
    for name, expected in graph.evaluate(*inputs).items():
        np.testing.assert_array_equal(outputs[name], expected, err_msg=name)
