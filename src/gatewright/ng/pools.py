"""Pooling of NHWC images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gatewright import ir
from gatewright.ir import Rounding
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.ng.macs import expect_strides
from gatewright.ng.records import Operator, operands
from gatewright.ng.shapes import Padding, resolve_padding

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["Pool", "avg_pool", "avg_pool_serial", "exact_mean", "max_pool", "max_pool_serial"]


class Pool(Operator):
    """A function of windows of `ksize` rows and columns. Padding 'SAME' puts the odd pixel behind the image."""

    ksize: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    overlap: ClassVar[bool] = True
    hint_names = ("par", "value_ram_size", "out_ram_size")

    def __post_init__(self) -> None:
        source: Any = self.value
        (image,) = operands(self, (source,))
        self.strides = expect_strides(self.strides)
        try:
            self.ksize = expect_strides(self.ksize)
        except ArgumentError:
            raise ArgumentError(f"ksize must be (1, rows, columns, 1), not {self.ksize!r}") from None
        if not self.overlap and any(size > stride for size, stride in zip(self.ksize, self.strides, strict=True)):
            raise ArgumentError(f"{type(self).__name__}: ksize must be at most strides, not {self.ksize!r}")
        if len(image) != 4:
            raise ArgumentError(f"value must be (N, H, W, C), not {image}")
        self.kernel, self.steps = (self.ksize[1], self.ksize[2]), (self.strides[1], self.strides[2])
        self.pads = resolve_padding(self.padding, (image[1], image[2]), self.kernel, self.steps, odd_first=False)
        try:
            shape = ir.MaxPool(self.kernel, self.steps, self.pads).infer(ir.TensorType(image, ir.I8)).shape
        except ir.GraphError as error:
            raise ArgumentError(f"{type(self).__name__} {self.name!r}: {error}") from error
        self._register((source,), shape)


@dataclass(eq=False, repr=False)
class max_pool(Pool):
    """`y = max of the window`; padding is the least value of the type."""

    value: Any
    ksize: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding = "SAME"
    dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1
    value_ram_size: int | None = None
    out_ram_size: int | None = None

    def lower(self, draft: Draft) -> str:
        return draft.move(self, ir.MaxPool(self.kernel, self.steps, self.pads), draft.value(self.args[0]))


class max_pool_serial(max_pool):
    """`max_pool` whose windows do not overlap."""

    overlap = False


@dataclass(eq=False, repr=False)
class avg_pool(Pool):
    """`y = Σ of the window / (rows · columns)`, half away from zero; padding counts as zeros."""

    value: Any
    ksize: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding = "SAME"
    dtype: dtype_info | None = None
    sum_dtype: dtype_info | None = None
    name: str | None = None
    par: int = 1
    force_div: bool = False
    value_ram_size: int | None = None
    out_ram_size: int | None = None

    def lower(self, draft: Draft) -> str:
        dtype, old = draft.integer(self), draft.integer(self.args[0])
        count = self.kernel[0] * self.kernel[1]
        low, high = old.min * count, old.max * count
        if self.sum_dtype is not None and not self.sum_dtype.integer.holds(low, high):
            declared = self.sum_dtype.to_str()
            raise ArgumentError(f"{self.title}: sum_dtype must hold sums of {low}..{high}, not be {declared}")
        mul, shift = exact_mean(count, max(-low, high))
        op = ir.AveragePool(
            kernel=self.kernel,
            strides=self.steps,
            pads=self.pads,
            x_zero=0,
            multipliers=((count, mul),),
            shift=shift,
            zero=0,
            low=dtype.min,
            high=dtype.max,
            rounding=Rounding.HALF_AWAY,
            dtype=dtype,
            count_include_pad=True,
        )
        return draft.add(op, draft.value(self.args[0]))


class avg_pool_serial(avg_pool):
    """`avg_pool` whose windows do not overlap."""

    overlap = False


def exact_mean(count: int, largest: int) -> tuple[int, int]:
    """`mul` and `shift` with `half_away(s · mul / 2^shift) = half_away(s / count)` for every |s| up to `largest`.

    With `mul = (2^shift + e) / count` the product is `s · e / (count · 2^shift)` too far from zero. The nearest tie is
    at least `1 / (2 · count)` away, or met exactly: the excess must stay below, and ties stay on their side.
    """
    if count & (count - 1) == 0:
        return 1, count.bit_length() - 1
    for shift in range(ir.numerics.MAX_SHIFT + 1):
        mul = -(-(1 << shift) // count)
        if 2 * largest * (mul * count - (1 << shift)) < 1 << shift:
            return mul, shift
    raise ArgumentError(f"a mean of {count} numbers must have sums of at most {1 << 61}, not {largest}")
