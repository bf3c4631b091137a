"""Tensors that are not computed: inputs, variables, constants, and numbers made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright.ng.dtypes import dtype_info, int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Elementwise, Numeric
from gatewright.ng.shapes import to_shape

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = [
    "Immediate",
    "Storage",
    "constant",
    "full",
    "full_imm",
    "full_imm_like",
    "full_like",
    "ones",
    "ones_imm",
    "ones_imm_like",
    "ones_like",
    "placeholder",
    "variable",
    "zeros",
    "zeros_imm",
    "zeros_imm_like",
    "zeros_like",
]


class Storage(Numeric):
    """A tensor that lies in memory before a run begins."""


class placeholder(Storage):
    """An input: each run gives it integers, by its name."""

    def __init__(self, dtype: dtype_info, shape: Any = None, name: str | None = None) -> None:
        if shape is None:
            raise ArgumentError(f"placeholder {name!r} must have a shape")
        self._enter(dtype, shape, name)


class variable(Storage):
    """Weights and other parameters, set with `set_value`."""

    def __init__(self, dtype: dtype_info, shape: Any = None, name: str | None = None) -> None:
        if shape is None:
            raise ArgumentError(f"variable {name!r} must have a shape")
        self._enter(dtype, shape, name)


class constant(Storage):
    """Numbers known from the start."""

    def __init__(self, value: Any, dtype: dtype_info | None = None, shape: Any = None, name: str | None = None) -> None:
        if not isinstance(value, np.ndarray | list | tuple):
            raise ArgumentError(f"value of a constant must be an array, list or tuple, not {value!r}")
        array = np.asarray(value)
        self._enter(dtype, (array.shape or (1,)) if shape is None else shape, name)
        self.set_value(array)


class zeros(constant):
    """Zeros in memory."""

    def __init__(self, shape: Any, dtype: dtype_info | None = None, name: str | None = None) -> None:
        super().__init__(np.zeros(to_shape(shape), np.int64), dtype, shape, name)


class ones(constant):
    """Ones in memory."""

    def __init__(self, shape: Any, dtype: dtype_info | None = None, name: str | None = None) -> None:
        super().__init__(np.ones(to_shape(shape), np.int64), dtype, shape, name)


class full(constant):
    """One number in every element, in memory."""

    def __init__(self, shape: Any, fill_value: int, dtype: dtype_info | None = None, name: str | None = None) -> None:
        self.fill_value = fill_value
        super().__init__(np.full(to_shape(shape), fill_value), dtype, shape, name)


def zeros_like(x: Numeric, dtype: dtype_info | None = None, name: str | None = None) -> zeros:
    """Zeros of the shape of x."""
    return zeros(x.shape, dtype, name)


def ones_like(x: Numeric, dtype: dtype_info | None = None, name: str | None = None) -> ones:
    """Ones of the shape of x."""
    return ones(x.shape, dtype, name)


def full_like(x: Numeric, fill_value: int, dtype: dtype_info | None = None, name: str | None = None) -> full:
    """One number in the shape of x."""
    return full(x.shape, fill_value, dtype, name)


class Immediate(Elementwise):
    """One number in every element, which takes no memory."""

    fill_value: int

    def lower(self, draft: Draft) -> str:
        return draft.value(self)

    def _fill(self) -> None:
        self._register((), self.shape)
        if not (self.dtype or int32).integer.holds(self.fill_value, self.fill_value):
            raise ArgumentError(f"fill_value must fit {(self.dtype or int32).to_str()}, not be {self.fill_value!r}")

    def integers(self) -> np.ndarray:
        return np.full(self.shape, self.fill_value, (self.dtype or int32).integer.storage)


@dataclass(eq=False, repr=False)
class _Filled(Immediate):
    shape: Any
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        self._fill()


class zeros_imm(_Filled):
    """Zeros that take no memory."""

    fill_value = 0


class ones_imm(_Filled):
    """Ones that take no memory."""

    fill_value = 1


@dataclass(eq=False, repr=False)
class full_imm(Immediate):
    """One number in every element that takes no memory."""

    shape: Any
    fill_value: int
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        self._fill()


def zeros_imm_like(x: Numeric, dtype: dtype_info | None = None, name: str | None = None, par: int = 1) -> zeros_imm:
    """Zeros of the shape of x."""
    return zeros_imm(x.shape, dtype, name, par)


def ones_imm_like(x: Numeric, dtype: dtype_info | None = None, name: str | None = None, par: int = 1) -> ones_imm:
    """Ones of the shape of x."""
    return ones_imm(x.shape, dtype, name, par)


def full_imm_like(
    x: Numeric, fill_value: int, dtype: dtype_info | None = None, name: str | None = None, par: int = 1
) -> full_imm:
    """One number in the shape of x."""
    return full_imm(x.shape, fill_value, dtype, name, par)
