"""The records of a define-and-run network: what a script has said so far about each tensor.

A record is made by calling `ng.conv2d` and its like, and may change until a graph is built from it: values are set,
quantisation adjusts shifts, `attribute` gives hints. What it means as integers, `lower` says in operators of `ir`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewright.ng import memory
from gatewright.ng.dtypes import dtype_info, max_dtype
from gatewright.ng.errors import ArgumentError
from gatewright.ng.shapes import expect_power_of_two, join_shapes, to_shape

if TYPE_CHECKING:
    from gatewright.ng.accelerator import Accelerator
    from gatewright.ng.addresses import Placement
    from gatewright.ng.draft import Draft

__all__ = ["Elementwise", "Numeric", "Operator", "View", "closure", "is_elementwise_operator", "operands"]

_created = count()  # the order in which records were made is the order of the address map


class Numeric:
    """A tensor: its type, shape, name, consumers and scale, and where it lies in memory once that is known."""

    dtype: dtype_info | None
    shape: tuple[int, ...]
    name: str | None
    args: tuple[Numeric, ...] = ()
    layout: str | None = None
    onnx_layout: str | None = None
    perm: tuple[int, ...] | None = None

    def _enter(self, dtype: dtype_info | None, shape: Any, name: str | None) -> None:
        """Start the record's life: every constructor ends here."""
        if dtype is not None and not isinstance(dtype, dtype_info):
            raise ArgumentError(f"dtype must be a type such as ng.int8, not {dtype!r}")
        if name is not None and not isinstance(name, str):
            raise ArgumentError(f"name must be a text, not {name!r}")
        self.object_id = next(_created)
        self.dtype, self.name = dtype, name
        self.shape = to_shape(shape)
        self.value: np.ndarray | None = None
        self.consumers: list[Numeric] = []
        self.is_output = False
        self.quantized = False
        self.scale_factor = 1.0
        self.placement: Placement | None = None
        self.accelerator: Accelerator | None = None
        self._alignment = 0

    def __repr__(self) -> str:
        dtype = "None" if self.dtype is None else self.dtype.to_str()
        return f"<{type(self).__name__} {self.name} dtype:{dtype} shape:{self.shape}>"

    @property
    def title(self) -> str:
        """How messages name the record."""
        return f"{type(self).__name__} {self.name!r}" if self.name else f"unnamed {type(self).__name__}"

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    length = size

    def set_value(self, value: Any) -> None:
        """The numbers of a variable: real ones until they are quantised, or integers."""
        if not isinstance(value, np.ndarray | list | tuple):
            raise ArgumentError(f"value of {self.title} must be an array, list or tuple, not {value!r}")
        array = as_array(value, self)
        if array.dtype.kind not in "biuf":
            raise ArgumentError(f"value of {self.title} must hold numbers, not {array.dtype}")
        if not np.isfinite(array).all():
            raise ArgumentError(f"value of {self.title} must be finite")
        if array.size != self.size:
            raise ArgumentError(f"value of {self.title} must have shape {self.shape}, not {array.shape}")
        self.value = array.reshape(self.shape)

    def eval(self, memo: Any = None, input_dict: Any = None, **values: Any) -> np.ndarray:
        """The integers of this tensor alone: `ng.eval([self], **values)[0]`."""
        from gatewright.ng.evaluation import eval as evaluate

        return evaluate([self], **{**(input_dict or {}), **values})[0]

    def attribute(self, *values: Any, **named: Any) -> None:
        if values or named:
            raise ArgumentError(f"{self.title} has no attributes")

    def add_consumer(self, consumer: Numeric) -> None:
        self.consumers.append(consumer)

    def add_alignment_request(self, words: int) -> None:
        """Ask that rows begin at multiples of this many elements."""
        self._alignment = max(self._alignment, words)

    @property
    def word_alignment(self) -> int:
        """The greatest alignment that parallelism asks for, in elements; 0 for none."""
        return self._alignment

    def get_word_alignment(self) -> int:
        """The alignment of rows, in elements."""
        return memory.word_alignment(self, self._placed.maxi_datawidth)

    @property
    def aligned_shape(self) -> tuple[int, ...]:
        """The shape in memory: the last axis rounded up to the alignment."""
        return memory.aligned_shape(self, self._placed.maxi_datawidth)

    @property
    def aligned_length(self) -> int:
        return prod(self.aligned_shape)

    aligned_size = aligned_length

    @property
    def memory_size(self) -> int:
        """Bytes taken in memory."""
        return memory.memory_size(self, self._placed.maxi_datawidth)

    @property
    def addr(self) -> int:
        """The byte address, offset of the whole address space aside; -1 before there is one."""
        place = self.placement
        if place is None or place.global_addr is None:
            return -1
        return place.global_addr + (place.local_addr or 0)

    @property
    def default_global_addr(self) -> int | None:
        return None if self.placement is None else self.placement.global_addr

    @property
    def default_local_addr(self) -> int | None:
        return None if self.placement is None else self.placement.local_addr

    @property
    def global_index(self) -> int | None:
        return None if self.placement is None else self.placement.global_index

    @property
    def local_index(self) -> int | None:
        return None if self.placement is None else 0

    @property
    def _placed(self) -> Placement:
        if self.placement is None:
            needed = "to_verilog, to_ipxact or to_veriloggen"
            raise ArgumentError(f"alignment of {self.title} is known after {needed} only")
        return self.placement

    @property
    def reversed_perm(self) -> list[int] | None:
        return None if self.perm is None else [self.perm.index(axis) for axis in range(len(self.perm))]

    def get_original_shape(self) -> tuple[int, ...]:
        """The shape before reshapes."""
        return self.shape


