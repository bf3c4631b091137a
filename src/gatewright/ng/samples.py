"""Values that placeholders take while a network is quantised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gatewright.ng.draft import as_integers
from gatewright.ng.dtypes import int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.evaluation import expect_names
from gatewright.ng.shapes import clip_threshold
from gatewright.ng.storage import placeholder

__all__ = ["Samples"]

Generator = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Samples:
    """How the inputs of a network look: by the names of placeholders, in integers.

    `factors` say which integer stands for 1.0. Samples come from `generators`, called with the placeholder and their
    number; where there is none, they are drawn from a normal distribution with mean 0 and a deviation of a third of the
    factor, or with `means` and `stds` for each channel, and kept within the range of the type, always the same ones.
    """

    factors: Mapping[str, float]
    means: Mapping[str, Any] = field(default_factory=dict)
    stds: Mapping[str, Any] = field(default_factory=dict)
    generators: Mapping[str, Generator] = field(default_factory=dict)
    count: int = 1

    def __post_init__(self) -> None:
        for name in ("factors", "means", "stds", "generators"):
            if not isinstance(getattr(self, name), Mapping):
                raise ArgumentError(f"input_{name} must be a mapping by name, not {getattr(self, name)!r}")
        if not isinstance(self.count, int) or self.count < 1:
            raise ArgumentError(f"num_samples must be at least 1, not {self.count!r}")

    def expect(self, inputs: Sequence[placeholder]) -> None:
        """Raise an `ArgumentError` where a mapping has a name that is none of these inputs'."""
        for name in ("factors", "means", "stds", "generators"):
            what = "scale_factors" if name == "factors" else name
            expect_names(f"keys of input_{what}", getattr(self, name), inputs)

    def factor(self, record: placeholder) -> float:
        """The integer that stands for 1.0."""
        name = record.name or ""
        if name not in self.factors:
            raise ArgumentError(f"input_scale_factors must have a number for {record.title}")
        factor = self.factors[name]
        if not isinstance(factor, int | float | np.number) or not 0 < factor < np.inf:
            raise ArgumentError(f"scale factor of {record.title} must be a positive number, not {factor!r}")
        return float(factor)

    def draw(self, record: placeholder) -> list[np.ndarray]:
        """Integers of the placeholder's shape and type, as often as asked for."""
        dtype, name = record.dtype or int32, record.name or ""
        if name in self.generators:
            if not callable(self.generators[name]):
                raise ArgumentError(f"generator of {record.title} must be callable, not {self.generators[name]!r}")
            values = np.asarray(self.generators[name](record, self.count))
            if values.size != self.count * record.size:
                expected = (record.shape[0] * self.count, *record.shape[1:])
                raise ArgumentError(f"samples of {record.title} must have shape {expected}, not {values.shape}")
            return [as_integers(np.rint(each), record, dtype) for each in values.reshape(self.count, *record.shape)]
        mean = _per_channel("mean", self.means.get(name, 0.0), record)
        deviation = _per_channel("deviation", self.stds.get(name, self.factor(record) / 3), record)
        high, low = clip_threshold(dtype.width, dtype.signed)
        values = np.random.default_rng(0).normal(size=(self.count, *record.shape)) * deviation + mean
        return list(np.clip(np.rint(values), low, high).astype(dtype.integer.storage))


def _per_channel(name: str, value: Any, record: placeholder) -> np.ndarray:
    """One number, or one for each channel (the last axis), of a placeholder."""
    try:
        array = np.asarray(value, np.float64)
        np.broadcast_to(array, record.shape)
    except (TypeError, ValueError):
        legal = f"a number or one for each of {record.shape[-1]} channels"
        raise ArgumentError(f"{name} of {record.title} must be {legal}, not {value!r}") from None
    return array
