"""Losses on samples, and how far they may be from the true ones."""

import numpy as np
import pytest

from gatewright.quantize import top1_loss
from gatewright.quantize.loss import estimate, largest_share

CLASSES = np.eye(4, dtype=np.float32)


def binomial_chance(most: int, count: int, share: float) -> float:
    """That at most so many of `count` come up, from the definition."""
    chances = np.array([1.0])
    for _ in range(count):
        chances = np.convolve(chances, [1 - share, share])
    return float(chances[: most + 1].sum())


@pytest.mark.parametrize(("found", "count"), [(0, 1), (0, 299), (3, 40), (17, 1000), (39, 40)])
def test_limits_are_those_of_the_binomial_distribution(found: int, count: int) -> None:
    limit = largest_share(found, count, 0.95)
    assert binomial_chance(found, count, limit) == pytest.approx(0.05, rel=1e-6)
    assert limit > found / count


def test_limits_at_the_ends() -> None:
    assert largest_share(5, 5, 0.95) == 1
    assert largest_share(0, 298, 0.95) > 0.01 > largest_share(0, 299, 0.95)


def test_the_margin_holds_as_often_as_it_says() -> None:
    """Drops of accuracy of many drawn sets of samples: at most one in twenty passes its limit."""
    generator, worse, better, count = np.random.default_rng(0), 0.03, 0.01, 200
    labels = np.zeros(count, int)
    passed = 0
    for _ in range(600):
        kind = generator.choice(3, count, p=[worse, better, 1 - worse - better])
        exact, found = CLASSES[np.where(kind == 1, 1, 0)], CLASSES[np.where(kind == 0, 1, 0)]
        passed += estimate(top1_loss, exact, found, labels, 0.95).most < worse - better
    assert passed <= 0.05 * 600


def test_labels_count_what_gets_right_too() -> None:
    exact, found = CLASSES[[0, 1, 2, 3]], CLASSES[[1, 1, 2, 0]]
    lost = estimate(top1_loss, exact, found, np.array([0, 1, 2, 0]), 0.95)
    assert (lost.loss, lost.samples) == (0, 4)
    assert estimate(top1_loss, exact, found, None, 0.95).loss == 0.5


def test_another_measure_has_a_standard_error() -> None:
    generator = np.random.default_rng(0)
    found = generator.normal(1.0, 1.0, (400, 1))
    lost = estimate(lambda exact, found: float(np.mean(found - exact)), np.zeros((400, 1)), found, None, 0.95)
    assert lost.loss == pytest.approx(1, abs=0.2)
    assert lost.margin == pytest.approx(1.645 / 20, rel=0.4)