class Operator(Numeric, ABC):
    """A tensor that is computed. Subclasses are dataclasses whose fields are NNgen's arguments, in its order.

    `hint_names` are the arguments of `attribute`, in order: wishes that change no result. `asked` holds those that
    were made, the others are the compiler's choice.
    """

    hint_names: ClassVar[tuple[str, ...]] = ("par",)
    asked: dict[str, Any]

    @abstractmethod
    def lower(self, draft: Draft) -> str:
        """Add what this record means to the graph under construction; the name of the graph's value."""

    def _register(self, args: Sequence[Numeric], shape: Any, dtype: dtype_info | None = None) -> None:
        """Start the life of an operator over `args`; without a `dtype`, that of the widest argument."""
        for arg in args:
            if not isinstance(arg, Numeric):
                raise ArgumentError(f"operands of {type(self).__name__} must be tensors of gatewright.ng, not {arg!r}")
        for name in ("mul_dtype", "sum_dtype"):
            if not isinstance(getattr(self, name, None), dtype_info | None):
                raise ArgumentError(f"{name} must be a type such as ng.int32, not {getattr(self, name)!r}")
        wanted = getattr(self, "dtype", None) or dtype or max_dtype(arg.dtype for arg in args)
        self.args = tuple(args)
        self.asked = {}
        self._enter(wanted, shape, getattr(self, "name", None))
        for arg in args:
            arg.add_consumer(self)
        self._take_hints()

    def _take_hints(self) -> None:
        """Record hints given to the constructor: fields that are not left at their defaults."""
        defaults: dict[str, Any] = {each.name: each.default for each in fields(self)} if is_dataclass(self) else {}
        names = [name for name in self.hint_names if name in defaults and getattr(self, name) != defaults[name]]
        self.attribute(**{name: getattr(self, name) for name in names})

    def attribute(self, *values: Any, **named: Any) -> None:
        """Record hints, by position or name; None leaves one as it is."""
        if len(values) > len(self.hint_names) or set(named) - set(self.hint_names):
            wrong = sorted(set(named) - set(self.hint_names)) or list(values)
            legal = ", ".join(self.hint_names) or "none"
            raise ArgumentError(f"attributes of {self.title} must be among {legal}, not {wrong}")
        hints = {**dict(zip(self.hint_names, values, strict=False)), **named}
        for name, value in hints.items():
            if value is not None:
                self._hint(name, value)

    def _hint(self, name: str, value: Any) -> None:
        """Check and record one hint. Parallelism asks for alignment of operands and result."""
        if name == "par":
            expect_power_of_two(name, value)
            for tensor in (*self.args, self):
                tensor.add_alignment_request(value)
        elif name.endswith("_ram_size") and (not isinstance(value, int) or value < 1):
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
        setattr(self, name, value)
        self.asked[name] = value


class Elementwise(Operator):
    """An operator that treats each element alone; operands broadcast."""

    def _elementwise(self, *args: Numeric) -> None:
        self._register(args, join_shapes(*operands(self, args)))


class View(Operator):
    """The memory of its operand under another shape or type: alignment and address are those of the operand."""

    hint_names = ()
    is_view = True

    def add_consumer(self, consumer: Numeric) -> None:
        if self.is_view:
            self.args[0].add_consumer(consumer)
        else:
            super().add_consumer(consumer)

    def add_alignment_request(self, words: int) -> None:
        if self.is_view:
            self.args[0].add_alignment_request(words)
        else:
            super().add_alignment_request(words)

    @property
    def word_alignment(self) -> int:
        return self.args[0].word_alignment if self.is_view else self._alignment


def operands(record: Operator, args: Iterable[object]) -> list[tuple[int, ...]]:
    """The shapes of arguments that must be tensors."""
    if not isinstance(args, Iterable):
        raise ArgumentError(f"operands of {type(record).__name__} must be several tensors, not {args!r}")
    shapes = []
    for arg in args:
        if not isinstance(arg, Numeric):
            raise ArgumentError(f"operands of {type(record).__name__} must be tensors of gatewright.ng, not {arg!r}")
        shapes.append(arg.shape)
    return shapes


def as_array(value: Any, record: Numeric) -> np.ndarray:
    """Numbers as an array; rows of different lengths are refused."""
    try:
        return np.asarray(value)
    except ValueError:
        raise ArgumentError(f"value of {record.title} must have rows of one length, shape {record.shape}") from None


def closure(outputs: Iterable[Numeric]) -> list[Numeric]:
    """The records that these depend on and they themselves, in the order of creation: operands come first."""
    found: dict[int, Numeric] = {}
    waiting = list(outputs)
    while waiting:
        record = waiting.pop()
        if record.object_id not in found:
            found[record.object_id] = record
            waiting.extend(record.args)
    return [found[number] for number in sorted(found)]


def is_elementwise_operator(obj: object) -> bool:
    """Whether an object is an operator that treats each element alone."""
    return isinstance(obj, Elementwise)
