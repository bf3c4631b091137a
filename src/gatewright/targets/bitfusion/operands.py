"""Operand pairs: how many bricks a product takes, and how many products a fusion unit finishes a cycle.

A unit has `BRICKS` multipliers of two 2-bit operands. Its input side is a row of bytes and never promotes: a 6-bit
input is three 2-bit slices, so four inputs lie in three bytes, the fourth one with a slice in each, and a unit works
through them in three cycles. Its weight side is split into operands of 8, 4 or 2 bits, to which 6-bit
weights (and 1-bit ones) are promoted; in memory they keep their width.
"""

from __future__ import annotations

from fractions import Fraction

from gatewright.errors import ConfigError

__all__ = ["BRICKS", "WIDTHS", "bricks_per_product", "check_pair", "products_per_unit", "promoted", "slices"]

BRICKS = 16
"""2-bit multipliers of a fusion unit."""

WIDTHS = (2, 4, 6, 8)
"""Operand widths of the bricks, in bits; 1 counts as 2, and other widths as the next one. 16 takes two passes of 8."""


def slices(width: int) -> int:
    """2-bit slices of an operand."""
    return (max(width, 2) + 1) // 2


def promoted(width: int) -> int:
    """The width at which the weight side takes an operand: 2, 4, 8 or 16 bits."""
    return next(wide for wide in (2, 4, 8, 16) if width <= wide)


def check_pair(input_width: int, weight_width: int) -> None:
    """Raise `ConfigError` unless both widths are ones that a unit takes."""
    for name, width in (("input", input_width), ("weight", weight_width)):
        if not (1 <= width <= 8 or width == 16):
            raise ConfigError(f"{name} width must be 1 to 8 or 16 bits, not {width}")


def bricks_per_product(input_width: int, weight_width: int) -> int:
    """Bricks whose products make up one product."""
    return slices(input_width) * slices(weight_width)


def products_per_unit(input_width: int, weight_width: int) -> Fraction:
    """Products that a fusion unit finishes a cycle, on average.

    8x8 1, 8x4 2, 4x4 4, 8x2 4, 4x2 8, 2x2 16; 6-bit inputs make it 4/3 of what 8-bit ones do: 6x6 4/3, 6x2 16/3.
    """
    check_pair(input_width, weight_width)
    if input_width == 16:  # a byte a cycle
        return Fraction(4, promoted(max(weight_width, 8)))
    return Fraction(8, 2 * slices(input_width)) * Fraction(8, promoted(weight_width))
