"""The vector unit of a machine for one network: when there is one, what it has, how long it takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.conformance.cases import CASES, Maker
from tests.conformance.cases_vector import VECTOR_CASES

from gatewright import ir
from gatewright.compile import compile
from gatewright.errors import GraphError
from gatewright.hdl.shell_model import MemoryTiming
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.passes import run_passes, to_signed
from gatewright.sim import MemoryOptions, SimulatedBus
from gatewright.targets.array.cycles import count_cycles
from gatewright.targets.generated import GeneratedConfig, GeneratedTarget
from gatewright.targets.generated.choose import choose

MACHINE = GeneratedTarget()
EVERY_CASE = CASES | VECTOR_CASES
NNGEN = MemoryTiming(13, 1, 8, 8, 15, 4, read_wait=2, write_wait=12, serial=True, write_gap=2)
IDEAL = MemoryTiming(1, 1, 16, 16)


def _chosen(case: str, **wish: int) -> GeneratedConfig:
    return choose(to_signed(run_passes(EVERY_CASE[case](Maker(case, dyadic=False)))), GeneratedConfig(**wish))


def test_without_layers_for_it_there_is_none() -> None:
    chosen = _chosen("classifier")
    assert (chosen.vector, chosen.vector_lanes) == (False, 0)


def test_parts_that_no_layer_uses_are_left_out() -> None:
    sums, maxima = _chosen("elementwise"), _chosen("max_pool_overlapping")
    assert (sums.vector_operand, sums.vector_affine, sums.vector_maximum) == (True, True, False)
    assert (maxima.vector_operand, maxima.vector_affine, maxima.vector_maximum) == (False, False, True)
    assert not sums.residual  # the array has no layer to add behind
    assert not maxima.pool


def test_widths_are_those_of_the_layers() -> None:
    narrow, wide = _chosen("max_pool_overlapping"), _chosen("wide_elements")
    assert (narrow.vector_operand_bytes, narrow.vector_result_bytes) == (1, 1)
    assert (wide.vector_operand_bytes, wide.vector_result_bytes) == (2, 4)
    assert narrow.vector_sum_width < wide.vector_sum_width <= 40


@pytest.mark.parametrize("bus_bits", [32, 128])
def test_lanes_keep_ahead_of_the_bus(bus_bits: int) -> None:
    chosen = _chosen("elementwise", bus_bits=bus_bits)
    assert chosen.vector_lanes == 2 * bus_bits // 8
    assert chosen.rows == 1


@pytest.mark.parametrize("budget", [6, 16, 64])
def test_lanes_of_convolutions_count_in_the_budget(budget: int) -> None:
    chosen = _chosen("depthwise_tails", multipliers=budget)
    assert chosen.vector_lanes >= 1
    assert chosen.rows * chosen.columns + chosen.vector_lanes <= budget


def test_a_machine_without_one_says_what_it_lacks() -> None:
    graph = EVERY_CASE["multiplied"](Maker("multiplied", dyadic=False))
    with pytest.raises(GraphError, match=r"the configuration has no vector unit"):
        compile(graph, "generated", {"vector": False})


def _add(m: Maker) -> ir.Graph:
    x, y = m.input(1, 28, 28, 64), m.input(1, 28, 28, 64, name="y")
    return m.build(m.add(x, y))


def _max_pool(m: Maker) -> ir.Graph:
    return m.build(m.op(ir.MaxPool((2, 2), (2, 2)), m.input(1, 28, 28, 64)))


def _concat(m: Maker) -> ir.Graph:
    x, y = m.input(1, 28, 28, 64), m.input(1, 28, 28, 64, name="y")
    return m.build(m.op(ir.Concat(3), x, y))


def _transpose(m: Maker) -> ir.Graph:
    return m.build(m.op(ir.Transpose((2, 0, 1)), m.input(8, 8, 16)))


def _reshape(m: Maker) -> ir.Graph:
    return m.build(m.op(ir.Reshape((490,)), m.input(1, 7, 7, 10)))


@pytest.mark.parametrize(
    ("network", "memory", "most"),
    [
        (_add, NNGEN, 36_000),
        (_max_pool, NNGEN, 17_200),
        (_max_pool, IDEAL, 13_000),
        (_concat, NNGEN, 36_000),
        (_transpose, NNGEN, 2_000),
        (_reshape, NNGEN, 10),
    ],
)
def test_single_layers_take_little_more_than_the_bus(
    network: Callable[[Maker], ir.Graph], memory: MemoryTiming, most: int
) -> None:
    build = compile(network(Maker("one", dyadic=False)), "generated")
    assert count_cycles(build.program, build.config.array(), memory, rom=True).cycles <= most


@pytest.mark.parametrize("case", ["depthwise_tails", "multiplied_by_constants", "moves_of_sums"])
def test_rtl_equals_the_model(case: str) -> None:
    build = compile(EVERY_CASE[case](Maker(case, dyadic=False)), "generated", {"multipliers": 16})
    random = np.random.default_rng(0)
    types = [b.type for b in build.program.inputs]
    inputs = [random.integers(t.dtype.min, t.dtype.max + 1, t.shape).astype(t.dtype.storage) for t in types]
    expected = MACHINE.run(build.program, inputs)
    for memory in ("default", "stalls"):
        with SimulatedBus(
            build.verilog,
            MACHINE.top_module(build.config),
            memory_bytes=memory_size(build.program),
            data_width=build.config.bus_bits,
            options=MemoryOptions.named(memory),
            seed=5,
            pins=MACHINE.pins(build.config),
        ) as bus:
            registers = registers_of(MACHINE.register_map_for(build.config, build.program))
            result = Driver(bus, registers, build.program).run(inputs)
        for name, values in expected.outputs.items():
            np.testing.assert_array_equal(result.outputs[name], values, err_msg=name)
        if memory == "default":
            assert expected.cycles is not None
            assert result.cycles is not None
            assert abs(expected.cycles - result.cycles) <= max(0.02 * result.cycles, 50)
