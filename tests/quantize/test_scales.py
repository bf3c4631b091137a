"""Encodings cover what they must, and low widths trade range for resolution."""

import numpy as np
import pytest

from gatewright.quantize.calibrate import Statistics
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.scales import Encoding, choose_encoding, coarsen


def observed(values: np.ndarray) -> Statistics:
    values = np.asarray(values, np.float64)
    return Statistics(float(values.min()), float(values.max()), values, np.ones(len(values), np.int64))


NORMAL = np.random.default_rng(0).normal(size=4000)
POSITIVE = np.maximum(NORMAL, 0)
SKEWED = np.concatenate([NORMAL, [25.0]])


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("scales", ["float", "pow2"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("values", [NORMAL, POSITIVE, -POSITIVE, POSITIVE + 3], ids=["both", "up", "down", "away"])
def test_minmax_covers_every_value_and_zero(
    values: np.ndarray, bits: int, symmetric: bool, scales: str, kind: str
) -> None:
    options = QuantiseOptions(
        scales=scales, activation_type=kind, symmetric_activations=symmetric, calibration="minmax"
    )
    encoding = choose_encoding(observed(values), bits, options)
    assert encoding.low <= encoding.zero <= encoding.high
    assert encoding.bits == bits
    assert encoding.real_low - encoding.scale <= values.min()
    assert values.max() <= encoding.real_high + encoding.scale
    assert np.abs(encoding.dequantise(encoding.quantise(values)) - values).max() <= encoding.scale * 1.001
    assert encoding.dequantise(encoding.quantise(np.zeros(1))) == 0


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("bits", [3, 8])
def test_symmetric_activations_have_the_fixed_zero_point(bits: int, kind: str) -> None:
    options = QuantiseOptions(symmetric_activations=True, activation_type=kind)
    zero = choose_encoding(observed(POSITIVE), bits, options).zero
    assert zero == (0 if kind == "int8" else 1 << (bits - 1))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_power_of_two_scales_are_powers_of_two(method: str, bits: int) -> None:
    encoding = choose_encoding(observed(NORMAL), bits, QuantiseOptions(scales="pow2", calibration=method))
    assert np.frexp(encoding.scale)[0] == 0.5


@pytest.mark.parametrize("scales", ["float", "pow2"])
@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("values", [NORMAL, POSITIVE, SKEWED], ids=["both", "up", "outlier"])
def test_the_search_is_never_worse_than_covering_everything(values: np.ndarray, bits: int, scales: str) -> None:
    statistics = observed(values)
    errors = [
        choose_encoding(statistics, bits, QuantiseOptions(scales=scales, calibration=method)).error(statistics)
        for method in ("mse", "minmax")
    ]
    assert errors[0] <= errors[1]


def test_the_search_cuts_off_an_outlier_at_low_width() -> None:
    found = choose_encoding(observed(SKEWED), 3, QuantiseOptions(calibration="mse"))
    assert found.real_high < 20


def test_a_percentile_leaves_outliers_out() -> None:
    encoding = choose_encoding(observed(SKEWED), 8, QuantiseOptions(calibration="percentile", percentile=99.9))
    assert encoding.real_high < 5
    assert encoding.real_low > -5


def test_percentile_100_is_minmax() -> None:
    options = [QuantiseOptions(calibration="percentile", percentile=100), QuantiseOptions(calibration="minmax")]
    assert len({choose_encoding(observed(SKEWED), 8, option) for option in options}) == 1


def test_values_that_are_all_zero() -> None:
    assert choose_encoding(observed(np.zeros(5)), 8, QuantiseOptions()).scale == 1


def test_a_coarser_encoding_keeps_its_lower_end() -> None:
    assert coarsen(Encoding(0.25, 40, 0, 255, "uint8"), 0.5) == Encoding(0.5, 20, 0, 255, "uint8")
    assert coarsen(Encoding(0.25, 128, 0, 255, "uint8"), 0.5).zero == 128
    assert coarsen(Encoding(0.25, -8, -8, 7, "int8"), 0.5).zero == -8
