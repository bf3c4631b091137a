"""The one definition of Gatewright's integer arithmetic: exact, vectorised, pure NumPy.

Hardware, cycle models and generated C derive from these functions or are tested equal to them. Values are int64 where
every intermediate result fits 63 bits and a sign, Python integers (object arrays) where it might not.
"""

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

__all__ = [
    "MAX_SHIFT",
    "Rounding",
    "dequantise",
    "largest",
    "quantise",
    "quantise_multiplier",
    "quantise_multipliers_together",
    "reduce_multiplier",
    "requantise",
    "rescaled_add",
    "rounding_shift",
]

MAX_SHIFT = 63
_INT64_MAX = (1 << 63) - 1


class Rounding(Enum):
    """How a quotient is rounded: towards minus infinity, or to nearest with ties up, to even, or away from zero."""

    FLOOR = "floor"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    HALF_AWAY = "half_away"

    def __str__(self) -> str:
        return self.value


def rounding_shift(x: Any, shift: Any, rounding: Rounding) -> np.ndarray:
    """`round(x / 2^shift)` for shifts 0..63, elementwise with broadcasting; nothing is rounded at shift 0."""
    x, shift = np.asarray(x), np.asarray(shift)
    if x.dtype != object:
        x = x.astype(object if largest(x) > _INT64_MAX + 1 else np.int64, copy=False)
    shift = shift.astype(np.int64)
    if shift.size and not (shift.min() >= 0 and shift.max() <= MAX_SHIFT):
        raise ValueError(f"shift must be between 0 and {MAX_SHIFT}, not {shift.min()}..{shift.max()}")
    if not shift.any():
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, shift.shape)).copy()
    quotient = x >> shift
    if rounding is Rounding.FLOOR:
        return quotient
    below = np.maximum(shift - 1, 0)
    half = (x >> below) & (shift > 0)  # the first bit that is shifted out: 1 means the remainder is at least a half
    if rounding is Rounding.HALF_UP:
        return quotient + half
    tie = (half == 1) & ((quotient << shift) + (half << below) == x)
    down = (quotient & 1) == 0 if rounding is Rounding.HALF_EVEN else x < 0
    return quotient + (half & ~(tie & down))


def requantise(
    acc: Any,
    mul: Any,
    shift: Any,
    zero: int,
    low: int,
    high: int,
    rounding: Rounding,
    negative_mul: Any = None,
    negative_shift: Any = None,
) -> np.ndarray:
    """`clip(round(acc · mul / 2^shift) + zero, low, high)`; `mul` and `shift` broadcast along the last axis.

    Where `acc` is negative, `negative_mul` and `negative_shift` (absolute, not relative to `shift`) replace `mul` and
    `shift` when given: a leaky ReLU with the one rounding.
    """
    acc = np.asarray(acc)
    if negative_mul is not None or negative_shift is not None:
        negative = acc < 0
        mul = np.where(negative, mul if negative_mul is None else negative_mul, mul)
        shift = np.where(negative, shift if negative_shift is None else negative_shift, shift)
    rounded = rounding_shift(_product(acc, np.asarray(mul)), shift, rounding)
    return _clip(rounded, zero, low, high)


def rescaled_add(
    a: Any,
    b: Any,
    mul_a: int,
    mul_b: int,
    shift: int,
    a_zero: int,
    b_zero: int,
    zero: int,
    low: int,
    high: int,
    rounding: Rounding,
) -> np.ndarray:
    """`clip(round(((a - a_zero) · mul_a + (b - b_zero) · mul_b) / 2^shift) + zero, low, high)`, one rounding."""
    a, b = _minus(a, a_zero), _minus(b, b_zero)
    if largest(a) * abs(mul_a) + largest(b) * abs(mul_b) >= 1 << 63:
        a, b = a.astype(object), b.astype(object)
    return _clip(rounding_shift(a * mul_a + b * mul_b, shift, rounding), zero, low, high)


def largest(x: np.ndarray) -> int:
    """The largest magnitude in an array, as a Python integer; 0 for an empty one."""
    return max(abs(int(x.min())), abs(int(x.max()))) if x.size else 0


def _minus(x: Any, zero: int) -> np.ndarray:
    """`x - zero`, in Python integers where int64 would not hold it."""
    x = np.asarray(x)
    if x.dtype == object or largest(x) + abs(zero) >= 1 << 63:
        return x.astype(object) - zero
    return x.astype(np.int64) - zero


def _product(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if x.dtype == object or largest(x) * largest(factor) >= 1 << 63:
        return x.astype(object) * factor.astype(object)
    return x.astype(np.int64) * factor.astype(np.int64)


def _clip(rounded: np.ndarray, zero: int, low: int, high: int) -> np.ndarray:
    # Bounds are moved instead of values, so that adding the zero point cannot overflow.
    if low - zero < -_INT64_MAX - 1 or high - zero > _INT64_MAX:
        return np.clip(rounded.astype(object) + zero, low, high).astype(np.int64)
    return np.clip(rounded, low - zero, high - zero).astype(np.int64) + zero


def quantise_multiplier(real: float, bits: int = 17) -> tuple[int, int]:
    """`(mul, shift)` with `mul / 2^shift` nearest to `real`, `mul` normalised to exactly `bits` bits.

    `mul` is shorter only where the shift would pass 63 (tiny factors), and `(0, 0)` stands for zero.
    """
    if not (math.isfinite(real) and 0 <= real < 1 << bits):
        raise ValueError(f"factor must be at least 0 and below 2^{bits}, not {real!r}")
    if real == 0:
        return 0, 0
    mantissa, exponent = math.frexp(real)
    shift = min(bits - exponent, MAX_SHIFT)
    mul = round(math.ldexp(mantissa, exponent + shift))
    if mul == 1 << bits:
        if shift == 0:
            return mul - 1, 0
        mul, shift = mul >> 1, shift - 1
    return (mul, shift) if mul else (0, 0)


def quantise_multipliers_together(reals: Sequence[float], bits: int = 17) -> tuple[tuple[int, ...], int]:
    """Multipliers under one shift, the largest magnitude normalised to `bits` bits; signs are kept."""
    _, shift = quantise_multiplier(max(abs(real) for real in reals), bits)
    limit = (1 << bits) - 1
    return tuple(max(-limit, min(limit, round(math.ldexp(real, shift)))) for real in reals), shift


def reduce_multiplier(mul: int, shift: int) -> tuple[int, int]:
    """The same factor with common powers of two removed: a dyadic one becomes `(1, shift)` or `(2^k, 0)`."""
    if mul == 0:
        return 0, 0
    common = min((mul & -mul).bit_length() - 1, shift)
    return mul >> common, shift - common


def quantise(x: Any, scale: float, zero: int, low: int, high: int) -> np.ndarray:
    """`clip(half_even(x / scale) + zero, low, high)` with the division in float32, as ONNX's QuantizeLinear."""
    steps = np.rint(np.asarray(x, np.float32) / np.float32(scale)).astype(np.float64)
    return np.clip(steps, float(low - zero), float(high - zero)).astype(np.int64) + zero


def dequantise(x: Any, scale: float, zero: int) -> np.ndarray:
    """`(x - zero) · scale` in float32."""
    return (np.asarray(x).astype(np.int64) - zero).astype(np.float32) * np.float32(scale)
