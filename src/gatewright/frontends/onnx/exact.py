"""Rounding as QONNX defines it, carried into integers without a single difference.

QONNX quantisers are defined in floating point: `clip(round(x / scale + zero))`, computed here in double precision. Sums
become requantisations with the same thresholds; functions of one or two narrow integers are tried out over all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.thresholds import Fit, Staircase, find_thresholds, fit, steps_alike
from gatewright.frontends.onnx.values import Scaled, Target, multipliers
from gatewright.ir import MAX_LUT_WIDTH, Clip, Lut, Requantise, Rounding, numerics

__all__ = ["MOST_VALUES", "ROUNDING_MODES", "ExactTarget", "Sums", "add_exact_requantise", "first_exact"]

_WIDEST = 32  # bits of a multiplier
MOST_VALUES = 1 << 20  # of one or two operands, tried out one by one

Rounder = Callable[[np.ndarray], np.ndarray]

ROUNDING_MODES: Mapping[str, tuple[Rounder, Rounding]] = MappingProxyType(
    {
        "ROUND": (np.rint, Rounding.HALF_EVEN),
        "FLOOR": (np.floor, Rounding.FLOOR),
        "CEIL": (np.ceil, Rounding.HALF_EVEN),
        "UP": (lambda x: np.copysign(np.ceil(np.abs(x)), x), Rounding.HALF_EVEN),
        "DOWN": (np.trunc, Rounding.HALF_EVEN),
        "ROUND_TO_ZERO": (np.trunc, Rounding.HALF_EVEN),
        "HALF_UP": (lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x), Rounding.HALF_AWAY),
        "HALF_DOWN": (lambda x: np.copysign(np.ceil(np.abs(x) - 0.5), x), Rounding.HALF_EVEN),
    }
)
"""For each mode of QONNX, what it does, and the rounding of integers that is likely to do the same."""


@dataclass(frozen=True)
class ExactTarget(Target):
    """A target that every integer must meet as in double precision.

    `mode` is a key of `ROUNDING_MODES`. A `bipolar` target is 1 from 0.0 on and -1 below.
    """

    mode: str = "ROUND"
    bipolar: bool = False

    exact: ClassVar[bool] = True

    def codes(self, numbers: np.ndarray) -> np.ndarray:
        reals = np.asarray(numbers, np.float64)
        if self.bipolar:
            steps = np.where(reals >= 0, 1.0, -1.0)
        else:
            low, high = self.dtype.min - 1.0, self.dtype.max + 1.0  # beyond them only infinities differ
            steps = ROUNDING_MODES[self.mode][0](np.clip(reals / self.scale + self.zero, low, high))
        return np.clip(steps, self.low, self.high).astype(np.int64)

    def rescale(self, context: Context, x: Scaled, name: str) -> str:
        """Add what makes these integers of those of another scale: nothing, a Clip, a Requantise, a Lut."""
        value, scale, zero = x.view.value, x.single_scale, x.zero
        dtype = context.type_of(value).dtype
        if 1 << dtype.width > MOST_VALUES:
            raise Unsupported(f"its operand must have at most {MOST_VALUES.bit_length() - 1} bits, not {dtype}")
        every = np.arange(dtype.min, dtype.max + 1)
        wanted = self.codes(((every - zero) * scale).clip(x.bounds.low, x.bounds.high))
        low, high = int(wanted.min()), int(wanted.max())
        if dtype == self.dtype and (wanted == every.clip(low, high)).all():
            return value if (low, high) == (dtype.min, dtype.max) else context.add(Clip(low, high), value, name=name)
        mul, shift = multipliers(context, np.array([scale / self.scale]))
        for rounding in (self.rounding, Rounding.HALF_EVEN):
            found = numerics.requantise(every - zero, mul[0], shift[0], self.zero, low, high, rounding)
            if (found == wanted).all():
                op = Requantise(self.zero, low, high, rounding, self.dtype, x_zero=zero)
                return context.requantise(op, value, mul, shift, name)
        if dtype.width > MAX_LUT_WIDTH:
            raise Unsupported(f"its operand must have at most {MAX_LUT_WIDTH} bits for an exact table, not {dtype}")
        return context.add(Lut(self.dtype), value, context.constant(wanted, self.dtype, f"{name}.table"), name=name)


@dataclass(frozen=True)
class Sums:
    """Sums within `low..high`, one a channel (int64 [C]); `real`, monotonic, gives the numbers sums [C, K] stand for.

    `real(sums) ≈ sums · scale + offset`.
    """

    real: Callable[[np.ndarray], np.ndarray]
    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    offset: np.ndarray

    def round_to(self, context: Context, target: Target, name: str) -> Fit:
        """Their requantisation to a target."""
        return self._fit(context, *self._staircase(target), target, name)

    def round_nearby(self, target: Target, bits: int) -> Fit | None:
        """The same with a multiplier of these bits and a zero point of nine, where any such is exact."""
        stairs, start = self._staircase(target)
        return fit(stairs, _natural(target, stairs.slope, start, bits), bits) if len(stairs.levels) else None

    def count_thresholds(self, context: Context, target: Target, rows: np.ndarray, name: str) -> Fit:
        """Their requantisation to a target whose levels above the lowest are reached at real numbers `rows` [C, K]."""
        thresholds = find_thresholds(self.real, rows, self.low, self.high)
        first, last = thresholds[:, 0], thresholds[:, -1]
        slope = (rows.shape[1] - 1) / np.maximum(last - first, 1) if rows.shape[1] > 1 else np.ones(len(rows))
        stairs = Staircase(thresholds, _levels(target), target.low, self.low, self.high, slope)
        return self._fit(context, stairs, target.low + 0.5 - first * slope, target, name)

    def _staircase(self, target: Target) -> tuple[Staircase, np.ndarray]:
        """The steps of a target, and the level about which a sum of 0 lies, less the zero point."""
        levels = _levels(target)
        thresholds = find_thresholds(lambda sums: target.codes(self.real(sums)), levels, self.low, self.high)
        stairs = Staircase(thresholds, levels, target.low, self.low, self.high, self.scale / target.scale)
        return stairs, self.offset / target.scale

    def _fit(self, context: Context, stairs: Staircase, start: np.ndarray, target: Target, name: str) -> Fit:
        options = context.options
        if not len(stairs.levels):
            none = np.zeros_like(self.low)
            return Fit(target.low, none, none, none)
        slope = stairs.slope
        natural = _natural(target, slope, start, options.multiplier_bits)
        found = fit(stairs, natural, options.multiplier_bits)
        if found is not None:
            return found
        if not options.exact:
            off = np.count_nonzero(~steps_alike(stairs, natural))
            bits = _least_bits(stairs, lambda bits: _natural(target, slope, start, bits), options.multiplier_bits)
            context.notes.append(
                f"{name}: {off} of {len(slope)} channels take the nearest multipliers of {options.multiplier_bits} "
                f"bits, a step off at sums near a threshold; {_would_do(bits, ' (multiplier_width)')}"
            )
            return natural
        found = fit(stairs, _natural(target, slope, start, _WIDEST), _WIDEST, far=True)
        if found is None:
            raise Unsupported(
                f"no bias and multiplier of {_WIDEST} bits have its thresholds ({_most_uneven(stairs.thresholds)}); "
                "with exact=False the nearest ones are taken"
            )
        return found


def add_exact_requantise(context: Context, value: str, found: Fit, target: Target, name: str) -> str:
    """Add the requantisation of a sum whose bias is in the sum already."""
    op = Requantise(found.zero, target.low, target.high, found.rounding, target.dtype)
    return context.requantise(op, value, _single(found.mul), _single(found.shift), name)


def first_exact(context: Context, alike: Callable[[int], bool], bits: int, name: str) -> int:
    """The least width of multipliers, from `bits` on, that gives every value; raises `Unsupported` where none does.

    Unless the import is to be exact, `bits` it is, with a note where that is not enough.
    """
    widths = range(min(bits, _WIDEST - 2), _WIDEST - 1)
    found = next((width for width in widths if alike(width)), None)
    if context.options.exact and found is None:
        raise Unsupported(f"no multipliers of at most {_WIDEST - 2} bits give its values exactly")
    if found is not None and (context.options.exact or found == widths[0]):
        return found
    context.notes.append(
        f"{name}: the nearest multipliers of {bits} bits are taken, a step off at some values; {_would_do(found)}"
    )
    return bits


def _would_do(bits: int | None, where: str = "") -> str:
    return f"{bits} bits would be exact{where}" if bits else "no multipliers are exact"


def _least_bits(stairs: Staircase, natural: Callable[[int], Fit], beyond: int) -> int | None:
    """The least width of multipliers, above `beyond`, with which a requantisation has the same steps."""
    found = fit(stairs, natural(_WIDEST), _WIDEST)
    if found is None:
        return None
    least, most = beyond + 1, int(found.mul.max()).bit_length()
    while least < most:
        middle = (least + most) // 2
        found = fit(stairs, natural(middle), middle)
        if found is None:
            least = middle + 1
        else:
            most = min(middle, int(found.mul.max()).bit_length())
    return max(most, beyond + 1)


def _levels(target: Target) -> np.ndarray:
    """Every integer above the lowest."""
    return np.arange(target.low + 1, target.high + 1, dtype=np.int64)


def _natural(target: Target, slope: np.ndarray, start: np.ndarray, bits: int) -> Fit:
    """What a line of levels suggests, `sum · slope + start`, with the bias rounded to whole sums."""
    pairs = [_factor(float(factor), bits) for factor in slope]
    steps = np.divide(start, slope, out=np.zeros_like(slope), where=slope > 0)
    bias = np.rint(np.clip(steps, -(2.0**31), 2.0**31)).astype(np.int64)
    mul, shift = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    return Fit(target.zero, bias, mul, shift, target.rounding)


def _factor(factor: float, bits: int) -> tuple[int, int]:
    if factor >= 1 << bits:
        return (1 << bits) - 1, 0
    mul, shift = numerics.quantise_multiplier(factor, bits)
    return numerics.reduce_multiplier(mul, shift) if mul & (mul - 1) == 0 else (mul, shift)


def _single(numbers: np.ndarray) -> np.ndarray:
    return numbers[:1] if not np.ptp(numbers) else numbers


def _most_uneven(thresholds: np.ndarray) -> str:
    gaps = np.ptp(np.diff(thresholds, axis=1), axis=1) if thresholds.shape[1] > 1 else np.zeros(len(thresholds))
    channel = int(np.argmax(gaps))
    listed = ", ".join(str(int(one)) for one in thresholds[channel][:8])
    return f"channel {channel}: {listed}"
