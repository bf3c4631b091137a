"""Requantisations with the steps of a rounded line, compared with that line over the whole range of sums."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatewright.frontends.onnx.thresholds import Fit, Staircase, find_thresholds, fit, steps_alike
from gatewright.ir import Rounding, numerics


def _staircase(slope: float, start: float, low: int, high: int, floor: int, top: int) -> Staircase:
    levels = np.arange(floor + 1, top + 1, dtype=np.int64)
    ends = np.array([low]), np.array([high])
    thresholds = find_thresholds(lambda sums: _codes(sums, slope, start, floor, top), levels, *ends)
    return Staircase(thresholds, levels, floor, *ends, np.array([slope]))


def _codes(sums: np.ndarray, slope: float, start: float, floor: int, top: int) -> np.ndarray:
    return np.clip(np.rint(sums * slope + start), floor, top).astype(np.int64)


def _natural(slope: float, start: float) -> Fit:
    mul, shift = numerics.quantise_multiplier(slope)
    return Fit(0, np.array([round(start / slope)]), np.array([mul]), np.array([shift]))


@settings(max_examples=150, deadline=None)
@given(
    slope=st.floats(1e-3, 2.0),
    start=st.floats(-20, 20),
    width=st.integers(1, 3000),
    bits=st.integers(1, 5),
    signed=st.booleans(),
)
def test_every_line_is_met_over_the_whole_range(
    slope: float, start: float, width: int, bits: int, signed: bool
) -> None:
    line = np.arange(-width, width + 1) * slope + start
    assume((np.abs(line - np.floor(line) - 0.5) > 1e-9).all())  # ties to even are no line
    floor = -(1 << (bits - 1)) if signed else 0
    top = floor + (1 << bits) - 1
    stairs = _staircase(slope, start, -width, width, floor, top)
    found = fit(stairs, _natural(slope, start), 24)
    assert found is not None
    sums = np.arange(-width, width + 1)
    codes = numerics.requantise(
        sums + found.bias[0], found.mul[0], found.shift[0], found.zero, floor, top, found.rounding
    )
    np.testing.assert_array_equal(codes, _codes(sums, slope, start, floor, top))
    assert -256 <= found.zero <= 255


def test_channels_share_one_zero_point() -> None:
    rng = np.random.default_rng(0)
    slopes, starts = rng.uniform(0.01, 0.3, 64), rng.uniform(-8, 8, 64)
    parts = [_staircase(slope, start, -400, 400, 0, 15) for slope, start in zip(slopes, starts, strict=True)]
    stairs = Staircase(
        np.concatenate([part.thresholds for part in parts]),
        parts[0].levels,
        0,
        *(np.full(64, bound) for bound in (-400, 400)),
        slopes,
    )
    naturals = [_natural(slope, start) for slope, start in zip(slopes, starts, strict=True)]
    natural = Fit(0, *(np.concatenate([getattr(one, name) for one in naturals]) for name in ("bias", "mul", "shift")))
    assert not steps_alike(stairs, natural).all()  # a bias in whole sums is not enough
    found = fit(stairs, natural, 17)
    assert found is not None
    assert steps_alike(stairs, found).all()
    assert found.mul.max() < 1 << 17


def test_a_dyadic_line_with_ties_stays_a_shift() -> None:
    stairs = _staircase(0.25, 0.0, -100, 100, -8, 7)
    natural = Fit(0, np.array([0]), np.array([1]), np.array([2]), Rounding.HALF_EVEN)
    assert fit(stairs, natural, 17) is natural


@pytest.mark.parametrize("thresholds", [[0, 1, 20], [0, 10, 11]])
def test_uneven_thresholds_have_no_multiplier(thresholds: list[int]) -> None:
    ends = np.array([-50]), np.array([50])
    stairs = Staircase(np.array([thresholds]), np.arange(1, 4), 0, *ends, np.array([0.1]))
    assert fit(stairs, _natural(0.1, 0.0), 32) is None


def test_a_jump_of_several_levels() -> None:
    ends = np.array([-50]), np.array([50])
    stairs = Staircase(np.array([[7, 7]]), np.array([0, 1]), -1, *ends, np.array([0.1]))
    found = fit(stairs, _natural(0.1, 0.0), 17)
    assert found is not None
    sums = np.arange(-50, 51)
    codes = numerics.requantise(sums + found.bias[0], found.mul[0], found.shift[0], found.zero, -1, 1, found.rounding)
    np.testing.assert_array_equal(codes, np.where(sums >= 7, 1, -1))
