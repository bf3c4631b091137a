"""Steps of a rounded function of a sum, and the integer requantisation that has exactly the same ones.

A monotonic function of an integer sum with few levels is known by its thresholds: for each level, the least sum that
reaches it. `fit` looks for a bias, a multiplier and a shift for each channel under which `Requantise` steps at the same
sums; what it returns has been checked on both sides of every threshold, which proves equality over the whole range.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from gatewright.ir import Rounding, numerics

__all__ = ["Fit", "Staircase", "find_thresholds", "fit", "steps_alike"]

_REACH = 24  # biases looked at, at either side of the likely one
_TRIED = 4  # of these, those with the widest intervals of slopes
_LARGEST_BIAS = (1 << 31) - 1
_SMALLEST_ZERO = -256  # post units hold nine bits; up to here zero points are tried one by one
_FAR_ZEROS = tuple(-round(256 * 1.3**step) for step in range(1, 24))
_STEEP = 2.0  # a slope that jumps over any level between two sums


@dataclass(frozen=True)
class Staircase:
    """A monotonic function of one sum a channel, for sums within `low..high` (int64 [C]).

    `thresholds` [C, K] is the least sum that reaches each of `levels` [K], ascending; `high + 1` where none does. The
    smallest value of the function is `floor`, the largest the last level. `slope` [C] is levels per sum, about.
    """

    thresholds: np.ndarray
    levels: np.ndarray
    floor: int
    low: np.ndarray
    high: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class Fit:
    """`clip(round((sum + bias) · mul / 2^shift) + zero)`; arrays are int64 [C]."""

    zero: int
    bias: np.ndarray
    mul: np.ndarray
    shift: np.ndarray
    rounding: Rounding = Rounding.HALF_EVEN


def find_thresholds(
    code: Callable[[np.ndarray], np.ndarray], levels: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """The `thresholds` of a `Staircase` whose value at sums [C, K] is `code` of them; levels are [K] or [C, K]."""
    shape = (len(low), levels.shape[-1])
    left, right = np.broadcast_to(low[:, None], shape).copy(), np.broadcast_to(high[:, None] + 1, shape).copy()
    while (open_ := left < right).any():
        middle = (left + right) >> 1
        reached = code(middle) >= levels
        right = np.where(open_ & reached, middle, right)
        left = np.where(open_ & ~reached, middle + 1, left)
    return left


def steps_alike(stairs: Staircase, found: Fit) -> np.ndarray:
    """For each channel, whether a fit reaches each level at its threshold, and not before."""
    top = int(stairs.levels[-1])
    alike = np.ones(len(stairs.low), bool)
    for sums, wanted in ((stairs.thresholds, True), (stairs.thresholds - 1, False)):
        codes = numerics.requantise(
            sums + found.bias[:, None],
            found.mul[:, None],
            found.shift[:, None],
            found.zero,
            stairs.floor,
            top,
            found.rounding,
        )
        inside = (sums >= stairs.low[:, None]) & (sums <= stairs.high[:, None])
        alike &= (~inside | ((codes >= stairs.levels) == wanted)).all(axis=1)
    sums = np.stack([stairs.low, stairs.high]) + found.bias
    return alike & (np.abs(sums) <= _LARGEST_BIAS).all(axis=0) & (np.abs(found.bias) <= _LARGEST_BIAS)


def fit(stairs: Staircase, natural: Fit, bits: int, far: bool = False) -> Fit | None:
    """A requantisation with the same steps; None where no multiplier of `bits` bits has them.

    Zero points are of nine bits unless they may be `far` away.

    `natural` is what the real scales and offsets suggest. It is taken where it is exact, as with scales that are powers
    of two. Elsewhere the bias is the problem, since it is a whole number of sums: a zero point away from the levels
    and a bias that makes up for it move the line by fractions, and the multiplier has a whole interval to lie in.
    """
    alike = steps_alike(stairs, natural)
    if alike.all():
        return natural
    keep = alike if natural.rounding is Rounding.HALF_EVEN else np.zeros_like(alike)
    order = list(np.argsort(keep, kind="stable"))
    for zero in _zeros(natural.zero, stairs, far):
        found = [np.array(part) for part in (natural.bias, natural.mul, natural.shift)]
        for position, channel in enumerate(order):
            if zero == natural.zero and keep[channel]:
                continue
            line = _fit_channel(stairs, int(channel), zero, bits)
            if line is None:
                order.insert(0, order.pop(position))  # the hardest channel is tried first from now on
                break
            for part, value in zip(found, line, strict=True):
                part[channel] = value
        else:
            return replace(natural, zero=zero, bias=found[0], mul=found[1], shift=found[2], rounding=Rounding.HALF_EVEN)
    return None


def _zeros(natural: int, stairs: Staircase, far: bool) -> Iterator[int]:
    yield natural
    yield from (zero for zero in range(int(stairs.levels[-1]), _SMALLEST_ZERO - 1, -1) if zero != natural)
    yield from _FAR_ZEROS if far else ()


def _fit_channel(stairs: Staircase, channel: int, zero: int, bits: int) -> tuple[int, int, int] | None:
    """`(bias, mul, shift)` of one channel, the multiplier as short as the widest interval allows."""
    low, high = stairs.low[channel], stairs.high[channel]
    thresholds, halves = stairs.thresholds[channel], stairs.levels - zero - 0.5
    one = replace(stairs, thresholds=thresholds[None], low=low[None], high=high[None], slope=stairs.slope[[channel]])
    for bias in _likely_biases(one, halves):
        reached, missed = thresholds <= high, thresholds > low
        least, most = _slopes(bias, thresholds[reached], halves[reached], thresholds[missed] - 1, halves[missed])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            width = np.where(least < most, most / least, 0.0)  # 0 / 0 is never wanted
        for index in np.argsort(-width, kind="stable")[: min(_TRIED, np.count_nonzero(width))]:
            factor = _shortest(float(least[index]), float(most[index]), bits)
            if factor is None:
                continue
            found = Fit(zero, bias[[index]], np.array([factor[0]]), np.array([factor[1]]))
            if steps_alike(one, found)[0]:
                return int(bias[index]), *factor
    return None


def _likely_biases(stairs: Staircase, halves: np.ndarray) -> Iterator[np.ndarray]:
    """Biases that put the middle threshold where it belongs, for each slope that may do."""
    (thresholds,), (low,), (high,) = stairs.thresholds, stairs.low, stairs.high
    active = np.flatnonzero((thresholds > low) & (thresholds <= high))
    slopes = [float(stairs.slope[0])]
    if len(np.unique(thresholds[active])) == 1:
        slopes.append(_STEEP)
    if len(active):
        middle = active[len(active) // 2]
        sums, half = float(thresholds[middle]) - 0.5, float(halves[middle])
    else:  # a constant: the middle of the level that is never left
        slopes.append(0.25 / float(high - low + 1))
        level = np.count_nonzero(thresholds <= low)
        sums, half = float(low + high) / 2, float(halves[level - 1] + 0.5 if level else halves[0] - 0.5)
    for slope in slopes:
        centre = half / slope - sums if slope > 0 else np.inf
        if abs(centre) < _LARGEST_BIAS:
            yield round(centre) + np.arange(-_REACH, _REACH + 1, dtype=np.int64)


def _slopes(
    bias: np.ndarray, reached: np.ndarray, reached_at: np.ndarray, missed: np.ndarray, missed_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each bias, the slopes (between two bounds) with `(reached + bias) · slope > reached_at`, missed below."""
    least, most = np.zeros(len(bias)), np.full(len(bias), np.inf)
    for sums, at, sign in ((reached, reached_at, 1), (missed, missed_at, -1)):
        moved = (sums + bias[:, None]) * sign
        bound = np.divide(at * sign, moved, out=np.zeros(moved.shape), where=moved != 0)
        impossible = (moved == 0) & (at * sign >= 0)
        least = np.maximum(least, np.where(moved > 0, bound, 0.0).max(axis=1, initial=0.0))
        most = np.minimum(most, np.where(moved < 0, bound, np.inf).min(axis=1, initial=np.inf))
        most = np.where(impossible.any(axis=1), 0.0, most)
    return least, most


def _shortest(least: float, most: float, bits: int) -> tuple[int, int] | None:
    """The `(mul, shift)` with the fewest bits strictly between two slopes."""
    for shift in range(numerics.MAX_SHIFT + 1):
        mul = int(np.floor(np.ldexp(least, shift))) + 1
        if mul >= 1 << bits:
            return None
        if mul < np.ldexp(most, shift):
            return mul, shift
    return None
