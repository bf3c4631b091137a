"""The table of operand pairs."""

from fractions import Fraction

import pytest

from gatewright.errors import ConfigError
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
