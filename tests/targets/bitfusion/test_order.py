"""Weights come ahead of their use: the order of loads, and tiles of pixels in parts that free weights as they go."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
from tests.conformance.cases import CASES
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker
from tests.targets.bitfusion.test_model import check as check_model
from tests.targets.bitfusion.test_rtl import build_of
from tests.targets.bitfusion.test_rtl import check as check_rtl

from gatewright import ir
from gatewright.hdl.instruction import Opcode
from gatewright.passes import run_passes
from gatewright.program import Program
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.layers import layers_of
from gatewright.targets.array.tiling import Tile
from gatewright.targets.bitfusion.assembler import FusionStep, decode_steps
from gatewright.targets.bitfusion.bands import Band, bands, with_last_apart
from gatewright.targets.bitfusion.blocks import FIRST, LAST, words_of
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.cycles import count_cycles
from gatewright.targets.bitfusion.formats import fused_jobs
from gatewright.targets.bitfusion.isa import Op
from gatewright.targets.bitfusion.job import FusionJob
from gatewright.targets.bitfusion.order import loads_ahead

LOWER = import_module("gatewright.targets.bitfusion.lower")


def lowered(graph: ir.Graph, config: FusionConfig) -> Program:
    program: Program = LOWER.lower(run_passes(graph), config)
    return program


def in_program_order(
    graph: ir.Graph, config: FusionConfig, monkeypatch: pytest.MonkeyPatch
) -> tuple[Program, list[Step]]:
    """The program with loads where the emitter has them, and its steps before they are put in order."""
    kept: list[Step] = []

    def keep(steps: list[Step], _: FusionConfig) -> list[Step]:
        kept.extend(FusionStep(step.opcode, dict(step.fields)) for step in steps)
        return steps

    with monkeypatch.context() as patch:
        patch.setattr(LOWER, "loads_ahead", keep)
        return lowered(graph, config), kept


def chain(widths: tuple[int, int], *filters: int, depth: int = 64) -> ir.Graph:
    maker = NarrowMaker("chain", widths)
    x = maker.input(1, depth)
    for features in filters:
        x = maker.product(x, features)
    return maker.build(x)


def deep(widths: tuple[int, int], size: tuple[int, int] = (4, 2), *, pad: int = 0, pool: bool = False) -> ir.Graph:
    """Behind a small layer, one of which a tile of filters takes more than half of the weight buffer, and not all."""
    maker = NarrowMaker("deep", widths)
    channels = {8: 64, 4: 128}[widths[1]]
    x = maker.input(1, size[0] + 2 - 2 * pad, size[1] + 2 - 2 * pad, 4)
    x = maker.requantise(maker.conv(x, channels, (1, 1)), depth=4)
    y = maker.requantise(maker.conv(x, 24, (3, 3), pads=(pad,) * 4), depth=9 * channels)
    return maker.build(maker.op(ir.MaxPool((2, 2), (2, 2), (0, 0, 0, 0)), y) if pool else y)


@pytest.mark.parametrize("case", ["residual_chain", "deep_convolution", "classifier", "moves"])
def test_loads_and_others_keep_their_order(case, monkeypatch):
    config = MACHINES["4x8"]
    program, before = in_program_order(CASES[case](NarrowMaker(case, (8, 8))), config, monkeypatch)
    after = loads_ahead(before, config)
    for loads in (True, False):
        queues = [[step for step in steps if (step.opcode == Opcode.LOAD) == loads] for steps in (before, after)]
        assert queues[0] == queues[1]
    assert len(after) == len(before) == program.instruction_count - 1


def test_weights_of_layers_to_come_are_loaded_while_one_computes(monkeypatch):
    """Behind a slow layer, more weights than the compute queue has entries for are there when they are wanted."""
    config = FusionConfig(rows=4, columns=8, post_lanes=4, bus_bits=32, queue_depth=2)
    graph = chain((8, 8), 8, *[32] * 12, depth=2000)
    program, _ = in_program_order(graph, config, monkeypatch)
    late, early = (count_cycles(each, config) for each in (program, lowered(graph, config)))
    assert early.cycles < late.cycles
    assert early.counters["READ_BEATS"] == late.counters["READ_BEATS"]


def test_tokens_of_loads_ahead_do_not_overflow():
    """More loads fit the buffers than an instruction may leave tokens."""
    config = FusionConfig(rows=4, columns=16, post_lanes=4, bus_bits=256, parameter_bytes=65536)
    check_model(run_passes(chain((8, 8), *[16] * 90, depth=4000)), config)


def computes(program: Program) -> list[int]:
    """Flags of each `compute`."""
    steps = [step for step in decode_steps(program.regions[0].data) if "word0" in step.fields]
    return [word.immediate for step in steps for word in words_of(step.fields) if word.op == Op.COMPUTE]


def job_of(graph: ir.Graph, config: FusionConfig) -> FusionJob:
    graph = run_passes(graph)
    jobs, _ = fused_jobs(graph, layers_of(graph, config.array()), config)
    return jobs[-1][0]


def test_the_last_tile_of_pixels_stands_apart_where_that_takes_no_more_steps():
    config = MACHINES["4x8"]
    apart = {}
    for size in ((4, 2), (5, 4), (5, 2), (1, 4), (2, 8), (4, 3)):
        job = job_of(deep((8, 8), size), config)
        found = with_last_apart(job, bands(job, Tile(0, 0, size[0], 0, size[1]), config), config.rows)
        apart[size] = found and [(band.tile.row, band.tile.row_stop) for band in found]
    assert apart == {
        (4, 2): [(0, 2), (2, 4)],
        (5, 4): [(0, 4), (4, 5)],
        (5, 2): [(0, 3), (3, 5)],
        (1, 4): None,  # one tile of pixels
        (2, 8): None,  # a row has more pixels than the array has rows
        (4, 3): None,  # 9 pixels and 3 are a tile more than 12
    }
    job = job_of(deep((8, 8), (4, 4), pad=1), config)
    upper, lower = (Band(Tile(0, row, row + 2, 0, 4), 0, stop) for row, stop in ((0, 3), (2, 2)))
    assert with_last_apart(job, (upper, lower), config.rows) is None  # it has not all rows of the kernel
    whole = (Band(Tile(0, 0, 4, 0, 4), 0, 3),)
    assert with_last_apart(job, whole, config.rows) is not None
    shared = replace(job, slots=replace(job.slots, share=1))
    assert with_last_apart(shared, whole, config.rows) is None


@pytest.mark.parametrize("widths", [(8, 8), (4, 4), (8, 4)])
@pytest.mark.parametrize("how", [{"size": (5, 2)}, {"size": (5, 4), "pad": 1}, {"size": (6, 2), "pool": True}], ids=str)
def test_weights_are_freed_as_the_last_pixels_use_them(widths, how):
    graph, config = deep(widths, **how), MACHINES["4x8"]
    first, *_, last = flags = computes(lowered(graph, config))
    assert (first, last) == (FIRST | LAST, LAST)
    turns = flags.count(FIRST)
    assert turns == flags.count(LAST)
    assert turns in (3, 6)  # each tile of filters, for one tile of the output or two
    assert flags.count(0) >= 4 * turns
    check_model(run_passes(graph), config)
    build = build_of(graph, "4x8")
    check_rtl(build)
    check_rtl(build, "stalls", 3)
