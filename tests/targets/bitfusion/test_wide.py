"""Operands, residual operands and results of 16 bits, and sums beyond 32: the conformance cases, in model and RTL."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.conformance.cases import CASES
from tests.conformance.cases_wide import NARROW_SUMS, WIDE_CASES, WideMaker
from tests.targets.bitfusion.machines import WIDE
from tests.targets.bitfusion.narrow import NarrowMaker
from tests.targets.bitfusion.test_rtl_operands import check

import gatewright
from gatewright import ir
from gatewright.build import Build
from gatewright.compile import compile
from gatewright.errors import GraphError
from gatewright.inputs import random_inputs
from gatewright.passes import run_passes
from gatewright.targets.bitfusion import BitfusionTarget, FusionConfig

RUNS = [(case, machine) for machine in WIDE for case in (WIDE_CASES if machine == "4x4_wide" else NARROW_SUMS)]
TABLELESS = [case for case in CASES if not case.startswith("table")]
PAIRS = [(16, 2), (16, 4), (16, 6), (16, 8), (16, 16), (8, 16), (6, 16), (4, 16), (2, 16)]


@cache
def build_of(graph: ir.Graph, machine: str) -> Build:
    config = WIDE[machine]
    return compile(graph, "bitfusion", {name: getattr(config, name) for name in config.names()})


@cache
def case_of(case: str, machine: str) -> ir.Graph:
    return WIDE_CASES[case](WideMaker(case, dyadic=not WIDE[machine].multiplier_width))


def check_model(build: Build) -> None:
    """The program computes what the graph means, on results that are not all alike."""
    inputs = random_inputs(build.graph.input_ports, 1)
    expected, found = (gatewright.run(build, inputs, engine).outputs for engine in ("evaluate", "model"))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
        assert np.unique(values).size > 1


@pytest.mark.parametrize(("case", "machine"), RUNS)
def test_rtl_and_model_of_wide_values(case: str, machine: str) -> None:
    build = build_of(case_of(case, machine), machine)
    check(build)
    check(build, "stalls")


@pytest.mark.parametrize("widths", PAIRS)
@pytest.mark.parametrize("case", TABLELESS)
def test_model_equals_evaluation_at_pairs_with_16_bits(case: str, widths: tuple[int, int]) -> None:
    check_model(build_of(CASES[case](NarrowMaker(case, widths)), "4x4_wide"))


@pytest.mark.parametrize("place", range(len(TABLELESS)))
def test_rtl_at_pairs_with_16_bits(place: int) -> None:
    """A pair for each case; all pairs come up."""
    check(build_of(CASES[TABLELESS[place]](NarrowMaker(TABLELESS[place], PAIRS[place % len(PAIRS)])), "4x4_wide"))


@pytest.mark.slow
@pytest.mark.parametrize("widths", PAIRS)
@pytest.mark.parametrize("case", TABLELESS)
def test_rtl_at_every_pair_with_16_bits(case: str, widths: tuple[int, int]) -> None:
    check(build_of(CASES[case](NarrowMaker(case, widths)), "4x4_wide"))


@pytest.mark.parametrize("value", [-32768, -5000, -1, 0, 7, 255, 256, 32767])
def test_padding_of_any_16_bit_value(value: int) -> None:
    """Windows that begin left of the image, right of it, above and below."""
    maker = NarrowMaker("padded", (16, 8))
    x = maker.input(1, 4, 5, 3)
    attributes = {"pads": (2, 3, 1, 4), "x_zero": value}
    sums = maker.requantise(maker.conv(x, 5, (3, 4), **attributes), depth=36)
    build = build_of(maker.build(sums, maker.op(ir.Pad(((0, 0), (1, 2), (3, 1), (0, 0)), value), x)), "4x4_wide")
    check(build)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"result_width": 8}, r"operands must have 8 bits at most \(result_width\), not 16"),
        ({"composable": False}, r"must be signed with 8 bits at most \(composable = false\), not i16"),
        ({"accumulator_width": 32}, r"beyond the 32 bits of the accumulator"),
    ],
)
def test_machines_that_are_too_narrow(change: dict[str, int], message: str) -> None:
    maker = NarrowMaker("wide", (16, 16))
    x = maker.input(1, 4, 4, 4)
    graph = maker.build(maker.op(ir.MaxPool((2, 2), (2, 2)), maker.layer(x, 5)), maker.op(ir.Concat(3), x, x))
    with pytest.raises(GraphError, match=message):
        BitfusionTarget().check(run_passes(graph), replace(WIDE["4x4_wide"], **change))


@pytest.mark.parametrize(
    ("widths", "case", "chosen"),
    [
        ((8, 8), "conv_basic", (8, 32)),
        ((16, 4), "conv_basic", (16, 32)),
        ((8, 16), "deep_sums", (8, 48)),
        ((16, 16), "conv_basic", (16, 48)),
    ],
)
def test_a_network_gets_the_widths_that_it_needs(widths: tuple[int, int], case: str, chosen: tuple[int, int]) -> None:
    """And no others than those that were given."""
    graph = CASES[case](NarrowMaker(case, widths))
    names = ("result_width", "accumulator_width")
    config = compile(graph, "bitfusion").config
    assert tuple(getattr(config, name) for name in names) == chosen
    for name, value, least in zip(names, chosen, (8, 32), strict=True):
        if value != least:
            with pytest.raises(GraphError, match=name):
                compile(graph, "bitfusion", {name: least})


def test_sums_of_32_bits_are_refused_where_the_accumulator_has_fewer_than_they_take() -> None:
    config = replace(FusionConfig(), accumulator_width=24)
    graph = run_passes(CASES["conv_basic"](NarrowMaker("sums", (8, 16))))
    with pytest.raises(GraphError, match="beyond the 24 bits of the accumulator"):
        BitfusionTarget().check(graph, config)
