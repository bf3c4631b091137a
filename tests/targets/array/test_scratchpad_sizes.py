"""However small the scratchpads, a program is right or refused: what stays on chip decides speed, never a result."""

import numpy as np
import pytest
from tests.conformance.cases import Maker, inputs_of

from gatewright import ir
from gatewright.errors import ConfigError
from gatewright.passes import run_passes
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.lower import lower
from gatewright.targets.array.model import execute


def residual_network() -> ir.Graph:
    """Two blocks with shortcuts, of which the second strides; then pooling and a product."""
    m = Maker("residual", dyadic=False)
    first = m.layer(m.input(1, 16, 16, 3), 16)
    block = m.add(m.layer(m.layer(first, 16), 16), first)
    shortcut = m.layer(block, 32, (1, 1), strides=(2, 2))
    strided = m.layer(block, 32, strides=(2, 2), pads=(0, 0, 1, 1))
    pooled = m.average(m.add(m.layer(strided, 32), shortcut), (8, 8), (8, 8))
    return run_passes(m.build(m.product(m.op(ir.Reshape((1, 32)), pooled), 10)))


GRAPH = residual_network()
INPUTS = inputs_of(GRAPH)


def test_rows_that_the_first_reader_skips_are_there_for_the_second() -> None:
    """A 1 x 1 convolution of stride 2 skips the last row of an image that the next layer finds on the chip."""
    m = Maker("skip", dyadic=False)
    x = m.input(1, 16, 16, 16)
    image = m.layer(m.layer(x, 16), 16)
    one = m.layer(image, 32, (1, 1), strides=(2, 2))
    other = m.layer(image, 32, strides=(2, 2), pads=(0, 0, 1, 1))
    graph = run_passes(m.build(m.add(m.layer(other, 32), one)))
    config = ArrayConfig(activation_bytes=4096)
    inputs = inputs_of(graph)
    (found,), (expected,) = execute(lower(graph, config), config, inputs).values(), graph.evaluate(*inputs).values()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(40))
def test_random_machines(seed: int) -> None:
    random = np.random.default_rng(seed)
    columns = int(random.integers(1, 33))
    sizes = {f"{name}_bytes": int(2 ** random.integers(10, 15)) for name in ("activation", "weight", "output")}
    config = ArrayConfig(
        rows=int(random.integers(1, 33)),
        columns=columns,
        post_lanes=int(2 ** random.integers(0, 1 + (columns - 1).bit_length())),
        bus_bits=int(2 ** random.integers(5, 9)),
        parameter_bytes=int(2 ** random.integers(10, 13)),
        **sizes,
    )
    try:
        program = lower(GRAPH, config)
    except ConfigError:
        return
    (found,), (expected,) = execute(program, config, INPUTS).values(), GRAPH.evaluate(*INPUTS).values()
    np.testing.assert_array_equal(found, expected)
