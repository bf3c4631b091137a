"""What quantisation loses, measured on samples, and how far the true loss may be from that."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

__all__ = ["Estimate", "Loss", "estimate", "largest_share", "top1_loss"]

Loss = Callable[[np.ndarray, np.ndarray], float]
"""What is lost, from the first output of the float network and of the quantised one for the same samples."""

_GROUPS = 16  # of a jackknife
_BISECTIONS = 50


@dataclass(frozen=True)
class Estimate:
    """A loss on some samples; with the confidence asked for, the loss on all like them is at most `most`."""

    loss: float
    margin: float
    samples: int

    @property
    def most(self) -> float:
        return self.loss + self.margin


def top1_loss(exact: np.ndarray, found: np.ndarray) -> float:
    """The share of samples whose largest score stands elsewhere."""
    return float(np.mean(_largest(exact) != _largest(found)))


def estimate(
    measure: Loss, exact: np.ndarray, found: np.ndarray, labels: np.ndarray | None, confidence: float
) -> Estimate:
    """The loss of samples drawn alike, [samples, ...] of scores each; with `labels`, the drop of accuracy.

    Shares of samples have the exact limits of the binomial distribution. A drop is the share that gets wrong less the
    share that gets right: their margins add up as squares do. Any other measure has the standard error of a jackknife.
    """
    if labels is None and measure is not top1_loss:
        return Estimate(measure(exact, found), _jackknife(measure, exact, found, confidence), len(exact))
    wanted = _largest(exact) if labels is None else labels
    before, after = _largest(exact) == wanted, _largest(found) == wanted
    count, worse, better = len(exact), int(np.sum(before & ~after)), int(np.sum(after & ~before))
    above = largest_share(worse, count, confidence) - worse / count
    below = better / count - (1 - largest_share(count - better, count, confidence))
    return Estimate((worse - better) / count, math.hypot(above, below), count)


def largest_share(found: int, count: int, confidence: float) -> float:
    """The largest share of a population of which `count` samples may have shown no more than `found` (Clopper and
    Pearson's upper limit): as few come up with a chance of `1 - confidence`.
    """
    if found >= count:
        return 1.0
    ways = [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(found + 1)]
    low, high = found / count, 1.0
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        chance = sum(
            math.exp(way + k * math.log(share) + (count - k) * math.log1p(-share)) for k, way in enumerate(ways)
        )
        low, high = (share, high) if chance > 1 - confidence else (low, share)
    return high


def _jackknife(measure: Loss, exact: np.ndarray, found: np.ndarray, confidence: float) -> float:
    """Quantile of the normal distribution times the standard error, from leaving out one group of samples after the
    other; infinite for a single sample.
    """
    groups = min(_GROUPS, len(exact))
    if groups < 2:
        return math.inf
    member = np.arange(len(exact)) % groups
    without = [measure(exact[member != group], found[member != group]) for group in range(groups)]
    error = math.sqrt((groups - 1) * float(np.var(without)))
    return NormalDist().inv_cdf(confidence) * error


def _largest(scores: np.ndarray) -> np.ndarray:
    return scores.reshape(len(scores), -1).argmax(axis=1)
