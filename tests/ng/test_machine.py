"""The way to hardware."""

import numpy as np
import pytest

import gatewright
import gatewright.ng as ng
from gatewright.errors import ConfigError, GatewrightError


def small():
    random = np.random.default_rng(0)
    x = ng.placeholder(ng.int8, (1, 6, 6, 4), name="x")
    w, b = ng.variable(ng.int8, (8, 3, 3, 4), name="w"), ng.variable(ng.int32, (8,), name="b")
    w.set_value(random.integers(-127, 128, w.shape))
    b.set_value(random.integers(-500, 500, 8))
    y = ng.conv2d(x, w, (1, 1, 1, 1), bias=b, rshift_out=8, act_func=ng.relu, dtype=ng.int8, name="y")
    return ng.max_pool_serial(y, (1, 2, 2, 1), (1, 2, 2, 1), name="pooled")


def test_a_design_holds_all_that_was_said():
    y = small()
    y.args[0].attribute(par_ich=4)
    design = ng.design([y], "mine", {"maxi_datawidth": 64, "default_datawidth": 16})
    assert design.network.graph.name == "mine"
    assert design.network.hints["y.sum"] == {"par_ich": 4}
    assert design.addresses.maxi_datawidth == 64
    assert design.config.default_datawidth == 16


def test_records_without_a_type_have_the_default_one():
    y = ng.add(ng.constant([1, 2], name="c"), ng.constant([3, 4]), name="y")
    graph = ng.design(y, "mine", {"default_datawidth": 16}).network.graph
    assert str(graph.type_of("y")) == "i16[2]"


def test_the_simulated_machine_agrees():
    image = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 4))
    simulated = ng.simulate([small()], x=image)
    np.testing.assert_array_equal(simulated.outputs[0], ng.eval([small()], x=image)[0])
    assert simulated.cycles > 0
    assert sum(simulated.layers.values()) == simulated.cycles


def test_a_build_is_one_of_gatewrights():
    build = ng.build(small(), "mine", {"multipliers": 16})
    assert isinstance(build, gatewright.Build)
    assert build.config.multipliers == 16
    image = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 4)).astype(np.int8)
    found = gatewright.run(build, {"x": image}, "model").outputs["pooled"]
    np.testing.assert_array_equal(found, ng.eval([small()], x=image)[0])


def test_what_the_machine_cannot_do_is_named():
    x = ng.placeholder(ng.int16, (1, 4), name="x")
    with pytest.raises(GatewrightError, match=r"y \(multiply, i16\[1,4\]\)"):
        ng.build(ng.multiply(x, x, name="y"), "mine")


@pytest.mark.parametrize("name", ["to_verilog", "to_ipxact", "to_veriloggen"])
def test_nngens_boundary_is_not_there_yet(name):
    with pytest.raises(ConfigError, match=rf"ng\.{name} needs a machine 'generated' with NNgen's ports"):
        getattr(ng, name)([small()], "mine", silent=True)
    with pytest.raises(ConfigError, match="name of the accelerator must be letters, digits and '_', not 'my net'"):
        getattr(ng, name)([small()], "my net")
    with pytest.raises(ConfigError, match="maxi_datawidth must be"):
        getattr(ng, name)([small()], "mine", config={"maxi_datawidth": 5})


def test_a_simulation_is_not_there_yet():
    with pytest.raises(ConfigError, match=r"ng\.Simulation needs a machine"):
        ng.Simulation(None, np.zeros(4, np.uint8), read_delay=10)
