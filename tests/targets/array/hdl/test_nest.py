"""The nest against the plain reading of its rule."""

import random

import pytest
from tests.targets.array.hdl.reference import nest

from gatewright.sim import Model
from gatewright.targets.array.hdl.nest import Nest


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_points_in_order_twice_over(levels: int) -> None:
    with Model.of(Nest([14] * levels, 14, 20)) as model:
        for seed in range(5):
            chance = random.Random(seed)
            counts = [chance.choice((1, 2, 3, 5)) for _ in range(levels)]
            dy, dx = ([chance.randint(-9, 9) for _ in range(levels)] for _ in range(2))
            for level in range(levels):
                model.set(f"count{level}", counts[level])
                model.set(f"dy_{level}", dy[level])
                model.set(f"dx_{level}", dx[level])
            model.set("y0", -3)
            model.set("x0", 1000)
            model.set("restart", 1)
            model.tick()
            model.set("restart", 0)
            points = list(nest(counts, dy, dx, -3, 1000))
            for index, point in enumerate(points * 2):
                model.set("advance", 0)
                model.tick(chance.randrange(2))  # it waits
                place = index % len(points)
                assert (model.get("y", signed=True), model.get("x", signed=True)) == point
                assert (model.get("first"), model.get("last")) == (place == 0, place == len(points) - 1)
                model.set("advance", 1)
                model.tick()
