"""Reductions over the last axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright import ir
from gatewright.ng.dtypes import dtype_info, dtype_int
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Numeric, Operator, operands
from gatewright.ng.shapes import to_axis, to_reduce_shape

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["argmax", "reduce_max", "reduce_sum"]

Axes = int | Sequence[int] | None


class _Reduction(Operator):
    """A function of all elements along `axis`, which must be the last axes (None: all)."""

    axis: Any
    keep_dims: bool

    def _reduce(self, tensor: Numeric, dtype: dtype_info | None = None) -> None:
        (shape,) = operands(self, (tensor,))
        self.axis = to_axis(self.axis, len(shape))
        reduced = range(len(shape)) if self.axis is None else sorted(self.axis)
        if list(reduced) != list(range(len(shape) - len(reduced), len(shape))):
            raise ArgumentError(f"axis must be the last axes of {shape}, not {self.axis!r}")
        self._terms = prod(shape[index] for index in reduced)
        self._register((tensor,), to_reduce_shape(shape, self.axis, self.keep_dims), dtype)

    def _rows(self, draft: Draft) -> str:
        """The operand as rows of what is reduced."""
        value, size = draft.value(self.args[0]), self.args[0].size
        return draft.reshaped(value, (size // self._terms, self._terms), "rows")


@dataclass(eq=False, repr=False)
class reduce_sum(_Reduction):
    """`y = Σ x`, saturating at the range of `dtype`."""

    input_tensor: Any
    axis: Axes = None
    keep_dims: bool = False
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        self._reduce(self.input_tensor)

    def lower(self, draft: Draft) -> str:
        """A product with ones: the sum is exact before it saturates."""
        ones = draft.constant(np.ones((1, self._terms), np.int8), ir.IntType(2), "ones")
        sums = draft.add(ir.MatMul(accumulator=ir.I64), self._rows(draft), ones, part="sum")
        return draft.reshaped(draft.resized(sums, draft.integer(self), part="flat"), self.shape)


@dataclass(eq=False, repr=False)
class reduce_max(_Reduction):
    """`y = max x`. `shape` is NNgen's: it says nothing."""

    input_tensor: Any
    dtype: dtype_info | None = None
    shape: Any = None
    name: str | None = None
    axis: Axes = None
    keep_dims: bool = False
    par: int = 1

    def __post_init__(self) -> None:
        self._reduce(self.input_tensor)

    def lower(self, draft: Draft) -> str:
        largest = draft.add(ir.ReduceMax(), self._rows(draft), part="largest")
        return draft.reshaped(draft.resized(largest, draft.integer(self), part="flat"), self.shape)


@dataclass(eq=False, repr=False)
class argmax(_Reduction):
    """The index of the first of the greatest values. Without `dtype`, the type of x, or wider where indices need it."""

    input_tensor: Any
    axis: Axes = None
    keep_dims: bool = False
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.axis, Sequence) and len(self.axis) > 1:
            raise ArgumentError(f"axis of argmax must be one axis, not {self.axis!r}")
        (shape,) = operands(self, (self.input_tensor,))
        last = prod(shape) - 1 if self.axis is None else shape[to_axis(self.axis, len(shape))[0]] - 1  # type: ignore[index]
        widths = [self.input_tensor.dtype or dtype_int(32), *map(dtype_int, (8, 16, 32, 64))]
        self._reduce(self.input_tensor, next(dtype for dtype in widths if dtype.integer.holds(0, last)))

    def lower(self, draft: Draft) -> str:
        index = draft.add(ir.ArgMax(draft.integer(self)), self._rows(draft), part="index")
        return draft.reshaped(index, self.shape)
