"""From measurements to Markdown, on measurements of the model alone."""

from dataclasses import replace
from fractions import Fraction

import gatewright
from bitfusion import BitfusionFindings, Layer, Network, Ratio, Run
from bounds import Check
from gatewright.engines import RunOptions, run_once
from gatewright.host.driver import COUNTERS
from gatewright.inputs import random_inputs
from gatewright.report import Comparison, report_figures
from generated import Beside, Figure, GeneratedFindings
from measure import Measured
from networks import small
from nngen import CASES
from once import BuildRun
from page import Findings, page
from speed import Peer, Speed
from suite import EIGHT, NETWORKS, Case
from tables import table
from timing import Timing


def measured(name: str) -> Measured:
    build = gatewright.compile(small(), "systolic")
    model = run_once(build, random_inputs(build.graph.input_ports, 0), "model", RunOptions())
    result = replace(model, counters=dict.fromkeys(map(str.lower, COUNTERS), 0))
    report = report_figures(build, result, result, Comparison(True, 0))
    return Measured(Case(name, lambda config: (build, None), machine=EIGHT), report)


def findings(checks: list[Check]) -> Findings:
    missing = Measured(NETWORKS[1], None, missing="resnet8_int8.onnx is not here")
    peer = Peer("a peer", Timing(0.5, 0.5))
    speeds = [Speed("something", Timing(1.0, 0.9), 5.0, "< 5 s", peer), Speed("something else", None, 5.0, "< 5 s")]
    builds = [BuildRun("a network", {"Yosys": 1}, 3.0, 4.0), BuildRun("again", {}, 0.1, 0.2)]
    tables = (generated(), bitfusion())
    return Findings([measured("tiny"), missing], [measured("tiny")], [], speeds, builds, checks, 2, 0.5, *tables)


def generated() -> GeneratedFindings:
    case = CASES[0]
    cases = [Beside(case, "nngen", 1000, 2000, 900, True, "9 x 4"), Beside(case, "ideal", 1000, None, None, note="a|b")]
    return GeneratedFindings(cases, [Figure("area", "≤ 1", "2", "3", False), Figure("time", "-", "-", "1 s", True)])


def bitfusion() -> BitfusionFindings:
    run = Run(1000, 990, True, 40)
    kept = Check("one", "fast", True)
    layers = [
        Layer((3, 4, 5), (8, 8), run, 1.0, Fraction(1), None),
        Layer((3, 4, 5), (4, 4), run, 3.9, Fraction(4), kept),
    ]
    return BitfusionFindings(layers, [Network("LeNet-5", 8, run, 2000, kept)], Ratio(300, 100))


def test_tables_have_as_many_cells_in_every_row():
    text = page(findings([]))
    blocks = [block for block in text.split("\n\n") if block.lstrip().startswith("|")]
    assert len(blocks) == 10
    for block in blocks:
        assert len({row.replace("\\|", "").count("|") for row in block.strip().splitlines()}) == 1, block


def test_what_is_missing_says_so_and_claims_nothing():
    row = next(line for line in page(findings([])).splitlines() if line.startswith("| ResNet-8"))
    assert row.endswith("resnet8_int8.onnx is not here |")
    assert "yes" not in row


def test_missed_bounds_head_the_page():
    kept, missed = Check("VGG8", "≤ 1 cycles", True), Check("ResNet-8", "≥ 0.90", False)
    assert "All 1 bounds are kept." in page(findings([kept]))
    assert "**1 of 2 bounds are missed:**\n\n- ResNet-8: ≥ 0.90\n" in page(findings([kept, missed]))


def test_numbers_are_aligned_to_the_right():
    assert table(["name", "count>"], [["a", "1"]]) == "| name | count |\n| --- | ---: |\n| a | 1 |\n"


def test_a_case_that_is_refused_or_wrong_misses_its_bound():
    reached, refused = generated().cases
    assert reached.check.met
    assert not refused.check.met
    assert not replace(reached, equal=False).check.met
    assert [check.met for check in generated().checks] == [True, False, False, True]
