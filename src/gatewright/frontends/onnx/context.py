"""What the functions of one import share: the graph under construction, and layouts made real in it."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np

from gatewright.frontends.onnx.layout import View
from gatewright.frontends.onnx.options import ImportOptions
from gatewright.ir import Builder, IntType, Operator, Port, Requantise, Reshape, TensorType, Transpose
from gatewright.ir import types as ir_types

__all__ = ["Context", "Unsupported"]

Made = TypeVar("Made")


class Unsupported(Exception):
    """Why a node cannot be imported; the importer adds its name and collects all of them into one `ModelError`."""


class Context:
    """A graph builder that makes each reshape, transposition and accumulator once."""

    def __init__(self, name: str, options: ImportOptions) -> None:
        self.options = options
        self.builder = Builder(name)
        self.notes: list[str] = []
        """What is not exact, as the user should know."""
        self._made: dict[Hashable, Any] = {}
        self._sources: dict[str, str] = {}  # of reshaped values

    def type_of(self, value: str) -> TensorType:
        return self.builder.type_of(value)

    def constant(self, array: np.ndarray, dtype: IntType, name: str) -> str:
        return self.builder.constant(array, dtype, name)

    def add(self, op: Operator, *inputs: str, name: str | None = None) -> str:
        return self.builder.add(op, *inputs, name=name)

    def requantise(self, op: Requantise, value: str, mul: np.ndarray, shift: np.ndarray, name: str) -> str:
        """Add a requantisation by these constants."""
        factors = self.constant(mul, ir_types.U32, f"{name}.mul"), self.constant(shift, ir_types.U8, f"{name}.shift")
        return self.add(op, value, *factors, name=name)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` returns, or returned before for the same key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def input(self, name: str, type: TensorType, port: Port) -> str:
        """The graph input for a model input; asking for it again with another type or port is `Unsupported`."""
        value, *known = self.once(("input", name), lambda: (self.builder.input(name, type, port), type, port))
        if known != [type, port]:
            raise Unsupported(f"input {name!r} must be quantised in one way, not with several scales")
        return value

    def materialise(self, view: View, axes: Sequence[int] | None = None) -> str:
        """A graph value that is the tensor transposed by `axes` (by default, the tensor itself), dense."""
        wanted = view if axes is None else view.transpose(axes)
        if wanted.dense:
            return self._reshaped(view.value, wanted.shape)
        order = wanted.permutation()
        if order is not None:
            stored = [wanted.shape[axis] for axis in order]
            moved = self._transposed(self._reshaped(view.value, stored), np.argsort(order).tolist())
            return self._reshaped(moved, wanted.shape)
        by_stride = sorted(range(len(wanted.factors)), key=lambda index: -wanted.factors[index][1])
        stored = [wanted.factors[index][0] for index in by_stride]
        moved = self._transposed(self._reshaped(view.value, stored), np.argsort(by_stride).tolist())
        return self._reshaped(moved, wanted.shape)

    def reshape(self, view: View, shape: Sequence[int]) -> View:
        """The tensor under another shape: a view where that is possible, else a view of a new value."""
        return view.reshape(shape) or View.of(self.materialise(view), shape)

    def channels(self, view: View) -> int:
        """The size of the last axis in memory: what constants per channel are counted against."""
        return self.type_of(view.value).shape[-1]

    def _reshaped(self, value: str, shape: Sequence[int]) -> str:
        shape = tuple(shape)
        if self.type_of(value).shape == shape:
            return value
        source = self._sources.get(value, value)
        if self.type_of(source).shape == shape:
            return source
        op = Reshape(shape)
        result = self.once((op, source), lambda: self.add(op, source, name=f"{source}.reshaped"))
        self._sources[result] = source
        return result

    def _transposed(self, value: str, axes: Sequence[int]) -> str:
        if list(axes) == sorted(axes):
            return value
        op = Transpose(tuple(axes))
        return self.once((op, value), lambda: self.add(op, value, name=f"{value}.transposed"))
