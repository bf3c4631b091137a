"""Operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from gatewright import ir
from gatewright.ng import memory
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Elementwise, Operator, View, operands
from gatewright.ng.shapes import Padding, expect_axis, resolve_padding, whole_numbers

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["cast", "concat", "expand_dims", "pad", "reshape", "slice_", "transpose", "upsampling2d"]


@dataclass(eq=False, repr=False)
class reshape(Operator):
    """The same elements, row-major, under another shape; one size may be -1 or None."""

    tensor: Any
    shape: Any
    dtype: dtype_info | None = None
    name: str | None = None

    hint_names = ()

    def __post_init__(self) -> None:
        operands(self, (self.tensor,))
        given = self.shape if isinstance(self.shape, Iterable) else (self.shape,)
        sizes = list(whole_numbers("shape", [-1 if size is None else size for size in given]))
        rest = prod(size for size in sizes if size != -1)
        if sizes.count(-1) == 1 and rest and self.tensor.size % rest == 0:
            sizes[sizes.index(-1)] = self.tensor.size // rest
        if prod(sizes) != self.tensor.size or min(sizes, default=1) < 1:
            raise ArgumentError(f"shape must have {self.tensor.size} elements, not {tuple(given)!r}")
        self._register((self.tensor,), sizes)

    def add_alignment_request(self, words: int) -> None:
        super().add_alignment_request(words)
        self.args[0].add_alignment_request(words)

    def is_alias(self, maxi_datawidth: int) -> bool:
        """Whether operand and result are the same bytes in memory."""
        source = self.args[0]
        sizes = [prod(memory.aligned_shape(tensor, maxi_datawidth)) for tensor in (source, self)]
        return sizes[0] == sizes[1] and memory.ram_width(source.dtype) == memory.ram_width(self.dtype)

    def get_original_shape(self) -> tuple[int, ...]:
        return self.args[0].get_original_shape()

    def lower(self, draft: Draft) -> str:
        value = draft.resized(draft.value(self.args[0]), draft.integer(self))
        return draft.reshaped(value, self.shape)


@dataclass(eq=False, repr=False)
class cast(View):
    """The same values in another type; what does not fit saturates. To the same type it is a view, else a copy."""

    x: Any
    dtype: dtype_info | None
    name: str | None = None

    def __post_init__(self) -> None:
        (shape,) = operands(self, (self.x,))
        self.is_view = self.dtype in (None, self.x.dtype)
        self._register((self.x,), shape)

    def lower(self, draft: Draft) -> str:
        return draft.resized(draft.value(self.args[0]), draft.integer(self))


@dataclass(eq=False, repr=False)
class expand_dims(View):
    """One more axis, of size 1, as numpy.expand_dims."""

    input: Any
    axis: int
    name: str | None = None

    def __post_init__(self) -> None:
        (shape,) = operands(self, (self.input,))
        axis = expect_axis(self.axis, len(shape) + 1)
        self._register((self.input,), (*shape[:axis], 1, *shape[axis:]))

    def lower(self, draft: Draft) -> str:
        return draft.reshaped(draft.value(self.args[0]), self.shape)


@dataclass(eq=False, repr=False)
class transpose(Operator):
    """Axis i of the result is axis `perm[i]` of a; reversed by default. One axis counts as a row of two."""

    a: Any
    perm: Any = None
    dtype: dtype_info | None = None
    name: str | None = None

    hint_names = ()
    transpose_onnx_perm = None

    def __post_init__(self) -> None:
        (shape,) = operands(self, (self.a,))
        self._whole = shape if len(shape) > 1 else (1, *shape)
        order = range(len(self._whole))
        self.transpose_perm = tuple(reversed(order)) if self.perm is None else whole_numbers("perm", self.perm)
        if sorted(self.transpose_perm) != list(order):
            raise ArgumentError(f"perm must order the axes 0..{len(order) - 1}, not {self.perm!r}")
        self.perm = None  # of a record it is the layout in ONNX
        self._register((self.a,), [self._whole[axis] for axis in self.transpose_perm])

    def lower(self, draft: Draft) -> str:
        whole = draft.reshaped(draft.value(self.args[0]), self._whole, "row")
        return draft.move(self, ir.Transpose(self.transpose_perm), whole)


@dataclass(eq=False, repr=False)
class concat(Operator):
    """Tensors of one type one after the other along an axis."""

    values: Sequence[Any]
    axis: int
    dtype: dtype_info | None = None
    name: str | None = None

    hint_names = ()

    def __post_init__(self) -> None:
        shapes = operands(self, self.values)
        if not shapes:
            raise ArgumentError("values must be at least one tensor")
        dtypes = {value.dtype for value in self.values}
        if len(dtypes) > 1:
            raise ArgumentError(f"values must have the same type, not {', '.join(sorted(map(str, dtypes)))}")
        axis = self.axis = expect_axis(self.axis, len(shapes[0]))
        rests = {(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(rests) > 1:
            raise ArgumentError(f"values must have the same shape except along axis {axis}, not {shapes}")
        total = sum(shape[axis] for shape in shapes)
        self._register(self.values, (*shapes[0][:axis], total, *shapes[0][axis + 1 :]))

    def lower(self, draft: Draft) -> str:
        return draft.move(self, ir.Concat(self.axis), *(draft.value(arg) for arg in self.args))


@dataclass(eq=False, repr=False)
class slice_(Operator):
    """`value[begins[0]:ends[0]:strides[0], ...]` as in Python, strides positive."""

    value: Any
    begins: Sequence[int]
    ends: Sequence[int]
    strides: Sequence[int]
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1
    value_ram_size: int | None = None
    out_ram_size: int | None = None

    hint_names = ("par", "value_ram_size", "out_ram_size")

    def __post_init__(self) -> None:
        (shape,) = operands(self, (self.value,))
        for name in ("begins", "ends", "strides"):
            numbers = getattr(self, name)
            if not isinstance(numbers, tuple | list) or len(numbers) != len(shape):
                raise ArgumentError(f"{name} must be {len(shape)} numbers, not {numbers!r}")
            setattr(self, name, whole_numbers(name, numbers))
        if min(self.strides) < 1:
            raise ArgumentError(f"strides must be positive, not {self.strides!r}")
        bounds = zip(shape, self.begins, self.ends, self.strides, strict=True)
        self._bounds = [slice(*bound).indices(size) for size, *bound in bounds]
        sizes = [len(range(*bound)) for bound in self._bounds]
        if min(sizes) < 1:
            raise ArgumentError(f"a slice must not be empty, as {self.begins!r} to {self.ends!r} of {shape} is")
        self._register((self.value,), sizes)

    def _hint(self, name: str, value: Any) -> None:
        if name == "par" and value != 1 and self.strides[-1] != 1:
            raise ArgumentError(f"par must be 1 where the last stride is {self.strides[-1]}, not {value!r}")
        super()._hint(name, value)

    def lower(self, draft: Draft) -> str:
        starts, stops, steps = zip(*self._bounds, strict=True)
        return draft.move(self, ir.Slice(starts, stops, steps), draft.value(self.args[0]))


@dataclass(eq=False, repr=False)
class pad(Operator):
    """An NHWC image with zeros around it: one number for all sides, or (top, bottom, left, right)."""

    value: Any
    padding: Padding
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1
    value_ram_size: int | None = None
    out_ram_size: int | None = None

    hint_names = ("par", "value_ram_size", "out_ram_size")

    def __post_init__(self) -> None:
        (shape,) = operands(self, (self.value,))
        if len(shape) != 4:
            raise ArgumentError(f"value must be (N, H, W, C), not {shape}")
        top, left, bottom, right = resolve_padding(self.padding, shape[1:3], (1, 1), (1, 1), odd_first=False)
        self._pads = (0, 0), (top, bottom), (left, right), (0, 0)
        self._register((self.value,), [size + sum(pair) for size, pair in zip(shape, self._pads, strict=True)])

    def lower(self, draft: Draft) -> str:
        return draft.move(self, ir.Pad(self._pads), draft.value(self.args[0]))


@dataclass(eq=False, repr=False)
class upsampling2d(Elementwise):
    """Each pixel of an NHWC image repeated `factors[1]` times down and `factors[2]` times across."""

    value: Any
    factors: Any
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1

    def __post_init__(self) -> None:
        (shape,) = operands(self, (self.value,))
        factors = whole_numbers("factors", self.factors)
        if len(shape) != 4 or len(factors) != 4 or min(factors) < 1 or factors[0] != 1 or factors[3] != 1:
            raise ArgumentError(f"factors must be (1, rows, columns, 1) for an NHWC image, not {factors} for {shape}")
        self.factors, self._repeats = factors, (factors[1], factors[2])
        self._register((self.value,), [size * factor for size, factor in zip(shape, factors, strict=True)])

    def lower(self, draft: Draft) -> str:
        return draft.move(self, ir.Upsample(self._repeats), draft.value(self.args[0]))
