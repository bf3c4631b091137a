"""Integer weights and biases stay in bounds, fit the accumulator, and lose as little as can be."""

import numpy as np
import pytest

from gatewright.errors import ModelError
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.scales import Encoding
from gatewright.quantize.weights import quantise_weights

X = Encoding(0.02, 128, 0, 255, "uint8")
GENERATOR = np.random.default_rng(5)
WEIGHTS = (GENERATOR.normal(size=(6, 4, 3, 3)) * GENERATOR.uniform(0.1, 2, (6, 1, 1, 1))).astype(np.float32)
BIAS = GENERATOR.normal(size=6).astype(np.float32)


def sqnr(exact: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum()))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("scales", ["float", "pow2"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_stay_in_bounds_and_close(bits: int, scales: str, per_channel: bool) -> None:
    options = QuantiseOptions(weight_bits=bits, scales=scales, per_channel=per_channel)
    found = quantise_weights(WEIGHTS, BIAS, X, bits, options)
    assert found.integers.min() >= -(1 << (bits - 1))
    assert found.integers.max() < 1 << (bits - 1)
    assert len(found.scales) == (6 if per_channel else 1)
    assert sqnr(WEIGHTS, found.dequantise()) > 6 * bits - 12
    assert found.bias is not None
    assert np.abs(found.bias * found.scales * X.scale - BIAS).max() <= found.scales.max() * X.scale


def test_the_bias_is_rounded_down_for_powers_of_two_only() -> None:
    dyadic = quantise_weights(WEIGHTS, BIAS, X, 8, QuantiseOptions(scales="pow2"))
    assert np.array_equal(dyadic.bias, np.floor(BIAS / (dyadic.scales * X.scale)))
    plain = quantise_weights(WEIGHTS, BIAS, X, 8, QuantiseOptions())
    assert np.array_equal(plain.bias, np.rint(BIAS / (plain.scales * X.scale)))


@pytest.mark.parametrize("scales", ["float", "pow2"])
def test_a_scale_is_raised_until_a_large_bias_fits(scales: str) -> None:
    bias = np.full(6, 3e9, np.float32)
    found = quantise_weights(WEIGHTS * 1e-3, bias, X, 8, QuantiseOptions(scales=scales))
    sums = np.abs(found.integers.astype(np.int64)).reshape(6, -1).sum(axis=1) * 128
    assert (np.abs(found.bias.astype(np.int64)) + sums < 2**31).all()
    assert np.allclose(found.bias * found.scales * X.scale, bias, rtol=1e-6)


def test_channels_of_zeros_keep_a_usable_scale_and_a_precise_bias() -> None:
    weights = WEIGHTS.copy()
    weights[2] = 0
    found = quantise_weights(weights, BIAS, X, 8, QuantiseOptions())
    assert not found.integers[2].any()
    assert found.bias[2] * found.scales[2] * X.scale == pytest.approx(BIAS[2], rel=1e-4)
    nothing = quantise_weights(np.zeros_like(weights), None, X, 8, QuantiseOptions())
    assert (nothing.scales > 0).all()


def test_the_mean_error_of_the_weights_goes_into_the_bias() -> None:
    options = QuantiseOptions(weight_bits=2)
    means = np.abs(GENERATOR.normal(size=(1, 4, 1, 1)))
    lost = {}
    for name, given in (("plain", None), ("corrected", means)):
        found = quantise_weights(WEIGHTS, BIAS, X, 2, options, given)
        off = ((found.dequantise() - WEIGHTS) * means).reshape(6, -1).sum(axis=1)
        lost[name] = np.abs(off + found.bias * found.scales * X.scale - BIAS).max()
    assert lost["corrected"] < 0.02 * lost["plain"]


def test_sums_that_no_accumulator_holds_are_refused() -> None:
    weights = np.ones((1, 70_000), np.float32)
    with pytest.raises(ModelError, match=r"sums of 70000 products must fit an accumulator of 32 bits, not reach 22669"):
        quantise_weights(weights, None, Encoding(1.0, 0, 0, 255, "uint8"), 8, QuantiseOptions())


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="weights and bias must be finite"):
        quantise_weights(WEIGHTS * np.nan, None, X, 8, QuantiseOptions())
