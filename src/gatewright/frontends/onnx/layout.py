"""Where the elements of a model's tensor lie in a graph value: layouts are tracked, not computed.

ONNX convolutions work on [N, C, H, W], the graph on [N, H, W, C]. A `View` says how a tensor of the model is stored, so
that Transpose, Reshape and Flatten of the model cost nothing until an operator needs another order in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

__all__ = ["Factor", "View", "channels_last", "port_order"]

Factor = tuple[int, int]  # size, stride in elements


def channels_last(rank: int) -> tuple[int, ...]:
    """The order of axes that takes [N, C, ...] to [N, ..., C]."""
    return (0, *range(2, rank), 1)


def port_order(axes: Sequence[int] | None) -> tuple[int, ...] | None:
    """The `permutation` of a port whose tensor is stored with its axes in this order; None where nothing moves."""
    return None if axes is None or list(axes) == sorted(axes) else tuple(axes)


@dataclass(frozen=True)
class View:
    """A tensor of `shape` in the dense, row-major graph value `value`.

    `factors` are the mixed-radix digits of the tensor's row-major index, outermost first, each with its stride in the
    value: element i of the tensor is at offset `Σ digit · stride`. Digits of size 1 are left out and neighbours that
    are contiguous in the value are merged, so equal layouts have equal factors.
    """

    value: str
    shape: tuple[int, ...]
    factors: tuple[Factor, ...]

    @classmethod
    def of(cls, value: str, shape: Sequence[int], axes: Sequence[int] | None = None) -> "View":
        """The tensor of `shape` whose transposition by `axes` is the dense value (by default, itself)."""
        shape = tuple(shape)
        axes = tuple(range(len(shape)) if axes is None else axes)
        dense = cls(value, tuple(shape[axis] for axis in axes), _canonical([(prod(shape), 1)]))
        return dense.transpose([int(axis) for axis in np.argsort(axes)])

    def at(self, value: str) -> "View":
        """The same layout in another value."""
        return replace(self, value=value)

    @property
    def dense(self) -> bool:
        """Whether the tensor lies in the value in its own row-major order."""
        return len(self.factors) <= 1

    def transpose(self, axes: Sequence[int]) -> "View":
        """The tensor whose axis i is axis `axes[i]` of this one."""
        groups = self._axes()
        factors = [factor for axis in axes for factor in groups[axis]]
        return View(self.value, tuple(self.shape[axis] for axis in axes), _canonical(factors))

    def reshape(self, shape: Sequence[int]) -> "View | None":
        """The same elements in row-major order under another shape; None where that is no view of the value."""
        if _split(self.factors, shape) is None:
            return None
        return replace(self, shape=tuple(shape))

    def permutation(self) -> tuple[int, ...] | None:
        """The order of axes in which the tensor is dense; None where an axis is torn apart."""
        groups = [_canonical(group) for group in self._axes()]
        if any(len(group) > 1 for group in groups):
            return None
        long = [axis for axis, group in enumerate(groups) if group]
        by_stride = iter(sorted(long, key=lambda axis: -groups[axis][0][1]))
        return tuple(next(by_stride) if group else axis for axis, group in enumerate(groups))

    def sorted_last(self) -> "tuple[View, np.ndarray]":
        """The tensor with its last axis in the order of memory, and that order: stored position to index."""
        *groups, last = self._axes()
        order = sorted(range(len(last)), key=lambda position: -last[position][1])
        factors = [factor for group in groups for factor in group] + [last[position] for position in order]
        indices = np.arange(self.shape[-1]).reshape([size for size, _ in last]).transpose(order).reshape(-1)
        return replace(self, factors=_canonical(factors)), indices

    def _axes(self) -> list[list[Factor]]:
        groups = _split(self.factors, self.shape)
        assert groups is not None, "a view's factors always divide its shape"
        return groups


def _canonical(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    merged: list[Factor] = []
    for size, stride in factors:
        if size == 1:
            continue
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    return tuple(merged)


def _split(factors: Sequence[Factor], shape: Sequence[int]) -> list[list[Factor]] | None:
    """The factors of each axis of `shape`; None where an axis would end inside a factor that it does not divide."""
    rest = list(reversed(factors))
    groups: list[list[Factor]] = []
    for size in shape:
        group: list[Factor] = []
        while size > 1:
            if not rest:
                return None
            factor, stride = rest.pop()
            if size % factor and factor % size:
                return None
            if factor > size:
                rest.append((factor // size, stride))
                factor, stride = size, stride * (factor // size)
            group.append((factor, stride))
            size //= factor
        groups.append(group)
    return None if rest else groups
