"""The report for people says what the JSON says."""

import pytest
from fake_target import FakeTarget, install, small_graph

from gatewright.compile import compile as compile_model
from gatewright.program import Result
from gatewright.report import Comparison, Reference, parameter_table, render_text, report_figures, support_table


@pytest.fixture
def build(monkeypatch):
    install(monkeypatch)
    return compile_model(small_graph(batch=2), "fake", {"lanes": 2})


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_measured_run(build):
    counters = {"compute_busy": 30, "stall_load": 10, "read_beats": 5, "write_beats": 1}
    reference = Reference(0.015, 3, 0.5)
    report = report_figures(
        build, Result("model", {}, 51), Result("rtl", {}, 50, counters, (50,)), Comparison(True, 0, reference)
    )
    text = render_text(report, clock_mhz=100)
    for expected in (
        "small on fake",
        "lanes=2, fast=True, flavour=plain",
        "2 in the array, 1 outside",
        "50 in RTL, 51 in the model",
        "40 read, 8 written",
        "at 100 MHz",
        "0.5 µs, 4,000,000.0 images/s",
        "bit for bit",
        "1.50% of the values differ, at most 3 steps; 50.00% of the samples",
        "waiting for a load",
        "20.00%",
    ):
        assert expected in text
    assert "layer operators MACs limit cycles efficiency" in words(text)
    assert "24.00%" in text  # efficiency: 12 of 50
    assert "idle otherwise (start, end, between instructions)" in text


def test_a_modelled_build_shows_the_cycles_of_the_model(build):
    text = render_text(report_figures(build, Result("model", {}, 51, {}, (51,))))
    assert "MACs limit modelled efficiency" in words(text)
    assert "dense matmul 24 12 51 -" in words(text)


def test_layers_of_a_machine_whose_speed_depends_on_widths(build):
    report = report_figures(build)
    assert "widths" not in render_text(report)
    layers = [layer | {"widths": "4 x 2", "products_per_unit": "4/3", "kept": None} for layer in report["layers"]]
    text = words(render_text(report | {"layers": layers}))
    assert "layer operators widths a unit MACs" in text
    assert "dense matmul 4 x 2 4/3 24" in text
    layers[0]["kept"] = "i4 in 8 bits"
    text = words(render_text(report | {"layers": layers}))
    assert "layer operators widths a unit results MACs" in text
    assert "4 x 2 4/3 i4 in 8 bits" in text


def test_an_unmeasured_build(build):
    text = render_text(report_figures(build), clock_mhz=100)
    assert "- in RTL, - in the model" in text
    assert "Where the cycles went" not in text
    assert "images/s" not in text


def test_long_names_are_shortened_in_the_middle(build):
    report = report_figures(build)
    report["layers"][0]["name"] = "begin" + "x" * 300 + "end"
    text = render_text(report, width=160)
    assert "beginxxxxxxxxxxxxx…" in text
    assert "xxxend" in text


def test_engines_that_differ(build):
    text = render_text(report_figures(build, comparison=Comparison(False, 7)))
    assert "no: they differ by up to 7" in text


def test_tables_of_the_documentation():
    assert support_table(FakeTarget()).splitlines() == [
        "| operator | runs as | when |",
        "|---|---|---|",
        "| `matmul` | lanes | at most 8 outputs |",
        "| `requantise` | shifter | always |",
        "| `reshape` | no work | always |",
    ]
    assert "| `lanes` | 4 | Products a cycle. |" in parameter_table(FakeTarget())
