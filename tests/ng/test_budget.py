"""Wishes become the machine's budget."""

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.errors import ConfigError
from gatewright.ng.budget import budget_keys


def network(conv=None, product=None):
    """A 3 x 3 convolution and a product behind it, each with its wishes."""
    x = ng.placeholder(ng.int8, (1, 4, 4, 2), name="x")
    w, v = ng.variable(ng.int8, (4, 3, 3, 2)), ng.variable(ng.int8, (3, 64))
    for each in (w, v):
        each.set_value(np.ones(each.shape, np.int64))
    y = ng.conv2d(x, w, (1, 1, 1, 1), rshift_out=5, dtype=ng.int8, name="y")
    z = ng.matmul(ng.reshape(y, (1, 64)), v, transposed_b=True, rshift_out=5, dtype=ng.int8, name="z")
    y.attribute(**(conv or {}))
    z.attribute(**(product or {}))
    return z


def keys(output, config=None):
    described = ng.design([output], "network", config)
    return budget_keys(described.network, described.config)


@pytest.mark.parametrize(
    ("conv", "product", "multipliers"),
    [
        ({"par_ich": 2, "par_och": 2}, {}, 36),
        ({"par_ich": 2, "par_och": 2, "par_col": 2, "par_row": 2}, {}, 144),
        ({"par_ich": 1}, {"par_left_col": 8, "par_out_col": 4}, 32),
        ({}, {"par_out_col": 4}, 9),
        ({}, {"par_ich": 4, "par_och": 4, "par_col": 2}, 32),
    ],
)
def test_the_largest_layer_decides(conv, product, multipliers):
    output = network(conv, product)
    assert keys(output)["multipliers"] == multipliers
    assert ng.build([output], "network").config.multipliers == multipliers


def test_without_a_wish_the_compiler_chooses():
    assert keys(network()) == {}


def test_keys_override():
    config = {"multipliers": 5, "memory_bits": 65536, "axi_width": 128}
    assert keys(network({"par_ich": 2}), config) == {"multipliers": 5, "memory_bytes": 8192}
    built = ng.build([network({"par_ich": 2})], "network", config)
    assert (built.config.multipliers, built.config.memory_bytes, built.config.bus_bits) == (5, 8192, 128)


@pytest.mark.parametrize(("par", "bus", "lanes"), [(4, 32, 8), (16, 32, 16), (16, 128, 32)])
def test_lanes_of_operators_without_multipliers(par, bus, lanes):
    """What the bus brings is the least in any case."""
    x = ng.placeholder(ng.int8, (1, 4, 4, 64), name="x")
    y = ng.multiply(x, ng.relu(x, par=2), par=par, dtype=ng.int8, name="y")
    assert ng.build(y, "network", {"maxi_datawidth": bus}).config.vector_lanes == lanes


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"memory_bits": 7}, "memory_bits must be a whole number of at least 8, not 7"),
        ({"axi_width": 48}, "maxi_datawidth must be 32 or 64 or 128 or 256, not 48"),
        ({"axi_width": 64, "maxi_datawidth": 32}, r"axi_width must be maxi_datawidth \(32\), not 64"),
        ({"multiplier": 3}, "generated has no parameter 'multiplier'"),
    ],
)
def test_impossible_keys(config, message):
    with pytest.raises(ConfigError, match=message):
        ng.build([network()], "network", config)
