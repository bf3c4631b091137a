"""Rows of the kernel that lie outside the image are left out: fewer cycles, the same results."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conformance.cases import Maker
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker
from tests.targets.bitfusion.test_model import check
from tests.targets.bitfusion.test_rtl import build_of
from tests.targets.bitfusion.test_rtl import check as check_rtl

from gatewright import ir
from gatewright.passes import run_passes
from gatewright.targets.array import bands as module
from gatewright.targets.array.layers import layers_of
from gatewright.targets.array.tiling import Tile, whole
from gatewright.targets.bitfusion.bands import Band, band_bias, bands
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.cycles import count_cycles
from gatewright.targets.bitfusion.formats import fused_jobs
from gatewright.targets.bitfusion.job import FusionJob
from gatewright.targets.bitfusion.lower import lower

SQUARE = FusionConfig(rows=16, columns=16, post_lanes=16, bus_bits=256)


def convolution(height: int, width: int, kernel: tuple[int, int] = (3, 3), **attributes) -> ir.Graph:
    maker = NarrowMaker("convolution", (4, 4))
    return run_passes(maker.build(maker.layer(maker.input(1, height, width, 64), 32, kernel, **attributes)))


def job_of(graph: ir.Graph, config: FusionConfig = SQUARE) -> FusionJob:
    return fused_jobs(graph, layers_of(graph, config.array()), config)[0][0][0]


def ranges(graph: ir.Graph, config: FusionConfig = SQUARE) -> list[tuple[int, int, int, int]]:
    """(first row, row behind the last one, first row of the kernel, row behind the last one) of each band."""
    job = job_of(graph, config)
    return [(b.tile.row, b.tile.row_stop, b.first, b.stop) for b in bands(job, whole(job.shape)[0], config)]


@pytest.mark.parametrize(
    ("height", "width", "attributes", "expected"),
    [
        (16, 16, {}, [(0, 1, 1, 3), (1, 15, 0, 3), (15, 16, 0, 2)]),
        (12, 32, {}, [(0, 1, 1, 3), (1, 11, 0, 3), (11, 12, 0, 2)]),
        (1, 16, {}, [(0, 1, 1, 2)]),  # a single row needs the middle of the kernel
        (2, 16, {}, [(0, 1, 1, 3), (1, 2, 0, 2)]),
        (16, 8, {}, [(0, 16, 0, 3)]),  # a tile of pixels has two rows, one of which needs all
        (32, 32, {"strides": (2, 2), "pads": (0, 0, 1, 1)}, [(0, 15, 0, 3), (15, 16, 0, 2)]),
        (16, 16, {"pads": (0, 0, 2, 2)}, [(0, 14, 0, 3), (14, 15, 0, 2), (15, 16, 0, 1)]),
        (16, 16, {"pads": (0, 1, 0, 1)}, [(0, 14, 0, 3)]),
        (16, 16, {"pads": (2, 2, 2, 2), "dilations": (2, 2)}, [(0, 2, 1, 3), (2, 14, 0, 3), (14, 16, 0, 2)]),
    ],
)
def test_where_a_tile_is_cut(height, width, attributes, expected):
    assert ranges(convolution(height, width, **attributes)) == expected


def test_bands_of_several_rows_in_a_tile_of_pixels():
    """A kernel of 7 rows over rows of 8 pixels: each two rows of the image leave out what neither of them needs."""
    assert ranges(convolution(12, 8, (7, 7))) == [(0, 2, 2, 7), (2, 10, 0, 7), (10, 12, 0, 5)]


def test_a_band_that_is_not_worth_it_is_not_cut():
    """Sums of few steps do not follow each other faster than their results leave the array."""
    maker = NarrowMaker("short", (8, 8))
    graph = run_passes(maker.build(maker.layer(maker.input(1, 16, 16, 1), 16)))
    assert ranges(graph) == [(0, 16, 0, 3)]


def test_bands_leave_out_nothing_that_any_pixel_reads():
    random = np.random.default_rng(3)
    for _ in range(200):
        kernel, stride, dilation = (int(random.integers(1, most)) for most in (8, 4, 4))
        pads = tuple(int(pad) for pad in random.integers(0, 4, 4))
        height = int(random.integers(max(1, (kernel - 1) * dilation + 1 - pads[0] - pads[2]), 34))
        graph = convolution(height, 20, (kernel, 1), strides=(stride, 1), dilations=(dilation, 1), pads=pads)
        job = job_of(graph)
        rows = job.shape.rows.count
        start = int(random.integers(0, rows))
        tile = Tile(0, start, int(random.integers(start, rows)) + 1, 0, job.shape.columns[-1].count)
        found = bands(job, tile, SQUARE)
        assert [band.tile.row for band in found] + [tile.row_stop] == [tile.row] + [b.tile.row_stop for b in found]
        for band in found:
            needed = [
                tap
                for row in range(band.tile.row, band.tile.row_stop)
                for tap in range(kernel)
                if 0 <= row * stride - pads[0] + tap * dilation < height
            ]
            assert band.first <= min(needed, default=band.first)
            assert band.stop > max(needed, default=band.first)
            assert band.taps >= 1


def test_the_bias_of_a_band_has_what_padding_contributes():
    maker = Maker("bias", dyadic=False)
    graph = run_passes(maker.build(maker.layer(maker.input(1, 16, 16, 5), 19, x_zero=-128)))
    shape = job_of(graph).shape
    weights = np.asarray(next(c.array for c in graph.constants if c.array.ndim == 4), np.int64)
    assert weights.shape == (19, 3, 3, 5)
    bias = band_bias(shape, Band(whole(shape)[0], 1, 3), 16)
    np.testing.assert_array_equal(bias, shape.bias - 128 * weights[:, 0].sum(axis=(1, 2)))


@pytest.mark.parametrize("zero", [0, -7])
def test_bands_save_cycles(zero, monkeypatch):
    maker = NarrowMaker("chain", (4, 4))
    x = maker.input(1, 16, 16, 64)
    for _ in range(3):
        x = maker.layer(x, 64, x_zero=zero)
    graph = run_passes(maker.build(x))
    _, fewer, _ = count_cycles(lower(graph, SQUARE), SQUARE).layers
    monkeypatch.setattr(module, "_cuts", lambda shape, tile, *_: [tile.row, tile.row_stop])
    _, cycles, _ = count_cycles(lower(graph, SQUARE), SQUARE).layers
    saved = 4 * 2 * job_of(graph).steps // 3  # four filter tiles; a third of the steps of the first and the last pixels
    assert saved - 4 * 2 * 3 <= cycles - fewer <= saved


def random_graph(seed: int, widths: tuple[int, int]) -> ir.Graph:
    """A convolution of random shape, plain, with a residual operand, or pooled."""
    maker = NarrowMaker("random", widths)
    random = np.random.default_rng(seed)
    kernel = tuple(int(size) for size in random.integers(1, 8, 2))
    strides = tuple(int(step) for step in random.integers(1, 4, 2))
    dilations = tuple(int(step) for step in random.integers(1, 3, 2))
    pads = tuple(int(pad) for pad in random.integers(0, kernel[0] * dilations[0] + 1, 4))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    shape = [int(random.integers(max(1, reach[axis] - pads[axis] - pads[axis + 2]), 34)) for axis in (0, 1)]
    groups = int(random.choice([1, 1, 4]))
    x = maker.input(int(random.integers(1, 3)), *shape, 4 * int(random.integers(1, 4)))
    attributes = {"strides": strides, "dilations": dilations, "pads": pads, "groups": groups}
    zero = int(random.choice([0, 3, -8]))
    result = maker.layer(x, 4 * int(random.integers(1, 6)), kernel, x_zero=zero, **attributes)
    kind = random.integers(3)
    if kind == 0 and min(maker.shape(result)[1:3]) >= 2:
        result = maker.op(ir.MaxPool((2, 2), (2, 2)), result)
    elif kind == 1:
        result = maker.add(maker.layer(result, maker.shape(result)[3]), result)
    return maker.build(result)


@pytest.mark.parametrize("seed", range(60))
def test_random_convolutions(seed):
    random = np.random.default_rng(seed)
    widths = tuple(int(width) for width in random.choice([2, 4, 6, 8], 2))
    check(run_passes(random_graph(seed, widths)), MACHINES["4x8"])


@pytest.mark.parametrize("seed", range(8))
def test_random_convolutions_in_hardware(seed):
    check_rtl(build_of(random_graph(100 + seed, (4, 4) if seed % 2 else (8, 4)), "4x8"))
    check_rtl(build_of(random_graph(200 + seed, (8, 8)), "4x8"), "stalls", seed)
