"""Pixels that share the words they read: few channels, any kernel, stride, padding and width of the image."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from tests.targets.bitfusion import test_model, test_rtl
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker

from gatewright import ir
from gatewright.compile import compile
from gatewright.passes import run_passes
from gatewright.targets.array.job import Level
from gatewright.targets.array.layers import layers_of
from gatewright.targets.bitfusion.assembler import decode_steps
from gatewright.targets.bitfusion.blocks import apply, initial_state, words_of
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.formats import fused_jobs
from gatewright.targets.bitfusion.lower import lower
from gatewright.targets.bitfusion.slots import arranged

WIDE = FusionConfig(rows=16, columns=16, post_lanes=16, bus_bits=256)
RTL = {
    "8x4": replace(MACHINES["4x8"], rows=8, columns=4),
    "7x3": replace(MACHINES["4x4_fixed"], rows=7, columns=3, post_lanes=2),
}
CONFIGS = MACHINES | RTL | {"16x16": WIDE}


def first_layer(
    widths: tuple[int, int],
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    *,
    image: tuple[int, int] = (9, 13),
    pool: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] | None = None,
    dyadic: bool = False,
) -> ir.Graph:
    """A convolution of a small image, with a pool behind it, and a layer that reads its result."""
    maker = NarrowMaker("first", widths, dyadic=dyadic)
    pads = pads or (kernel[0] // 2, kernel[1] // 2, kernel[0] - 1 - kernel[0] // 2, kernel[1] - 1 - kernel[1] // 2)
    x = maker.input(1, *image, channels)
    sums = maker.conv(x, 10, kernel, strides=stride, pads=pads, x_zero=3)
    y = maker.requantise(sums, depth=kernel[0] * kernel[1] * channels)
    if pool != (1, 1):
        y = maker.op(ir.MaxPool(pool, pool), y)
    return run_passes(maker.build(y, maker.layer(y, 4, (1, 1))))


def shares(graph: ir.Graph, config: FusionConfig) -> set[int]:
    """The distances that a program sets."""
    state, found = initial_state(), set()
    for step in decode_steps(lower(graph, config).regions[0].data):
        for word in words_of(step.fields) if "word0" in step.fields else ():
            apply(state, word)
            found.add(state["share"])
    return found


@pytest.mark.parametrize("kernel", range(1, 12))
@pytest.mark.parametrize("channels", range(1, 5))
@pytest.mark.parametrize("machine", CONFIGS)
def test_model_equals_evaluation(machine, channels, kernel):
    config = CONFIGS[machine]
    kinds = list(product((1, 2), ((8, 8), (8, 4), (8, 2), (4, 4), (6, 2), (2, 2))))
    for number, (stride, widths) in list(enumerate(kinds))[(kernel + channels) % 3 :: 3]:
        size = (kernel + (number * channels) % 5, kernel + (number * 7 + channels) % 19)
        pads = None if number % 3 else (0, 0, 0, 0)
        dyadic = not config.multiplier_width
        graph = first_layer(widths, channels, (kernel, kernel), (stride, stride), image=size, pads=pads, dyadic=dyadic)
        test_model.check(graph, config)


def check_rtl(graph: ir.Graph, config: FusionConfig) -> None:
    build = compile(graph, "bitfusion", {name: getattr(config, name) for name in config.names()})
    test_rtl.check(build)
    test_rtl.check(build, "stalls", 3)


@pytest.mark.parametrize("machine", RTL)
@pytest.mark.parametrize(
    ("widths", "channels", "kernel", "stride"),
    [
        ((8, 8), 1, (5, 5), (1, 1)),
        ((8, 4), 3, (7, 3), (1, 1)),
        ((8, 2), 1, (5, 5), (2, 2)),
        ((4, 4), 2, (9, 2), (1, 2)),
        ((6, 2), 4, (6, 3), (2, 1)),
        ((2, 2), 4, (5, 7), (1, 2)),
        ((8, 2), 3, (9, 2), (1, 2)),
        ((4, 2), 4, (11, 11), (1, 1)),
    ],
)
def test_rtl_equals_the_model_in_values_and_cycles(machine, widths, channels, kernel, stride):
    graph = first_layer(widths, channels, kernel, stride)
    assert machine == "7x3" or shares(graph, RTL[machine]) != {0}
    check_rtl(graph, RTL[machine])


@pytest.mark.parametrize("machine", MACHINES)
def test_rtl_of_the_other_machines(machine):
    build = test_rtl.build_of(first_layer((8, 4), 1, (5, 3), dyadic=not MACHINES[machine].multiplier_width), machine)
    test_rtl.check(build)
    test_rtl.check(build, "stalls", 3)


@pytest.mark.parametrize(
    ("widths", "channels", "stride", "distance"),
    [((8, 8), 1, 1, 1), ((8, 4), 3, 1, 3), ((8, 4), 3, 2, 6), ((4, 4), 2, 2, 2), ((6, 2), 4, 1, 3), ((8, 2), 5, 1, 0)],
)
def test_few_channels_share_their_words(widths, channels, stride, distance):
    graph = first_layer(widths, channels, (3, 3), (stride, stride), image=(32, 32))
    assert shares(graph, WIDE) == {0, distance}


def test_long_words_are_not_shared():
    """Where a word lasts as many steps as there are rows, tiles need not end with a row of the image."""
    assert shares(first_layer((8, 8), 3, (7, 7), image=(9, 17)), WIDE) == {0}


def test_adjacent_pixels_are_one_level():
    row, wide, tall = Level(5, 0, 6), Level(2, 0, 3), Level(2, 1)
    one = Level(1)
    assert arranged((wide, row)) == (one, Level(10, 0, 3), ())
    assert arranged((wide, tall, row)) == (one, wide, (tall, row))
    assert arranged((wide, tall, row), 2) == (tall, Level(10, 0, 3), ())
    assert arranged((one, tall, row), 2) == (tall, row, ())
    assert arranged((tall,), 2) == (tall, one, ())
    assert arranged((Level(3, 0, 3), row)) == (one, Level(3, 0, 3), (row,))
    assert arranged((one, Level(1, 1))) == (one, one, ())


@pytest.mark.parametrize("pool", [(1, 2), (2, 1), (2, 2), (3, 3), (2, 4)])
@pytest.mark.parametrize("machine", CONFIGS)
def test_model_behind_pools(machine, pool):
    config = CONFIGS[machine]
    for number, widths in enumerate(((8, 8), (8, 4), (8, 2), (4, 4), (6, 2), (2, 2))):
        for channels, kernel in ((1, (5, 5)), (4, (3, 3)), (3, (1, 2))):
            image, dyadic = (7 + number % 2, 17 + number), not config.multiplier_width
            test_model.check(first_layer(widths, channels, kernel, image=image, pool=pool, dyadic=dyadic), config)


@pytest.mark.parametrize(
    ("pool", "channels", "distance"), [((1, 2), 1, 1), ((2, 2), 1, 1), ((2, 1), 3, 3), ((2, 2), 3, 3), ((3, 3), 3, 0)]
)
def test_pooled_pixels_share_words_of_one_or_two_lines(pool, channels, distance):
    assert shares(first_layer((8, 4), channels, (5, 5), image=(12, 30), pool=pool), WIDE) == {0, distance}


@pytest.mark.parametrize("machine", RTL)
@pytest.mark.parametrize(
    ("widths", "channels", "kernel", "pool"),
    [
        ((8, 8), 1, (5, 5), (2, 2)),
        ((8, 2), 1, (5, 2), (2, 2)),
        ((8, 4), 3, (7, 1), (2, 1)),
        ((8, 8), 2, (6, 2), (1, 3)),
        ((4, 2), 4, (7, 2), (2, 2)),
    ],
)
def test_rtl_behind_pools(machine, widths, channels, kernel, pool):
    graph = first_layer(widths, channels, kernel, image=(6, 15), pool=pool)
    assert machine == "7x3" or shares(graph, RTL[machine]) != {0}
    check_rtl(graph, RTL[machine])


def test_a_tile_has_no_more_rows_than_there_are_pixels():
    maker = NarrowMaker("mean", (8, 8))
    mean = maker.average(maker.input(1, 4, 4, 32), (4, 4), (1, 1))
    graph = run_passes(maker.build(mean))
    jobs, _ = fused_jobs(graph, layers_of(graph, WIDE.array()), WIDE)
    assert [(job.slots.rows, job.slots.steps, job.slots.share) for job in jobs[0]] == [(2, 4, 0)]
    test_model.check(graph, WIDE)
    test_rtl.check(test_rtl.build_of(graph, "4x8"))


def test_shared_words_have_all_their_weights_on_chip():
    """With too few weights on chip for a tile of filters, sums wait in the array, for a tile of whole rows."""
    config = replace(WIDE, wbuf_bytes=1024, ibuf_bytes=1024, obuf_bytes=1024)
    graph = first_layer((8, 4), 1, (9, 9), image=(12, 12))
    assert shares(graph, config) == {0}
    test_model.check(graph, config)


@pytest.mark.parametrize(("channels", "width"), [(1, 3), (3, 2)])
def test_inputs_of_16_bits_share_words(channels, width):
    """Two bytes an element, and of the padding."""
    maker = NarrowMaker("wide", (8, 8))
    x = maker.builder.input("x", ir.TensorType((1, 7, 31, channels), ir.I16))
    weights = maker.builder.constant(maker.random.integers(-128, 128, (5, 9, width, channels)), ir.I8)
    sums = maker.builder.add(ir.Conv2d(pads=(4, 1, 4, width - 2), x_zero=-300), x, weights)
    shift = maker.builder.constant([20], ir.IntType(8, signed=False))
    op = ir.Requantise(0, -128, 127, ir.Rounding.HALF_EVEN, ir.I8)
    graph = run_passes(maker.build(maker.builder.add(op, sums, maker.builder.constant([3], ir.U32), shift)))
    assert shares(graph, WIDE) == {0, 2 * channels}
    test_model.check(graph, WIDE)
    check_rtl(graph, RTL["8x4"])
