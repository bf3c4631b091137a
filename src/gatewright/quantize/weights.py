"""Weights and biases of one convolution or product as integers."""

from dataclasses import dataclass

import numpy as np

from gatewright.errors import ModelError
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.scales import Encoding

__all__ = ["ACCUMULATOR_BITS", "QuantisedWeights", "quantise_weights"]

ACCUMULATOR_BITS = 32
_WIDE_ACCUMULATOR_BITS = 64  # where both operands have more than 8 bits

_STEPS = 60  # candidates of the search for the least error
_SMALLEST = 0.3  # of the largest weight, which the search may cut the range down to
_EXPONENTS = 4  # candidates below the power of two that covers everything
_SPREAD = 2.0**-16  # the smallest scale of a tensor's channels, as a share of the largest
_BIAS = 2.0**24  # steps of the sum: enough for any bias, and float32 holds it exactly
_WIDE_BIAS = 2.0**31 - 1  # steps of a sum in a wide accumulator are so fine that a bias has more of them
_CHUNK = 1 << 22  # elements the search looks at together


@dataclass(frozen=True)
class QuantisedWeights:
    """Integer weights with output channels first; `scales` has one entry, or one per channel.

    `bias` counts steps of `input scale · scales`.
    """

    integers: np.ndarray
    scales: np.ndarray
    bias: np.ndarray | None
    low: int
    high: int

    @property
    def bits(self) -> int:
        return (self.high - self.low).bit_length()

    def dequantise(self) -> np.ndarray:
        """The weights that the integers stand for."""
        return self.integers * self.scales.reshape(-1, *[1] * (self.integers.ndim - 1))


def quantise_weights(
    weights: np.ndarray,
    bias: np.ndarray | None,
    x: Encoding,
    bits: int,
    options: QuantiseOptions,
    means: np.ndarray | None = None,
) -> QuantisedWeights:
    """Quantise the weights (output channels first) and the bias of a node that reads an activation encoded as `x`.

    1. A scale is the largest magnitude over the largest integer, or the one of least squared error below 8 bits and for
       powers of two.
    2. It is raised where the bias would otherwise pass 2^24 steps or not fit the accumulator beside the largest sum,
       and to 2^-16 of the largest scale, so that a channel of zeros keeps a sensible one.
    3. With `means`, the mean of what each weight multiplies, the mean error of the weights goes into the bias.
    """
    if not (np.isfinite(weights).all() and (bias is None or np.isfinite(bias).all())):
        raise ModelError("weights and bias must be finite")
    if bias is None and means is not None:
        bias = np.zeros(len(weights))
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    search = options.dyadic or options.method(bits) != "minmax"
    lowest = low if search else -high
    rows = weights.astype(np.float64).reshape(len(weights), -1)
    groups = rows if options.channelwise else rows.reshape(1, -1)
    scales = _search(groups, low, high, options.dyadic) if search else _largest(groups) / high
    scales = _representable(np.maximum(scales, (scales.max() or 1.0) * _SPREAD), options)
    room = _room(_round(rows, scales, lowest, high), x, wide=bits > 8 and x.bits > 8)
    if bias is not None:
        least = np.abs(bias.astype(np.float64)) / (room * x.scale)
        least = least if options.channelwise else least.max(keepdims=True)
        scales = _representable(np.maximum(scales, least), options)
    integers = _round(rows, scales, lowest, high)
    if bias is not None and means is not None:
        lost = (rows - integers * scales[:, None]).reshape(weights.shape) * means
        bias = bias + lost.reshape(len(rows), -1).sum(axis=1)
    steps = None if bias is None else _integer_bias(bias, x.scale * scales, room, options)
    stored = integers.reshape(weights.shape).astype(np.int8 if bits <= 8 else np.int16)
    return QuantisedWeights(stored, scales, steps, low, high)


def _round(rows: np.ndarray, scales: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.clip(np.rint(rows / scales[:, None]), low, high)


def _representable(scales: np.ndarray, options: QuantiseOptions) -> np.ndarray:
    """The scales as float32 holds them, or the powers of two at or above them."""
    return _power_of_two_above(scales) if options.dyadic else scales.astype(np.float32).astype(np.float64)


def _largest(rows: np.ndarray) -> np.ndarray:
    return np.abs(rows).max(axis=1)


def _search(rows: np.ndarray, low: int, high: int, dyadic: bool) -> np.ndarray:
    """The scale of each row that gives the least squared error."""
    largest = _largest(rows)
    if dyadic:
        most = _power_of_two_above(largest / high)
        candidates = [most * 2.0**-step for step in range(_EXPONENTS)]
    else:
        candidates = [largest / high * factor for factor in np.linspace(1, _SMALLEST, _STEPS)]
    best, least = candidates[0].copy(), np.full(len(rows), np.inf)
    for scales in candidates:
        error = _squared_error(rows, scales, low, high)
        better = error < least
        best[better], least[better] = scales[better], error[better]
    return best


def _squared_error(rows: np.ndarray, scales: np.ndarray, low: int, high: int) -> np.ndarray:
    total = np.zeros(len(rows))
    column = np.where(scales > 0, scales, 1.0)[:, None]
    width = max(1, _CHUNK // len(rows))
    for start in range(0, rows.shape[1], width):
        part = rows[:, start : start + width]
        off = np.clip(np.rint(part / column), low, high) * column - part
        total += np.einsum("ij,ij->i", off, off)
    return total


def _room(integers: np.ndarray, x: Encoding, wide: bool) -> np.ndarray:
    """What the bias of each channel may reach: what the accumulator has left beside the largest sum of products."""
    accumulator_bits = _WIDE_ACCUMULATOR_BITS if wide else ACCUMULATOR_BITS
    largest_sum = np.abs(integers).sum(axis=1) * max(x.high - x.zero, x.zero - x.low)
    room = 2.0 ** (accumulator_bits - 1) - 2 - largest_sum
    if room.min() <= 0:
        raise ModelError(
            f"sums of {integers.shape[1]} products must fit an accumulator of {accumulator_bits} bits, "
            f"not reach {largest_sum.max():.0f}; quantise with fewer bits"
        )
    return np.minimum(room, _WIDE_BIAS if wide else _BIAS)


def _power_of_two_above(values: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(values)
    return np.ldexp(1.0, np.where(mantissa == 0.5, exponent - 1, exponent))


def _integer_bias(bias: np.ndarray, steps: np.ndarray, room: np.ndarray, options: QuantiseOptions) -> np.ndarray:
    """`bias / steps`, rounded down for powers of two, else to nearest.

    Half-up rounding of the shifted sum of an integer and a real bias is the same as of the sum with the bias rounded
    down, so the shift-only machine computes exactly the half-up rounding of the real sum.
    """
    counts = bias.astype(np.float64) / steps
    counts = np.floor(counts) if options.dyadic else np.rint(counts)
    return np.clip(counts, -room, room).astype(np.int32)
