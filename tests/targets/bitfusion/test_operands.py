"""The table of operand pairs."""

from fractions import Fraction

import pytest

from gatewright.errors import ConfigError
from gatewright.targets.bitfusion.mapping import SeedMapping
from gatewright.targets.bitfusion.operands import BRICKS, bricks_per_product, products_per_unit

PUBLISHED = {(8, 8): 1, (8, 4): 2, (4, 8): 2, (4, 4): 4, (8, 2): 4, (2, 8): 4, (4, 2): 8, (2, 4): 8, (2, 2): 16}


@pytest.mark.parametrize(("pair", "count"), PUBLISHED.items())
def test_powers_of_two(pair, count):
    assert products_per_unit(*pair) == count
    assert count * bricks_per_product(*pair) == BRICKS


def test_other_widths():
    assert products_per_unit(1, 1) == products_per_unit(2, 1) == 16
    assert products_per_unit(16, 8) == Fraction(1, 2)
    assert products_per_unit(16, 16) == Fraction(1, 4)
    assert products_per_unit(6, 6) == Fraction(4, 3) > products_per_unit(8, 8)
    assert products_per_unit(6, 2) == Fraction(16, 3) > products_per_unit(8, 2)
    assert products_per_unit(3, 5) == products_per_unit(4, 8)


def test_no_unit_does_more_than_its_bricks_can():
    for inputs in (2, 4, 6, 8):
        for weights in (2, 4, 6, 8):
            assert products_per_unit(inputs, weights) * bricks_per_product(inputs, weights) <= BRICKS


def test_widths_that_there_are_not():
    with pytest.raises(ConfigError, match="input width must be 1 to 8 or 16 bits, not 12"):
        products_per_unit(12, 8)


def test_every_pair_does_at_least_what_the_original_scheduler_counts():
    """In each column of it, for 6 x 6 with the fourth product in what three units leave over."""
    for inputs in (2, 4, 6, 8):
        for weights in (2, 4, 6, 8):
            column = SeedMapping(12, 1, inputs, weights, 1)
            assert 12 * products_per_unit(inputs, weights) >= column.capacity
    assert SeedMapping(12, 1, 2, 6, 1).capacity == SeedMapping(12, 1, 6, 2, 1).capacity == 48
    assert SeedMapping(12, 1, 4, 6, 1).capacity == SeedMapping(12, 1, 6, 4, 1).capacity == 24
    assert SeedMapping(12, 1, 6, 6, 1).capacity == 16
