"""The emitted Verilog computes what the graph means, in the cycles the model counts, whatever the memory does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tests.conformance.cases import CASES, Maker, inputs_of
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker
from tests.targets.bitfusion.test_model import sums_of, wide_inputs, widest

from gatewright.build import Build
from gatewright.compile import compile
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.ir import I8, U8, U32, Graph, Requantise, Rounding
from gatewright.program import Result
from gatewright.sim import MemoryOptions, SimulatedBus

WIDTHS = (2, 4, 6, 8)
PAIRS = [(inputs, weights) for inputs in WIDTHS for weights in WIDTHS]


def build_of(graph: Graph, machine: str) -> Build:
    config = MACHINES[machine]
    return compile(graph, "bitfusion", {name: getattr(config, name) for name in config.names()})


@cache
def default_build(case: str, machine: str) -> Build:
    return build_of(CASES[case](Maker(case, dyadic=not MACHINES[machine].multiplier_width)), machine)


def simulate(build: Build, inputs: list[np.ndarray], memory: str, seed: int) -> Result:
    with SimulatedBus(
        build.verilog,
        build.target.top,
        memory_bytes=memory_size(build.program),
        data_width=build.target.data_width(build.config),
        options=MemoryOptions.named(memory),
        seed=seed,
    ) as bus:
        return Driver(bus, registers_of(build.target.register_map(build.config)), build.program).run(inputs)


def check(build: Build, memory: str = "default", seed: int = 1) -> None:
    inputs = inputs_of(build.graph, seed)
    expected, result = build.target.run(build.program, inputs), simulate(build, inputs, memory, seed)
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(result.outputs[name], values, err_msg=name)
    assert result.cycles is not None
    assert expected.cycles is not None
    if memory == "default":
        assert abs(expected.cycles - result.cycles) <= max(0.02 * result.cycles, 50)
        assert sum(result.layer_cycles or ()) == result.cycles


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("case", CASES)
def test_rtl_equals_the_model_in_values_and_cycles(case, machine):
    check(default_build(case, machine))


@pytest.mark.parametrize("place", range(len(CASES)))
def test_narrow_widths(place):
    """Four pairs for each case; all pairs come up."""
    case = list(CASES)[place]
    for pair in range(place, place + 4):
        check(build_of(CASES[case](NarrowMaker(case, PAIRS[7 * pair % 16])), "4x8"))


def test_results_wider_than_what_the_array_reads():
    build = build_of(sums_of(32), "4x8")
    check(build)
    check(build, "stalls", 2)


@pytest.mark.parametrize("weight_width", WIDTHS)
def test_inputs_of_16_bits_take_two_steps(weight_width):
    check(build_of(wide_inputs(weight_width), "4x8"))


@pytest.mark.parametrize("width", WIDTHS)
def test_weights_of_16_bits_take_two_passes(width):
    check(build_of(wide_inputs(16, width=width), "4x8"))


def test_products_of_16_x_16_bits():
    check(build_of(widest(), "4x8"))


@pytest.mark.slow
@pytest.mark.parametrize("widths", PAIRS)
@pytest.mark.parametrize("case", CASES)
def test_every_pair(case, widths):
    check(build_of(CASES[case](NarrowMaker(case, widths)), "4x8"))


@pytest.mark.parametrize("widths", [(8, 8), (6, 6), (4, 4), (2, 2), (6, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_stalls_change_cycles_and_nothing_else(widths, seed):
    check(build_of(CASES["residual_chain"](NarrowMaker("chain", widths)), "4x8"), "stalls", seed)


def test_the_machine_depends_on_its_configuration_alone():
    wide = default_build("conv_basic", "4x8")
    narrow = build_of(CASES["residual_chain"](NarrowMaker("chain", (2, 2))), "4x8")
    assert wide.verilog == narrow.verilog
    assert wide.verilog != default_build("conv_basic", "4x4_fixed").verilog


def test_instructions_come_behind_input_that_results_delay():
    """Results and the next image's input go to one buffer; the instructions behind that input are late as it is."""
    maker = NarrowMaker("late", (4, 4))
    x = maker.input(1, 13, 10, 24)
    for _ in range(2):
        mul, shift = maker.builder.constant([90000] * 24, U32), maker.builder.constant([16] * 24, U8)
        x = maker.op(Requantise(0, 0, 0, Rounding.HALF_UP, I8), x, mul, shift)
    check(build_of(maker.build(maker.layer(x, 8, strides=(3, 2), dilations=(2, 1), pads=(2, 1, 2, 1))), "4x8"))
