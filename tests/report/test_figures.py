"""Figures: what was not measured is None, and the arithmetic is the design's."""

import dataclasses

import numpy as np
import pytest
from fake_target import FakeTarget, install, small_graph

from gatewright.build import Build
from gatewright.compile import compile as compile_model
from gatewright.ir import U8, Builder, Clip, Lut, TensorType
from gatewright.program import LayerInfo, Result
from gatewright.report import (
    Comparison,
    Reference,
    compulsory_bytes,
    finite_memory_cycles,
    parameters_bytes,
    report_figures,
)

KEYS = {
    *("model", "target", "config", "macs", "multipliers", "multipliers_outside_array", "memory_bytes"),
    *("parameters_bytes", "compulsory_bytes", "bus_bytes", "limit_cycles", "cycles", "efficiency"),
    *("equal", "max_abs_difference", "reference", "counters", "layers"),
}


@pytest.fixture
def build(monkeypatch) -> Build:
    install(monkeypatch)
    return compile_model(small_graph(), "fake", {"lanes": 2})


def test_all_keys_of_the_design_are_there(build):
    report = report_figures(build)
    assert set(report) >= KEYS
    assert set(report["layers"][0]) >= {"name", "op", "macs", "limit_cycles", "cycles", "efficiency"}


def test_what_was_not_measured_is_none(build):
    report = report_figures(build)
    assert report["cycles"] == {"model": None, "rtl": None}
    for key in ("efficiency", "equal", "max_abs_difference", "reference", "counters", "reachable_cycles"):
        assert report[key] is None
    assert [layer["cycles"] for layer in report["layers"]] == [None]


def test_parameters_are_packed():
    # 12 weights of 8 bits, 3 biases of 32, mul 1 (1 bit), shift 2 (2 bits): 195 bits
    assert parameters_bytes(small_graph()) == 25
    assert compulsory_bytes(small_graph()) == 25 + 4 + 3
    assert compulsory_bytes(small_graph(batch=5)) == 25 + 5 * (4 + 3)


def test_a_parameter_that_is_read_twice_counts_once():
    builder = Builder("tables")
    x = builder.input("x", TensorType((1, 2), U8))
    table = builder.constant(np.full(256, 3), U8, "table")
    y = builder.add(Lut(U8), builder.add(Lut(U8), x, table), table)
    builder.output(builder.add(Clip(0, 9), y))
    assert parameters_bytes(builder.build()) == 256 * 2 // 8


def test_the_limit_is_the_larger_of_array_and_bus(build):
    assert report_figures(build)["limit_cycles"] == 6  # 12 MACs on 2 lanes; 32 bytes take 4 beats
    fast = dataclasses.replace(
        build, program=dataclasses.replace(build.program, layers=(LayerInfo("a", "matmul", 12, 1),))
    )
    assert report_figures(fast)["limit_cycles"] == 4


def test_efficiency_is_limit_over_rtl_cycles(build):
    rtl = Result("rtl", {}, 24, {"compute_busy": 5}, (24,))
    model = Result("model", {}, 25, layer_cycles=(25,))
    report = report_figures(build, model, rtl)
    assert report["cycles"] == {"model": 25, "rtl": 24}
    assert report["efficiency"] == 0.25
    assert report["counters"] == {"compute_busy": 5}
    assert report["layers"][0]["cycles"] == 24
    assert report["layers"][0]["model_cycles"] == 25
    assert report["layers"][0]["efficiency"] == 0.25


def _layers(*costs: tuple[int, int]) -> list[LayerInfo]:
    return [LayerInfo("a", "matmul", 12, cycles, transfer) for cycles, transfer in costs]


@pytest.mark.parametrize(
    ("memory", "cycles"),
    [
        (1 << 20, 51),  # all of them, from the first cycle on
        (321, 51),
        (160, 61),  # of 401 bytes, 160 come while the first layer computes, 241 in 31 cycles after its 30
        (0, 81),
    ],
)
def test_parameters_are_loaded_ahead_as_far_as_memory_goes(memory, cycles):
    assert finite_memory_cycles(_layers((30, 0), (10, 8 * 50 + 1)), 8, memory) == cycles


def test_layers_compute_in_turn_once_their_parameters_are_there():
    assert finite_memory_cycles(_layers((10, 8 * 12), (20, 0), (5, 8 * 2)), 8, 1 << 20) == 12 + 20 + 5
    assert finite_memory_cycles(_layers((0, 0), (7, 80), (7, 80)), 8, 80) == 10 + 10
    assert finite_memory_cycles([], 8, 80) == 0


def test_reachable_cycles_are_those_of_the_machines_memory(build):
    program = dataclasses.replace(build.program, layers=tuple(_layers((10, 16), (10, 8 * 50 + 1))))
    made, memory = dataclasses.replace(build, program=program), FakeTarget().memory_bytes(build.config)
    assert report_figures(made)["reachable_cycles"] == finite_memory_cycles(program.layers, 8, memory)


def test_comparisons_are_reported(build):
    report = report_figures(build, comparison=Comparison(False, 2, Reference(0.5, 3, 1.0)))
    assert (report["equal"], report["max_abs_difference"]) == (False, 2)
    assert report["reference"] == {"mismatch_rate": 0.5, "max_steps": 3, "top1_equal": 1.0}


def test_machine_figures_come_from_the_target(build):
    report, machine = report_figures(build), FakeTarget()
    assert report["config"] == {"lanes": 2, "fast": True, "flavour": "plain"}
    assert report["multipliers"] == machine.multipliers(build.config) == 2
    assert report["bus_bytes"] == 8
