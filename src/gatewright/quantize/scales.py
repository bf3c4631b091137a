"""From observed values to a scale, a zero point and bounds."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from gatewright.quantize.calibrate import Statistics
from gatewright.quantize.options import QuantiseOptions

__all__ = ["Encoding", "choose_encoding", "coarsen"]

_STEPS = 80  # candidates of the search for the least error
_SMALLEST = 0.2  # of the observed range, which the search may cut it down to
_EXPONENTS = 5  # candidates below the power of two that covers everything


@dataclass(frozen=True)
class Encoding:
    """`real = (integer - zero) · scale`, integers from `low` to `high`, stored as `dtype` (uint8, int16, ...)."""

    scale: float
    zero: int
    low: int
    high: int
    dtype: str

    @property
    def bits(self) -> int:
        """The width of the narrowest type that holds every integer."""
        return (self.high - self.low).bit_length()

    @property
    def restricted(self) -> bool:
        """Whether the bounds are tighter than those of the stored type."""
        limits = np.iinfo(self.dtype)
        return (self.low, self.high) != (limits.min, limits.max)

    @property
    def real_low(self) -> float:
        return (self.low - self.zero) * self.scale

    @property
    def real_high(self) -> float:
        return (self.high - self.zero) * self.scale

    def quantise(self, values: np.ndarray) -> np.ndarray:
        """The nearest integers, ties to even, within the bounds."""
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero
        return np.clip(steps, self.low, self.high).astype(self.dtype)

    def dequantise(self, integers: np.ndarray) -> np.ndarray:
        return (integers.astype(np.float64) - self.zero) * self.scale

    def error(self, statistics: Statistics) -> float:
        """The mean squared error over observed values."""
        off = self.dequantise(self.quantise(statistics.values)) - statistics.values
        return float(np.average(off * off, weights=np.maximum(statistics.counts, 0)))


def choose_encoding(statistics: Statistics, bits: int, options: QuantiseOptions) -> Encoding:
    """The encoding of an activation: calibrated as the options say, zero always representable."""
    method = options.method(bits)
    low, high = statistics.low, statistics.high
    if method == "percentile":
        low, high = statistics.percentile_range(options.percentile)
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return _encoding(1.0, _fixed_zero(bits, options), bits, options)
    if options.dyadic:
        candidates = _dyadic_candidates(low, high, bits, options, search=method == "mse")
    else:
        candidates = _float_candidates(low, high, bits, options, search=method == "mse")
    return min(candidates, key=lambda encoding: encoding.error(statistics))


def coarsen(encoding: Encoding, scale: float) -> Encoding:
    """The encoding with a larger scale; a zero point at neither bound nor centre keeps the real lower end."""
    centre = encoding.low + (1 << (encoding.bits - 1))
    zero = encoding.zero
    if zero not in (encoding.low, centre, encoding.high):
        zero = encoding.low + round((zero - encoding.low) * encoding.scale / scale)
    return replace(encoding, scale=scale, zero=zero)


def _float_candidates(low: float, high: float, bits: int, options: QuantiseOptions, search: bool) -> Iterator[Encoding]:
    """The encoding that covers low..high; when searching, also those of the range scaled down step by step."""
    steps = (1 << bits) - 1
    for factor in np.linspace(1, _SMALLEST, _STEPS) if search else (1.0,):
        if options.symmetric:
            yield _encoding(max(-low, high) * factor / (steps // 2), _fixed_zero(bits, options), bits, options)
        else:
            scale = (high - low) * factor / steps
            yield _encoding(scale, _free_zero(low * factor, scale, bits, options), bits, options)


def _dyadic_candidates(
    low: float, high: float, bits: int, options: QuantiseOptions, search: bool
) -> Iterable[Encoding]:
    """The smallest power of two that covers low..high; when searching, also smaller ones, cut at either end."""
    steps = (1 << bits) - 1
    zero = _fixed_zero(bits, options)
    span = max(-low, high) / (steps // 2) if options.symmetric else (high - low) / steps
    most = math.ceil(math.log2(span))
    for exponent in range(most, most - (_EXPONENTS if search else 1), -1):
        scale = 2.0**exponent
        if options.symmetric:
            yield _encoding(scale, zero, bits, options)
            continue
        for start in (low, min(0.0, high - steps * scale), (low + high - steps * scale) / 2):
            yield _encoding(scale, _free_zero(start, scale, bits, options), bits, options)


def _bounds(bits: int, options: QuantiseOptions) -> tuple[int, int]:
    if options.activation_type == "int8":
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def _fixed_zero(bits: int, options: QuantiseOptions) -> int:
    return 0 if options.activation_type == "int8" else 1 << (bits - 1)


def _free_zero(real_low: float, scale: float, bits: int, options: QuantiseOptions) -> int:
    low, high = _bounds(bits, options)
    return int(np.clip(round(low - real_low / scale), low, high))


def _encoding(scale: float, zero: int, bits: int, options: QuantiseOptions) -> Encoding:
    low, high = _bounds(bits, options)
    smallest = float(np.finfo(np.float32).tiny)
    dtype = options.activation_type if bits <= 8 else options.activation_type.replace("8", "16")
    return Encoding(max(float(np.float32(scale)), smallest), zero, low, high, dtype)
