"""What values a network's tensors take on real inputs: extremes, a histogram, the mean of each channel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gatewright.errors import ModelError
from gatewright.quantize.execute import run_batches
from gatewright.quantize.network import Network

__all__ = ["Statistics", "calibrate", "channel_means", "combine"]

_BINS = 2048


@dataclass(frozen=True)
class Statistics:
    """The values one tensor took: extremes, and how often which value (bin centres; exact zeros apart) was met."""

    low: float
    high: float
    values: np.ndarray
    counts: np.ndarray

    def percentile_range(self, percentile: float) -> tuple[float, float]:
        """The range that leaves out the same share of values on each side, `percentile` of them inside."""
        order = np.argsort(self.values, kind="stable")
        below = np.cumsum(self.counts[order]) / max(1, self.counts.sum())
        outside = (100 - percentile) / 200
        first, last = np.searchsorted(below, [outside, 1 - outside])
        last = min(last, len(order) - 1)
        inner = self.values[order]
        low = self.low if first == 0 else max(self.low, float(inner[first]))
        return low, self.high if last == len(order) - 1 else min(self.high, float(inner[last]))


def calibrate(network: Network, samples: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[str, Statistics]:
    """Measure the named tensors over checked samples, in two runs: extremes first, then histograms between them."""
    names = list(dict.fromkeys(names))
    extremes = dict.fromkeys(names, (np.inf, -np.inf))
    for batch in run_batches(network, samples, names):
        for name, array in batch.items():
            low, high = extremes[name]
            extremes[name] = (float(np.minimum(low, array.min())), float(np.maximum(high, array.max())))
    for name, bounds in extremes.items():
        if not np.isfinite(bounds).all():
            raise ModelError(f"tensor {name!r} must be finite on the calibration samples, it holds NaN or infinity")
    counts = {name: np.zeros(_BINS, np.int64) for name in names}
    zeros = dict.fromkeys(names, 0)
    for batch in run_batches(network, samples, names):
        for name, array in batch.items():
            counts[name] += _count(array, *extremes[name])
            zeros[name] += array.size - int(np.count_nonzero(array))
    return {name: _statistics(*extremes[name], counts[name], zeros[name]) for name in names}


def combine(parts: Iterable[Statistics]) -> Statistics:
    """The statistics of several tensors taken together."""
    parts = list(parts)
    return Statistics(
        min(part.low for part in parts),
        max(part.high for part in parts),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


def channel_means(
    network: Network, samples: Mapping[str, np.ndarray], axes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The mean of each channel of the named tensors, whose channels lie along the given axis."""
    sums: dict[str, np.ndarray] = {}
    sizes = dict.fromkeys(axes, 0)
    for batch in run_batches(network, samples, axes):
        for name, array in batch.items():
            axis = axes[name] % array.ndim
            part = array.sum(axis=tuple(i for i in range(array.ndim) if i != axis), dtype=np.float64)
            sums[name] = sums[name] + part if name in sums else part
            sizes[name] += array.size // array.shape[axis]
    return {name: total / sizes[name] for name, total in sums.items()}


def _count(array: np.ndarray, low: float, high: float) -> np.ndarray:
    if high <= low:
        return np.zeros(_BINS, np.int64)
    places = ((array.ravel().astype(np.float64) - low) * (_BINS / (high - low))).astype(np.int64)
    return np.bincount(np.minimum(places, _BINS - 1), minlength=_BINS)


def _statistics(low: float, high: float, counts: np.ndarray, zeros: int) -> Statistics:
    if high <= low:
        return Statistics(low, high, np.array([low]), np.array([1]))
    width = (high - low) / _BINS
    centres = low + (np.arange(_BINS) + 0.5) * width
    if low <= 0 <= high:
        counts[min(int((0 - low) * (_BINS / (high - low))), _BINS - 1)] -= zeros
        centres, counts = np.append(centres, 0.0), np.append(counts, zeros)
    return Statistics(low, high, centres, counts)
