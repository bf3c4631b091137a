"""Products of one image: filters share chunks of weights, a row of the array each."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from tests.conformance.cases import inputs_of
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker
from tests.targets.bitfusion.test_model import check as check_model
from tests.targets.bitfusion.test_rtl import build_of, simulate
from tests.targets.bitfusion.test_rtl import check as check_rtl

from gatewright import ir
from gatewright.errors import ProgramError
from gatewright.hdl.instruction import Memory
from gatewright.passes import run_passes
from gatewright.targets.bitfusion.assembler import decode_steps
from gatewright.targets.bitfusion.blocks import FIRST, LAST, words_of
from gatewright.targets.bitfusion.cycles import count_cycles
from gatewright.targets.bitfusion.isa import SIGNED, Op, Register
from gatewright.targets.bitfusion.job import FilterTiles
from gatewright.targets.bitfusion.lower import lower
from gatewright.targets.bitfusion.model import Machine
from gatewright.targets.bitfusion.packing import (
    chunk_bytes,
    chunk_steps,
    chunk_weights,
    lanes_of,
    split_parts,
    split_weights,
    step_weights,
    unsplit,
)

WIDTHS = (2, 4, 6, 8)
PAIRS = list(product(WIDTHS, WIDTHS))
SIZES = [(1, 1), (1, 37), (10, 84), (17, 5), (63, 40), (64, 400), (65, 33), (120, 16)]
SPLIT_PAIRS = [(inputs, weights) for inputs in (8, 4) for weights in WIDTHS]


def dense(widths: tuple[int, int], *filters: int, depth: int = 40, count: int = 1, **how: bool) -> ir.Graph:
    """One product after the other, on vectors of `depth` elements."""
    maker = NarrowMaker("dense", widths, **how)
    x = maker.input(count, depth)
    for features in filters:
        x = maker.product(x, features)
    return maker.build(x)


def with_all_tails(widths: tuple[int, int]) -> ir.Graph:
    """A residual sum, and where results have 8 bits a table, behind products."""
    maker = NarrowMaker("tails", widths)
    x = maker.input(1, 24)
    total = maker.add(maker.product(x, 36), maker.product(x, 36))
    if widths[0] == 8:
        table = maker.builder.constant(maker.random.integers(-128, 128, 256), ir.I8)
        total = maker.builder.add(ir.Lut(ir.I8), maker.product(total, 20), table)
    return maker.build(total)


def wide(widths: tuple[int, int], filters: int, depth: int) -> ir.Graph:
    """Products of inputs or weights of 16 bits, as sums and requantised."""
    maker = NarrowMaker("wide", widths)
    x = maker.input(1, depth)
    low = -(1 << (widths[1] - 1))
    weights = maker.builder.constant(maker.random.integers(low, -low, (filters, depth)), ir.IntType(widths[1]))
    return maker.build(maker.builder.add(ir.MatMul(), x, weights))


def splits(graph: ir.Graph, machine: str) -> list[int]:
    """The values that a program sets `split` to."""
    program = lower(run_passes(graph), MACHINES[machine])
    words = [
        word
        for step in decode_steps(program.regions[0].data)
        if "word0" in step.fields
        for word in words_of(step.fields)
    ]
    return [word.immediate for word in words if word.op == Op.SETUP and word.spec == Register.SPLIT]


@pytest.mark.parametrize("widths", SPLIT_PAIRS)
def test_split_chunks_give_each_row_its_filter(widths):
    """A part of a chunk is what a step of the filter's own chunks would be; `unsplit` has the weights back."""
    parts, lanes = split_parts(widths[0]), lanes_of(widths[1])
    fields = 4 * lanes // chunk_steps(widths[0])
    rng = np.random.default_rng(sum(widths))
    low = -(1 << (widths[1] - 1))
    for count in range(1, parts + 1):
        weights = rng.integers(low, -low, (3, count, 8 * lanes))
        chunks = split_weights(weights, *widths)
        assert chunks.shape == (3, 8 * lanes // fields, chunk_bytes(widths[1]))
        back = unsplit(chunks, *widths, signed=True)
        np.testing.assert_array_equal(back[:, :count], weights)
        assert not back[:, count:].any()
        if widths[1] == 6:
            continue
        size = 4 // parts
        for row, step in product(range(count), range(chunks.shape[1])):
            own = chunk_weights(weights[:, row], *widths)[:, step // chunk_steps(widths[0])]
            expected = step_weights(own, widths, step % chunk_steps(widths[0]), signed=True)[:, :size]
            np.testing.assert_array_equal(chunks[:, step, row * size : (row + 1) * size], expected)


def test_filters_are_dealt_out_evenly():
    assert FilterTiles.even(84, 4, 16, 1) == FilterTiles(84, 2, 4, 11)
    assert FilterTiles.even(84, 1, 16, 1) == FilterTiles(84, 6, 1, 14)
    assert FilterTiles.even(65, 2, 16, 4) == FilterTiles(65, 3, 2, 12)
    for filters, rows, columns, group in product(range(1, 200), (1, 2, 3, 4), (5, 8, 16), (1, 2, 4)):
        tiles = FilterTiles.even(filters, rows, columns // group * group, group)
        before = (tiles.count - 1) * rows + tiles.last_rows - 1
        assert before * tiles.columns + tiles.last_columns == filters
        assert 1 <= tiles.last_rows <= rows
        assert 1 <= tiles.last_columns <= tiles.columns <= columns
        assert tiles.columns % group == 0


@pytest.mark.parametrize("widths", PAIRS)
@pytest.mark.parametrize("size", SIZES)
def test_model_equals_evaluation(size, widths):
    for unsigned in (False, True):
        check_model(run_passes(dense(widths, size[0], depth=size[1], unsigned=unsigned)), MACHINES["4x8"])


@pytest.mark.parametrize("widths", [(16, 8), (16, 6), (16, 2), (16, 9), (8, 16), (4, 12)])
@pytest.mark.parametrize("filters", [1, 20, 65])
def test_sixteen_bits(filters, widths):
    graph = wide(widths, filters, 90)
    assert splits(graph, "4x8") == ([1] if filters > 1 else [])
    check_model(run_passes(graph), MACHINES["4x8"])
    check_rtl(build_of(graph, "4x8"), "stalls", filters)
    build = build_of(graph, "4x8")
    assert (
        simulate(build, inputs_of(build.graph, 1), "default", 1).cycles
        == count_cycles(build.program, build.config).cycles
    )


@pytest.mark.parametrize("machine", ["3x5_dyadic", "4x4_fixed"])
@pytest.mark.parametrize("filters", [1, 10, 63])
def test_other_machines(filters, machine):
    config = MACHINES[machine]
    graph = dense((8, 8), filters, 9, depth=70, dyadic=not config.multiplier_width)
    check_model(run_passes(graph), config)
    check_rtl(build_of(graph, machine))


@pytest.mark.parametrize("place", range(len(PAIRS)))
def test_rtl_equals_the_model_to_the_cycle(place):
    """Two sizes at each pair, such that each size comes up with each of them; chains, so that states change."""
    for step in (0, 3):
        filters, depth = SIZES[(place + step) % len(SIZES)]
        build = build_of(dense(PAIRS[place], filters, 13, 36, depth=depth), "4x8")
        result = simulate(build, inputs_of(build.graph, 1), "default", 1)
        assert result.cycles == count_cycles(build.program, build.config).cycles
        check_rtl(build, "stalls", place)


@pytest.mark.parametrize("widths", [(8, 8), (4, 6), (2, 2), (6, 4)])
def test_residual_sums_and_tables_and_several_images(widths):
    for graph in (with_all_tails(widths), dense(widths, 30, 12, count=3)):
        check_model(run_passes(graph), MACHINES["4x8"])
        check_rtl(build_of(graph, "4x8"), "stalls")


def test_chunks_are_split_where_that_is_faster():
    assert splits(dense((8, 8), 64, depth=400), "4x8") == [1]
    assert splits(dense((4, 4), 64, depth=400), "4x8") == [1]
    assert splits(dense((2, 2), 64, depth=400), "4x8") == []
    assert splits(dense((6, 6), 64, depth=400), "4x8") == []
    assert splits(dense((8, 8), 8, depth=400), "4x8") == []  # one tile of filters in either case
    assert splits(dense((8, 8), 64, depth=400, count=2), "4x8") == []  # a row for each of two pixels
    assert splits(dense((8, 8), 64, depth=400, dyadic=False), "4x4_fixed") == []


def test_no_more_rows_than_a_chunk_has_parts():
    machine = Machine(MACHINES["4x8"], [])
    machine.state |= dict.fromkeys(("slot", "tile_columns", *(f"count{loop}" for loop in range(8))), 4)
    machine.state |= {"split": 1, "input": 4 | SIGNED, "weight": 8 | SIGNED}
    with pytest.raises(ProgramError, match="split among 2 rows at most, not 256"):
        machine._compute(FIRST | LAST)
    assert machine.scratch[Memory.WEIGHT].any()
