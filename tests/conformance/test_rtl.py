"""The emitted Verilog computes what the graph means, in the cycles the model counts, whatever the memory does."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from gatewright.build import Build
from gatewright.compile import compile
from gatewright.hdl.shell_model import MemoryTiming
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.program import Result
from gatewright.sim import ChannelCount, MemoryOptions, SimulatedBus
from gatewright.targets.array.cycles import count_cycles
from tests.conformance.cases import CASES, Maker
from tests.conformance.cases_vector import VECTOR_CASES
from tests.conformance.cases_wide import NARROW_SUMS, WIDE_CASES, WideMaker
from tests.conformance.machines import SYSTOLIC, VECTOR, WIDE

RUNS = [
    *((case, machine) for case in CASES for machine in SYSTOLIC | VECTOR),
    *((case, machine) for case in VECTOR_CASES for machine in VECTOR),
    *((case, machine) for case in WIDE_CASES for machine in WIDE if WIDE[machine].weight_width > 8),
    *((case, machine) for case in NARROW_SUMS for machine in WIDE if WIDE[machine].weight_width == 8),
]
MASTER_CHANNELS = ("m_axi_ar", "m_axi_r", "m_axi_aw", "m_axi_w", "m_axi_b")


@cache
def _build(case: str, machine: str) -> Build:
    config = (SYSTOLIC | VECTOR | WIDE)[machine]
    if machine in WIDE:
        graph = WIDE_CASES[case](WideMaker(case, dyadic=config.dyadic))
    else:
        graph = (CASES | VECTOR_CASES)[case](Maker(case, dyadic=config.dyadic))
    values = {name: getattr(config, name) for name in config.names()}
    return compile(graph, "systolic", values)


def _inputs(build: Build, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [
        random.integers(b.type.dtype.min, b.type.dtype.max + 1, b.type.shape).astype(b.type.dtype.storage)
        for b in build.program.inputs
    ]


def _simulate(
    build: Build, inputs: list[np.ndarray], memory: MemoryOptions, seed: int
) -> tuple[Result, dict[str, ChannelCount]]:
    with SimulatedBus(
        build.verilog,
        build.target.top_module(build.config),
        memory_bytes=memory_size(build.program),
        data_width=build.target.data_width(build.config),
        options=memory,
        seed=seed,
    ) as bus:
        driver = Driver(bus, registers_of(build.target.register_map_for(build.config, build.program)), build.program)
        return driver.run(inputs), dict(bus.stall_counts)


def _assert_equal(build: Build, inputs: list[np.ndarray], result: Result) -> None:
    """What the program's inputs mean to the graph before the passes, and what must come out."""
    expected = build.target.run(build.program, inputs)
    for name, values in expected.outputs.items():
        np.testing.assert_array_equal(result.outputs[name], values, err_msg=name)


@pytest.mark.parametrize(("case", "machine"), RUNS)
def test_rtl_equals_the_model_in_values_and_cycles(case: str, machine: str) -> None:
    build = _build(case, machine)
    inputs = _inputs(build, 1)
    result, _ = _simulate(build, inputs, MemoryOptions.named("default"), 1)
    _assert_equal(build, inputs, result)
    modelled = build.target.run(build.program, inputs).cycles
    assert result.cycles is not None
    assert modelled is not None
    assert abs(modelled - result.cycles) <= max(0.02 * result.cycles, 50)
    assert sum(result.layer_cycles or ()) == result.cycles


@pytest.mark.parametrize(("case", "machine"), RUNS)
def test_stalls_change_cycles_never_results(case: str, machine: str) -> None:
    build = _build(case, machine)
    inputs = _inputs(build, 2)
    result, _ = _simulate(build, inputs, MemoryOptions.named("stalls"), seed=3)
    _assert_equal(build, inputs, result)


@pytest.mark.parametrize("machine", SYSTOLIC | VECTOR)
def test_stalls_do_occur_on_every_channel(machine: str) -> None:
    held = dict.fromkeys(MASTER_CHANNELS, 0)
    for seed, case in enumerate(("residual_chain", "moves", "max_pool_overlapping", "elementwise", "concat")):
        build = _build(case, machine)
        _, counts = _simulate(build, _inputs(build, seed), MemoryOptions.named("stalls"), seed)
        held = {channel: held[channel] + counts[channel].held_by_bench for channel in MASTER_CHANNELS}
    assert all(held.values()), held


@pytest.mark.parametrize("memory", ["ideal", "nngen"])
def test_other_memories_in_values_and_cycles(memory: str) -> None:
    build = _build("residual_chain", "8x8")
    inputs = _inputs(build, 5)
    options = MemoryOptions.named(memory)
    result, _ = _simulate(build, inputs, options, seed=1)
    _assert_equal(build, inputs, result)
    timing = MemoryTiming(**{field.name: getattr(options, field.name) for field in fields(MemoryTiming)})
    modelled = count_cycles(build.program, build.config, timing).cycles
    assert result.cycles is not None
    assert abs(modelled - result.cycles) <= max(0.02 * result.cycles, 50)


def test_the_machine_depends_on_its_configuration_alone() -> None:
    assert _build("conv_basic", "8x8").verilog == _build("residual_chain", "8x8").verilog
    assert _build("conv_basic", "4x16").verilog != _build("conv_basic", "8x8").verilog
