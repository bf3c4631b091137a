"""The arithmetic against exact fractions and Python's integers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewright.ir import numerics
from gatewright.ir.numerics import Rounding

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
ROUNDINGS = st.sampled_from(list(Rounding))


def exact_round(value: Fraction, rounding: Rounding) -> int:
    """The definition in words, on exact fractions."""
    floor = math.floor(value)
    rest = value - floor
    if rounding is Rounding.FLOOR or rest < Fraction(1, 2):
        return floor
    if rest > Fraction(1, 2):
        return floor + 1
    ties = {
        Rounding.HALF_UP: floor + 1,
        Rounding.HALF_EVEN: floor + floor % 2,
        Rounding.HALF_AWAY: floor if value < 0 else floor + 1,
    }
    return ties[rounding]


def clip(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


@given(st.lists(INT64, min_size=1, max_size=8), st.integers(0, 63), ROUNDINGS)
@example([-(1 << 63), (1 << 63) - 1, -1, 0, 1], 63, Rounding.HALF_AWAY)
@example([-(1 << 63), (1 << 63) - 1, -1, 0, 1], 0, Rounding.HALF_UP)
@example([-3, -2, -1, 1, 2, 3], 1, Rounding.HALF_EVEN)
def test_rounding_shift_is_exact(values, shift, rounding):
    shifted = numerics.rounding_shift(np.array(values, np.int64), shift, rounding)
    assert shifted.dtype == np.int64
    assert shifted.tolist() == [exact_round(Fraction(value, 1 << shift), rounding) for value in values]


@given(st.integers(-(1 << 80), 1 << 80), st.integers(0, 63), ROUNDINGS)
def test_rounding_shift_takes_python_integers(value, shift, rounding):
    shifted = numerics.rounding_shift(np.array([value], object), shift, rounding)
    assert shifted.tolist() == [exact_round(Fraction(value, 1 << shift), rounding)]


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.FLOOR, [-2, -2, -1, -1, 0, 0, 1, 1]),
        (Rounding.HALF_UP, [-2, -1, -1, 0, 0, 1, 1, 2]),
        (Rounding.HALF_EVEN, [-2, -2, -1, 0, 0, 0, 1, 2]),
        (Rounding.HALF_AWAY, [-2, -2, -1, -1, 0, 1, 1, 2]),
    ],
)
def test_ties(rounding, expected):
    halves = np.array([-4, -3, -2, -1, 0, 1, 2, 3])  # of -2.0, -1.5, ... 1.5
    assert numerics.rounding_shift(halves, 1, rounding).tolist() == expected


def test_shifts_may_differ_by_channel():
    x = np.array([[5, 5, 5], [-5, -5, -5]])
    shifted = numerics.rounding_shift(x, np.array([0, 1, 2], np.uint8), Rounding.HALF_UP)
    assert shifted.tolist() == [[5, 3, 1], [-5, -2, -1]]


def test_shift_beyond_63_is_refused():
    with pytest.raises(ValueError, match=r"shift must be between 0 and 63, not 64\.\.64"):
        numerics.rounding_shift(np.array([1]), 64, Rounding.FLOOR)


@settings(max_examples=300)
@given(
    st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=1, max_size=6),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 63),
    st.integers(-128, 255),
    ROUNDINGS,
)
@example([-(1 << 31), (1 << 31) - 1], (1 << 32) - 1, 0, -128, Rounding.HALF_EVEN)
@example([-(1 << 31), (1 << 31) - 1], (1 << 32) - 1, 63, 0, Rounding.HALF_AWAY)
@example([-3, -1, 1, 3], 1 << 16, 17, 0, Rounding.HALF_UP)
def test_requantise_is_exact(values, mul, shift, zero, rounding):
    result = numerics.requantise(np.array(values, np.int32), np.uint32(mul), np.uint8(shift), zero, -128, 127, rounding)
    expected = [clip(exact_round(Fraction(v * mul, 1 << shift), rounding) + zero, -128, 127) for v in values]
    assert result.tolist() == expected


@given(st.lists(INT64, min_size=1, max_size=4), st.integers(0, (1 << 32) - 1), st.integers(0, 63), ROUNDINGS)
def test_requantise_of_wide_accumulators_uses_python_integers(values, mul, shift, rounding):
    low, high = -(1 << 63), (1 << 63) - 1
    result = numerics.requantise(np.array(values, np.int64), mul, shift, 5, low, high, rounding)
    expected = [clip(exact_round(Fraction(v * mul, 1 << shift), rounding) + 5, low, high) for v in values]
    assert result.tolist() == expected


def test_requantise_by_channel():
    acc = np.array([[100, 100, 100], [-100, -100, -100]], np.int32)
    mul, shift = np.array([1, 3, 5], np.uint32), np.array([1, 2, 63], np.uint8)
    result = numerics.requantise(acc, mul, shift, 1, -60, 60, Rounding.FLOOR)
    assert result.tolist() == [[51, 60, 1], [-49, -60, 0]]


@given(st.integers(-1000, 1000), st.integers(0, 20), st.integers(0, 20), ROUNDINGS)
def test_negative_sums_have_their_own_factor(value, shift, negative_shift, rounding):
    result = numerics.requantise(
        np.array([value]), 3, shift, 0, -9999, 9999, rounding, negative_mul=7, negative_shift=negative_shift
    )
    factor = Fraction(7, 1 << negative_shift) if value < 0 else Fraction(3, 1 << shift)
    assert result.tolist() == [clip(exact_round(value * factor, rounding), -9999, 9999)]


@given(
    st.integers(-128, 127),
    st.integers(0, 255),
    st.integers(-(1 << 40), 1 << 40),
    st.integers(-(1 << 60), 1 << 60),
    st.integers(0, 63),
    ROUNDINGS,
)
@example(-128, 0, 1 << 40, -(1 << 60), 0, Rounding.HALF_UP)
def test_rescaled_add_rounds_the_exact_sum_once(a, b, mul_a, mul_b, shift, rounding):
    result = numerics.rescaled_add(
        np.array([a], np.int8), np.array([b], np.uint8), mul_a, mul_b, shift, 3, 128, 10, -128, 127, rounding
    )
    exact = exact_round(Fraction((a - 3) * mul_a + (b - 128) * mul_b, 1 << shift), rounding)
    assert result.tolist() == [clip(exact + 10, -128, 127)]


@given(st.floats(1e-12, 1e4, allow_nan=False), st.integers(4, 31))
@example(1.0, 17)
@example(2.0**-36, 17)
@example(1 - 2.0**-40, 17)
def test_quantise_multiplier_is_nearest_and_normalised(real, bits):
    if real >= 1 << bits:
        return
    mul, shift = numerics.quantise_multiplier(real, bits)
    assert 0 <= shift <= 63
    assert mul < 1 << bits
    if shift < 63 and mul != (1 << bits) - 1:
        assert mul >= 1 << (bits - 1)
    error = abs(Fraction(mul, 1 << shift) - Fraction(real))
    assert error <= Fraction(1, 1 << (shift + 1)) or (shift == 0 and mul == (1 << bits) - 1)


@pytest.mark.parametrize(
    ("real", "expected"), [(0.0, (0, 0)), (1.0, (65536, 16)), (0.75, (98304, 17)), (2.0**-60, (8, 63)), (1e-30, (0, 0))]
)
def test_quantise_multiplier_examples(real, expected):
    assert numerics.quantise_multiplier(real) == expected


@pytest.mark.parametrize("real", [-0.5, math.inf, math.nan, 131072.0])
def test_quantise_multiplier_refuses(real):
    with pytest.raises(ValueError, match="factor must be at least 0 and below"):
        numerics.quantise_multiplier(real)


def test_multipliers_together_share_a_shift_and_keep_signs():
    assert numerics.quantise_multipliers_together([0.5, -0.25, 0.0], bits=8) == ((128, -64, 0), 8)


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 63))
def test_reduce_multiplier_keeps_the_factor(mul, shift):
    reduced, rest = numerics.reduce_multiplier(mul, shift)
    assert Fraction(reduced, 1 << rest) == Fraction(mul, 1 << shift)
    assert mul == 0 or reduced % 2 == 1 or rest == 0


def test_quantise_rounds_half_to_even_in_float32_and_saturates():
    x = [0.25, 0.75, 1.25, -0.25, 1e9, -1e9, math.inf]
    assert numerics.quantise(x, 0.5, 10, 0, 255).tolist() == [10, 12, 12, 10, 255, 0, 255]


def test_dequantise_is_float32():
    result = numerics.dequantise(np.array([0, 10, 255], np.uint8), 0.1, 10)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.array([-10, 0, 245], np.float32) * np.float32(0.1))
