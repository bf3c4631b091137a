"""How a graph's input or output meets the model's own world: type, layout, scale, and the host's steps afterwards."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import prod
from typing import Any

import numpy as np

from gatewright.errors import DataError, GraphError
from gatewright.ir.host import HostStep, model_storage, model_type
from gatewright.ir.numerics import dequantise, quantise
from gatewright.ir.types import TensorType

__all__ = ["Port"]


@dataclass(frozen=True)
class Port:
    """The model's tensor `name` as seen from a graph value of type `type` (which `Builder` fills in).

    graph value = reshape(transpose(model tensor, permutation), type.shape) + zero_point - model_zero_point.
    A real number r of the model is `(graph value - zero_point) · scale`. `model_shape` is that of the model's tensor
    where the graph begins or ends (before `tail`), None for its free dimensions; `model_dtype` is what the caller
    passes or gets (after `tail`). Floating-point inputs go through the steps of `head` before they are quantised, and
    become integers of the graph within `low..high` (None: what the type holds). Rows should begin at multiples of
    `row_alignment` elements, for machines that pad rows in memory.
    """

    name: str
    model_dtype: str
    model_shape: tuple[int | None, ...]
    permutation: tuple[int, ...] | None = None
    scale: float | None = None
    model_zero_point: int = 0
    zero_point: int = 0
    tail: tuple[HostStep, ...] = ()
    type: TensorType | None = None
    head: tuple[HostStep, ...] = ()
    low: int | None = None
    high: int | None = None
    row_alignment: int = 1

    def __post_init__(self) -> None:
        for name in ("model_shape", "permutation", "tail", "head"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))

    def encode(self, array: Any) -> np.ndarray:
        """The graph's integers for an array of the model's input type as it is, or for floats, which are quantised."""
        array = np.asarray(array)
        self._expect(array)
        low, high = self.legal
        if array.dtype.kind == "f" and self.scale is not None:
            if np.isnan(array).any():
                raise DataError(f"{self.name}: values must be numbers, not NaN")
            for step in self.head:
                array = step.apply(array)
            values = quantise(array, self.scale, self.zero_point, low, high)
        else:
            values = array.astype(np.int64) + (self.zero_point - self.model_zero_point)
            if values.min() < low or values.max() > high:
                offset = self.model_zero_point - self.zero_point
                legal = f"{low + offset}..{high + offset}"
                raise DataError(f"{self.name}: values must be {legal}, not {array.min()}..{array.max()}")
        values = values if self.permutation is None else values.transpose(self.permutation)
        return values.reshape(self.graph_type.shape).astype(self.graph_type.dtype.storage)

    def decode(self, values: Any) -> np.ndarray:
        """The model's output for the graph's integers: layout, zero point, host tail, type.

        Where the model's output is floating point and no step of the tail makes it so, `scale` does so first.
        """
        values = np.asarray(values)
        if values.shape != self.graph_type.shape:
            raise DataError(f"{self.name}: integers must be {self.graph_type}, not {list(values.shape)}")
        shape = self.concrete_shape
        if self.permutation is not None:
            order = self.permutation
            values = values.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
        result = values.reshape(shape).astype(np.int64) + (self.model_zero_point - self.zero_point)
        storage = model_storage(self.model_dtype)
        steps = {step.kind for step in self.tail}
        if storage.kind == "f" and self.scale is not None and steps.isdisjoint({"dequantize", "affine"}):
            result = dequantise(result, self.scale, self.model_zero_point)
            for step in reversed(self.head):
                result = step.undo(result)
        for step in self.tail:
            result = step.apply(result)
        return result.astype(storage)

    @property
    def graph_type(self) -> TensorType:
        if self.type is None:
            raise GraphError(f"port {self.name!r} must be bound to a graph value before it encodes or decodes")
        return self.type

    @property
    def offset_by_host(self) -> bool:
        """Whether `(graph value - zero_point) · scale` is not the model's number: the host does more."""
        return bool(self.head) or any(step.kind == "affine" for step in self.tail)

    @property
    def legal(self) -> tuple[int, int]:
        """The least and the greatest integer of an input."""
        dtype = self.graph_type.dtype
        return dtype.min if self.low is None else self.low, dtype.max if self.high is None else self.high

    @property
    def concrete_shape(self) -> tuple[int, ...]:
        """The model's shape with its free dimensions taken from the graph."""
        known, graph = self.model_shape, self.graph_type
        if known.count(None) == 1:
            rest = prod(size for size in known if size is not None)
            shape = tuple(graph.size // rest if size is None else size for size in known)
        elif None in known and len(known) == graph.rank:
            inverse = range(graph.rank) if self.permutation is None else np.argsort(self.permutation)
            shape = tuple(graph.shape[int(axis)] for axis in inverse)
        else:
            shape = tuple(-1 if size is None else size for size in known)
        agrees = len(shape) == len(known) and all(want in (None, size) for size, want in zip(shape, known, strict=True))
        if prod(shape) != graph.size or min(shape, default=1) < 1 or not agrees:
            raise GraphError(f"port {self.name!r}: model shape {_shape_text(known)} must fit {graph}")
        return shape

    def check(self) -> None:
        """Raise `GraphError` where shape, permutation or type cannot be those of the bound graph value."""
        rank = len(self.model_shape)
        if self.permutation is not None and sorted(self.permutation) != list(range(rank)):
            reason = f"permutation must order the axes 0..{rank - 1}, not {self.permutation!r}"
            raise GraphError(f"port {self.name!r}: {reason}")
        if self.scale is not None and not 0 < self.scale < float("inf"):
            raise GraphError(f"port {self.name!r}: scale must be positive, not {self.scale!r}")
        try:
            model_storage(self.model_dtype)
        except TypeError as error:
            raise GraphError(f"port {self.name!r}: model_dtype must be a type, not {self.model_dtype!r}") from error
        _ = self.concrete_shape

    def _expect(self, array: np.ndarray) -> None:
        shape = self.concrete_shape
        integers = model_type(self.model_dtype) is not None and array.dtype == model_storage(self.model_dtype)
        floats = array.dtype.kind == "f" and self.scale is not None
        if array.shape != shape or not (integers or floats):
            kinds = [] if model_type(self.model_dtype) is None else [self.model_dtype]
            kinds += ["floating point"] if self.scale is not None else []
            legal = f"{' or '.join(kinds)} of shape {_shape_text(shape)}"
            raise DataError(
                f"{self.name}: array must be {legal}, not {array.dtype} of shape {_shape_text(array.shape)}"
            )

    @classmethod
    def plain(cls, name: str, type: TensorType) -> "Port":
        """The port of a model whose tensor is the graph's value itself."""
        return cls(name, f"{'int' if type.dtype.signed else 'uint'}{type.dtype.width}", type.shape, type=type)

    def to_json(self) -> dict[str, Any]:
        """Plain data without the fields left at their defaults; `from_json` is the inverse."""
        data: dict[str, Any] = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.default is MISSING or getattr(self, field.name) != field.default
        }
        data = {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}
        for name in ("tail", "head"):
            if name in data:
                data[name] = [step.to_json() for step in getattr(self, name)]
        if self.type is not None:
            data["type"] = str(self.type)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Port":
        data = dict(data)
        for name in ("tail", "head"):
            data[name] = tuple(HostStep.from_json(step) for step in data.get(name, ()))
        if data.get("type") is not None:
            data["type"] = TensorType.parse(data["type"])
        return cls(**data)


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return f"[{','.join('?' if size is None else str(size) for size in shape)}]"
