"""A graph under construction from records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gatewright import ir
from gatewright.errors import DataError
from gatewright.ng.dtypes import dtype_info, int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.memory import ram_width
from gatewright.ng.records import Numeric, Operator, as_array
from gatewright.ng.storage import Immediate, Storage, placeholder

_LEAST_BUS = 32  # bits that rows are aligned to in every case

__all__ = ["Draft", "Limits", "as_integers"]


@dataclass(frozen=True)
class Limits:
    """The types a script declared for the products and for the sums of a node."""

    product: dtype_info | None = None
    total: dtype_info | None = None


@dataclass
class Draft:
    """Collects a graph: the value of each record, constants, and for each node the hints of the record it stems from.

    `known` are numbers that replace those of storages, by name; `given` are records (by number) that are graph inputs
    although they could be computed. Records without a type have the type `default`.
    """

    name: str
    known: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[int] = frozenset()
    default: dtype_info = int32

    def __post_init__(self) -> None:
        self.builder = ir.Builder(self.name)
        self.values: dict[int, str] = {}
        self.hints: dict[str, Mapping[str, Any]] = {}
        self.limits: dict[str, Limits] = {}
        self._title = ""
        self._asked: Mapping[str, Any] = {}
        self._counts: Counter[str] = Counter()
        self._factors: dict[tuple[int, ...], str] = {}

    def add_records(self, records: Iterable[Numeric]) -> None:
        """Lower these records, operands before their readers. Constants join the graph when something reads them."""
        for record in records:
            if isinstance(record, placeholder) or record.object_id in self.given:
                name, type = self._unnamed(record), self.type_of(record)
                self.values[record.object_id] = self.builder.input(name, type, self.port(record, name, type))
            elif isinstance(record, Operator) and not isinstance(record, Immediate):
                with self.within(record):
                    self.values[record.object_id] = record.lower(self)

    def port(self, record: Numeric, name: str, type: ir.TensorType) -> ir.Port:
        """How a record meets the host: as it is, its rows aligned if parallelism asks for more than any bus does."""
        words = record.word_alignment
        needed = words * ram_width(record.dtype) > _LEAST_BUS
        return replace(ir.Port.plain(name, type), row_alignment=words if needed else 1)

    def value(self, record: Numeric) -> str:
        """The graph's value of a record."""
        if record.object_id not in self.values:
            array = self.array(record)
            if array is None:
                raise ArgumentError(f"{record.title} must be lowered before it is read")
            title = self._unnamed(record)
            self.values[record.object_id] = self.builder.constant(array, self.dtype(record).integer, title)
        return self.values[record.object_id]

    def array(self, record: Numeric) -> np.ndarray | None:
        """The integers of a variable or constant; None for what is computed or comes from outside."""
        if isinstance(record, placeholder) or record.object_id in self.given:
            return None
        if isinstance(record, Immediate):
            return record.integers()
        if not isinstance(record, Storage):
            return None
        value = self.known.get(record.name, record.value) if record.name else record.value
        if value is None:
            raise DataError(f"{record.title} must have a value: set_value, or {record.name}=array")
        return as_integers(value, record, self.dtype(record))

    def dtype(self, record: Numeric) -> dtype_info:
        return record.dtype or self.default

    def integer(self, record: Numeric) -> ir.IntType:
        return self.dtype(record).integer

    def type_of(self, record: Numeric) -> ir.TensorType:
        return ir.TensorType(record.shape, self.integer(record))

    def add(self, op: ir.Operator, *inputs: str, part: str = "") -> str:
        """Add a node, named after the record being lowered; `part` is for those that are not its result."""
        node = self.builder.add(op, *inputs, name=f"{self._title}.{part}" if part else self._title)
        self.hints[node] = self._asked
        return node

    def constant(self, array: Any, dtype: ir.IntType, part: str) -> str:
        return self.builder.constant(array, dtype, f"{self._title}.{part}")

    def factor(self, numbers: Any, width: int, part: str) -> str:
        """Multipliers (32 bits) or shifts (8 bits) of a Requantise, one number where all are equal."""
        array = np.unique(numbers) if np.unique(numbers).size == 1 else np.asarray(numbers)
        if array.size > 1:
            return self.constant(array, ir.IntType(width, False), part)
        key = (width, int(array[0]))
        if key not in self._factors:
            name = f"{'mul' if width == 32 else 'shift'}{array[0]}"
            self._factors[key] = self.builder.constant(array, ir.IntType(width, False), name)
        return self._factors[key]

    def resized(
        self, value: str, dtype: ir.IntType, low: int | None = None, high: int | None = None, part: str = ""
    ) -> str:
        """The value clipped to low..high and to the range of `dtype`, in that type; itself where that changes nothing.

        This is what happens to every result that does not fit its type: it saturates.
        """
        old = self.builder.type_of(value).dtype
        low = dtype.min if low is None else max(dtype.min, low)
        high = dtype.max if high is None else min(dtype.max, high)
        if old == dtype:
            return value if (low, high) == (dtype.min, dtype.max) else self.add(ir.Clip(low, high), value, part=part)
        op = ir.Requantise(0, low, high, ir.Rounding.FLOOR, dtype)
        return self.add(op, value, self.factor([1], 32, "mul"), self.factor([0], 8, "shift"), part=part)

    def move(self, record: Numeric, op: ir.Operator, *inputs: str) -> str:
        """The result of an operator in the type of the record."""
        same = self.builder.type_of(inputs[0]).dtype == self.integer(record)
        return self.resized(self.add(op, *inputs, part="" if same else "moved"), self.integer(record))

    def reshaped(self, value: str, shape: Iterable[int], part: str = "") -> str:
        """The value under another shape; itself where it has that shape."""
        shape = tuple(shape)
        return value if self.builder.type_of(value).shape == shape else self.add(ir.Reshape(shape), value, part=part)

    def broadcast(self, record: Numeric, shape: tuple[int, ...], part: str) -> str:
        """The record's value repeated to this shape; constants are repeated here."""
        if record.shape == shape:
            return self.value(record)
        array = self.array(record)
        if array is not None:
            return self.constant(np.broadcast_to(array, shape), self.integer(record), part)
        whole = (1,) * (len(shape) - len(record.shape)) + record.shape
        value = self.reshaped(self.value(record), whole, f"{part}.reshaped")
        return value if whole == shape else self.add(ir.Broadcast(shape), value, part=part)

    @contextmanager
    def within(self, record: Numeric) -> Iterator[None]:
        """Name what is added after this record."""
        self._title = self._unnamed(record)
        self._asked = dict(record.asked) if isinstance(record, Operator) else {}
        try:
            yield
        except ir.GraphError as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"{record.title}: {error}") from error

    def _unnamed(self, record: Numeric) -> str:
        """The name of a record, or one made of its kind and a number."""
        if record.name:
            return record.name
        kind = type(record).__name__.rstrip("_")
        self._counts[kind] += 1
        return f"{kind}{self._counts[kind] - 1}"


def as_integers(value: Any, record: Numeric, dtype: dtype_info) -> np.ndarray:
    """Numbers as integers of the record's shape and type; raises `DataError` where they are something else."""
    array = as_array(value, record)
    if array.dtype.kind == "f" and np.array_equal(np.rint(array), array):
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        what = "real numbers (ng.quantize makes them integers)" if array.dtype.kind == "f" else str(array.dtype)
        raise DataError(f"value of {record.title} must be integers, not {what}")
    if array.size != record.size:
        raise DataError(f"value of {record.title} must have shape {record.shape}, not {array.shape}")
    low, high = int(array.min()), int(array.max())
    if not dtype.integer.holds(low, high):
        raise DataError(f"value of {record.title} must fit {dtype.to_str()}, not be {low}..{high}")
    return array.reshape(record.shape).astype(dtype.integer.storage, copy=False)
