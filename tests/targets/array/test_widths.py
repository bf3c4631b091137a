"""Widths of operands, sums and results: what configurations allow, what a machine refuses, what a network asks for."""

from __future__ import annotations

import pytest
from tests.conformance.cases_wide import WIDE_CASES, WideMaker

from gatewright import ir
from gatewright.compile import compile
from gatewright.errors import ConfigError, GraphError
from gatewright.passes import run_passes, to_signed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.generated import GeneratedConfig
from gatewright.targets.generated.widths import choose_widths


def _widths(case: str, **wish: int) -> tuple[int, ...]:
    graph = to_signed(run_passes(WIDE_CASES[case](WideMaker(case, dyadic=False))))
    made = choose_widths(graph, GeneratedConfig(**wish), graph.nodes)
    return made.activation_width, made.weight_width, made.result_width, made.accumulator_width, made.multiplier_width


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation_width": 17}, "activation_width must be a whole number from 2 to 16, not 17"),
        ({"weight_width": 1}, "weight_width must be a whole number from 2 to 16, not 1"),
        ({"accumulator_width": 65}, "accumulator_width must be a whole number from 16 to 64, not 65"),
        ({"result_width": 24}, "result_width must be 8, 16 or 32, not 24"),
        ({"rows": 9, "feed_words": 8}, "feed_words must be a whole number from 9 to 64, not 8"),
    ],
)
def test_configurations_that_cannot_be(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ArrayConfig(**parameters)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("activations_of_16_bits", r"operand 'x' must be signed with 8 bits at most \(activation_width\), not i16"),
        ("weights_of_16_bits", r"weights must be within -128..127, not -32768..\d+"),
        ("narrow_and_wide_in_turn", r"the result must be signed with 8 bits at most \(result_width\), not i16"),
        ("results_of_32_bits", r"operand 'x' must be signed with 8 bits at most"),
    ],
)
def test_a_narrow_machine_says_what_is_too_wide(case: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        compile(WIDE_CASES[case](WideMaker(case, dyadic=False)), "systolic")


def test_sums_without_requantisation_need_wide_results() -> None:
    maker = WideMaker("sums", dyadic=False)
    x = maker.input(ir.I8, 1, 9)
    graph = maker.build(maker.op(ir.MatMul(), x, maker.numbers(ir.I8, 3, 9)))
    with pytest.raises(GraphError, match=r"results of 8 bits at most \(result_width\), not i32"):
        compile(graph, "systolic")
    assert compile(graph, "systolic", {"result_width": 32}).program.outputs[0].size == 12


def test_tables_of_wide_values_are_refused() -> None:
    maker = WideMaker("table", dyadic=False)
    x = maker.conv(maker.input(ir.I16, 1, 4, 4, 3), 5, ir.I8, ir.IntType(9))
    graph = maker.build(maker.op(ir.Lut(ir.I8), x, maker.numbers(ir.I8, 512)))
    values = {"activation_width": 16, "result_width": 16, "accumulator_width": 40}
    with pytest.raises(GraphError, match="the operand must have 8 bits at most, as the table has 256 entries, not i9"):
        compile(graph, "systolic", values)


def test_a_network_gets_the_widths_it_needs() -> None:
    assert _widths("activations_of_16_bits")[:3] == (16, 8, 16)
    assert _widths("weights_of_16_bits")[:3] == (8, 16, 8)
    assert _widths("odd_widths")[:3] == (12, 5, 16)
    assert _widths("results_of_32_bits")[:3] == (16, 16, 32)
    assert _widths("sums_beyond_32_bits")[3] > 32
    assert _widths("odd_widths", activation_width=14, accumulator_width=48)[:4] == (14, 5, 16, 48)


def test_sums_are_as_wide_as_range_analysis_asks() -> None:
    """One bit less and the machine refuses the network."""
    case = WIDE_CASES["weights_of_16_bits"](WideMaker("sums", dyadic=False))
    graph = run_passes(case)
    width = choose_widths(graph, GeneratedConfig(), graph.nodes).accumulator_width
    values = {"weight_width": 16, "accumulator_width": width}
    compile(case, "systolic", values)
    with pytest.raises(GraphError, match=f"beyond the {width - 1} bits of the accumulator"):
        compile(case, "systolic", values | {"accumulator_width": width - 1})
