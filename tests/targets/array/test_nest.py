"""Nests: what instructions say of them is walked as the hardware's rule says, and bounded as it is walked."""

import random

import numpy as np
import pytest
from tests.targets.array.hdl.reference import nest as walk

from gatewright.targets.array.isa import PIXEL_LEVELS
from gatewright.targets.array.job import Level
from gatewright.targets.array.nest import Nest, image_range, nest_of, pixel_fields, pixels_of, reach


@pytest.fixture(params=range(8))
def chance(request):
    return random.Random(request.param)


def drawn(chance: random.Random, levels: int) -> Nest:
    counts = tuple(chance.choice((1, 2, 3, 5)) for _ in range(levels))
    return Nest(counts, tuple((chance.randint(-9, 9), chance.randint(-9, 9)) for _ in range(levels)))


def test_points_come_in_the_order_of_the_rule(chance):
    nest = drawn(chance, 3)
    dy, dx = zip(*nest.deltas, strict=True)
    assert list(map(tuple, nest.points(-3, 7).tolist())) == list(walk(nest.counts, dy, dx, -3, 7))
    assert len(nest.points()) == nest.size


def test_reach_is_that_of_all_sums_of_points(chance):
    nests = drawn(chance, 4), drawn(chance, 2)
    sums = (nests[0].points()[:, None] + nests[1].points()).reshape(-1, 2)
    assert reach(*nests) == tuple(zip(sums.min(axis=0).tolist(), sums.max(axis=0).tolist(), strict=True))


def test_steps_of_a_level_do_not_depend_on_the_levels_inside(chance):
    levels = [Level(chance.randint(1, 4), chance.randint(0, 3), chance.randint(0, 9)) for _ in range(3)]
    index = np.indices([level.count for level in reversed(levels)]).reshape(3, -1)[::-1]
    y, x = (
        sum(each * step for each, step in zip(index, steps, strict=True)) for steps in zip(*_steps(levels), strict=True)
    )
    assert nest_of(levels).points().tolist() == np.stack([y, x], axis=1).tolist()


def _steps(levels):
    return [(level.dy, level.dx) for level in levels]


def test_fields_of_pixels_are_read_back(chance):
    levels = [Level(chance.randint(1, 4), 0, chance.randint(1, 9)) for _ in range(chance.randint(1, PIXEL_LEVELS - 1))]
    rows = Level(5, 2)
    found = pixels_of(pixel_fields(levels, rows), {"outer_count": rows.count})
    assert found.points().tolist() == nest_of([*levels, rows]).points().tolist()


@pytest.mark.parametrize(
    ("y", "x", "expected"),
    [
        ((0, 1), (0, 3), (100, 114)),
        ((-5, 9), (-9, 99), (100, 130)),
        ((1, 1), (2, 2), (112, 113)),
        ((3, 4), (0, 3), (0, 0)),
    ],
)
def test_range_of_an_image_is_cut_at_its_border(y, x, expected):
    compute = {"base": 100, "y0": 0, "x0": 0, "height": 3}
    assert image_range(compute, {"row_bytes": 10, "pitch": 10}, y, x) == expected


def test_an_image_may_begin_before_the_scratchpad():
    compute = {"base": (1 << 20) - 10, "y0": 0, "x0": 0, "height": 3}
    assert image_range(compute, {"row_bytes": 10, "pitch": 10}, (1, 2), (0, 9)) == (0, 20)
