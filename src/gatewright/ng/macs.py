"""Convolution and matrix product."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright import ir
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.ng.products import Product, signed_weights
from gatewright.ng.records import Numeric, operands
from gatewright.ng.shapes import Padding, resolve_padding, whole_numbers

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["conv2d", "matmul"]

_SHIFTS = ("cshamt_mul", "cshamt_sum", "cshamt_out")
_VECTOR_RAMS = ("bias_ram_size", "scale_ram_size", *(f"vshamt_{part}_ram_size" for part in ("mul", "sum", "out")))
_PARALLEL = ("par_ich", "par_och", "par_col", "par_row", "concur_och")


@dataclass(eq=False, repr=False)
class conv2d(Product):
    """Convolution of an NHWC image with an OHWI filter; see `Product` for what follows the sum.

    Padding 'SAME' puts the odd pixel before the image. matmul counts as a subclass, as in NNgen.
    """

    input: Numeric
    filter: Numeric
    strides: tuple[int, ...]
    bias: Numeric | None = None
    scale: Numeric | None = None
    rshift_mul: int | Numeric | None = None
    rshift_sum: int | Numeric | None = None
    rshift_out: int | Numeric | None = None
    act_func: Any = None
    padding: Padding = "SAME"
    asymmetric_clip: bool = False
    dtype: dtype_info | None = None
    mul_dtype: dtype_info | None = None
    sum_dtype: dtype_info | None = None
    name: str | None = None
    par_ich: int = 1
    par_och: int = 1
    par_col: int = 1
    par_row: int = 1
    concur_och: int | None = None
    stationary: str = "filter"
    input_ram_size: int | None = None
    filter_ram_size: int | None = None
    bias_ram_size: int | None = None
    scale_ram_size: int | None = None
    vshamt_mul_ram_size: int | None = None
    vshamt_sum_ram_size: int | None = None
    vshamt_out_ram_size: int | None = None
    out_ram_size: int | None = None
    disable_keep_input: bool = False
    input_shape: tuple[int, ...] | None = None
    filter_shape: tuple[int, ...] | None = None
    out_shape: tuple[int, ...] | None = None

    filter_axis = 0
    hint_names = (
        *_SHIFTS,
        *_PARALLEL,
        "stationary",
        "input_ram_size",
        "filter_ram_size",
        *_VECTOR_RAMS,
        "out_ram_size",
        "disable_keep_input",
    )

    def __post_init__(self) -> None:
        image, kernel = operands(self, (self.input, self.filter))
        image = _alike("input_shape", self.input_shape, image)
        kernel = _alike("filter_shape", self.filter_shape, kernel)
        if len(image) != 4 or len(kernel) != 4:
            raise ArgumentError(f"input must be (N, H, W, C) and filter (O, H, W, I), not {image} and {kernel}")
        if image[3] != kernel[3]:
            raise ArgumentError(f"filter must have {image[3]} input channels, not {kernel[3]}")
        self.strides = expect_strides(self.strides)
        size, window, steps = (image[1], image[2]), (kernel[1], kernel[2]), (self.strides[1], self.strides[2])
        pads = resolve_padding(self.padding, size, window, steps, odd_first=True)
        self._op = ir.Conv2d(steps, pads, accumulator=ir.I64)
        types = ir.TensorType(image, ir.I8), ir.TensorType(kernel, ir.I8)
        try:
            shape = self._op.infer(*types).shape
        except ir.GraphError as error:
            raise ArgumentError(f"conv2d {self.name!r}: {error}") from error
        self._shapes = image, kernel
        self._enter_product(self.input, self.filter, _alike("out_shape", self.out_shape, shape))

    def _weights(self, draft: Draft, signs: np.ndarray | None) -> str:
        if signs is None:
            return draft.reshaped(draft.value(self.args[1]), self._shapes[1], "filter")
        array = expect_known(draft, self, self.args[1]).reshape(self._shapes[1])
        return signed_weights(draft, array, draft.integer(self.args[1]), signs)

    def _sum(self, draft: Draft, weights: str, bias: str | None, shift: np.ndarray) -> str:
        x = draft.reshaped(draft.value(self.args[0]), self._shapes[0], "input")
        rest = () if bias is None else (bias,)
        if shift.any():
            op = ir.RoundedConv2d(self._op.strides, self._op.pads, accumulator=ir.I64)
            node = draft.add(op, x, weights, draft.factor(shift, 8, "shift_mul"), *rest, part="sum")
        else:
            node = draft.add(self._op, x, weights, *rest, part="sum")
        return self._declare(draft, node)


@conv2d.register
@dataclass(eq=False, repr=False)
class matmul(Product):
    """`Σ_k a[..., k] · b[o, k]`, b being (O, K) if `transposed_b`, else (K, O); see `Product` for what follows."""

    a: Numeric
    b: Numeric
    bias: Numeric | None = None
    scale: Numeric | None = None
    transposed_a: bool = False
    transposed_b: bool = False
    rshift_mul: int | Numeric | None = None
    rshift_sum: int | Numeric | None = None
    rshift_out: int | Numeric | None = None
    act_func: Any = None
    asymmetric_clip: bool = False
    dtype: dtype_info | None = None
    mul_dtype: dtype_info | None = None
    sum_dtype: dtype_info | None = None
    name: str | None = None
    par_left_col: int = 1
    par_left_row: int = 1
    par_out_col: int = 1
    concur_out_col: int | None = None
    stationary: str = "right"
    left_ram_size: int | None = None
    right_ram_size: int | None = None
    bias_ram_size: int | None = None
    scale_ram_size: int | None = None
    vshamt_mul_ram_size: int | None = None
    vshamt_sum_ram_size: int | None = None
    vshamt_out_ram_size: int | None = None
    out_ram_size: int | None = None
    disable_keep_left: bool = False

    names = {  # noqa: RUF012 - never changed
        "par_left_col": "par_ich",
        "par_out_col": "par_och",
        "par_left_row": "par_col",
        "concur_out_col": "concur_och",
        "left_ram_size": "input_ram_size",
        "right_ram_size": "filter_ram_size",
        "disable_keep_left": "disable_keep_input",
    }
    hint_names = (
        *_SHIFTS,
        "par_left_col",
        "par_out_col",
        "par_left_row",
        "concur_out_col",
        "stationary",
        "left_ram_size",
        "right_ram_size",
        *_VECTOR_RAMS,
        "out_ram_size",
        *_PARALLEL,
        "input_ram_size",
        "filter_ram_size",
        "disable_keep_left",
    )

    def __post_init__(self) -> None:
        left, right = (shape if len(shape) > 1 else (1, *shape) for shape in operands(self, (self.a, self.b)))
        if len(right) != 2:
            raise ArgumentError(f"b must have 2 axes, not {len(right)}")
        left = (*left[:-2], left[-1], left[-2]) if self.transposed_a else left
        right = right if self.transposed_b else right[::-1]
        if left[-1] != right[1]:
            raise ArgumentError(f"a and b must have the same number of terms, not {left[-1]} and {right[1]}")
        self.par_row, self.filter_axis = 1, 0 if self.transposed_b or len(self.b.shape) == 1 else 1
        self._enter_product(self.a, self.b, (*left[:-1], right[0]))

    def _hint(self, name: str, value: Any) -> None:
        if name != "par_row":  # there is one row only: NNgen takes this wish and forgets it
            super()._hint(name, value)

    def _weights(self, draft: Draft, signs: np.ndarray | None) -> str:
        right = self.args[1]
        array = draft.array(right)
        if array is None:
            if signs is not None:
                expect_known(draft, self, right)
            value = draft.reshaped(draft.value(right), right.shape if len(right.shape) > 1 else (1, *right.shape), "b")
            return value if self.transposed_b else draft.add(ir.Transpose((1, 0)), value, part="weights")
        if signs is None and self.transposed_b and array.ndim == 2:
            return draft.value(right)
        array = array.reshape(-1, array.shape[-1])
        array = array if self.transposed_b else array.T
        if signs is None:
            return draft.constant(array, draft.integer(right), "weights")
        return signed_weights(draft, array, draft.integer(right), signs)

    def _sum(self, draft: Draft, weights: str, bias: str | None, shift: np.ndarray) -> str:
        left = self.args[0].shape
        x = draft.reshaped(draft.value(self.args[0]), left if len(left) > 1 else (1, *left), "a")
        if self.transposed_a:
            rank = max(len(left), 2)
            x = draft.add(ir.Transpose((*range(rank - 2), rank - 1, rank - 2)), x, part="a.transposed")
        rest = () if bias is None else (bias,)
        if not shift.any():
            return self._declare(draft, draft.add(ir.MatMul(accumulator=ir.I64), x, weights, *rest, part="sum"))
        terms, rows = draft.builder.type_of(x).shape[-1], prod(self.shape[:-1])
        x = draft.reshaped(x, (1, rows, 1, terms), "a.image")
        weights = draft.reshaped(weights, (self.shape[-1], 1, 1, terms), "b.filter")
        op = ir.RoundedConv2d(accumulator=ir.I64)
        node = draft.add(op, x, weights, draft.factor(shift, 8, "shift_mul"), *rest, part="sum")
        return self._declare(draft, node)


def expect_strides(strides: Any) -> tuple[int, ...]:
    """Four strides of at least 1, the first and last 1."""
    strides = whole_numbers("strides", strides)
    if len(strides) != 4 or min(strides) < 1 or strides[0] != 1 or strides[3] != 1:
        raise ArgumentError(f"strides must be (1, rows, columns, 1), not {strides!r}")
    return strides


def expect_known(draft: Draft, record: Product, weights: Numeric) -> np.ndarray:
    """The weights of a layer whose scale is negative, which must be known to be turned around."""
    array = draft.array(weights)
    if array is None:
        raise ArgumentError(f"{record.title}: scale must not be negative unless the weights are a variable or constant")
    return array


def _alike(name: str, shape: tuple[int, ...] | None, own: tuple[int, ...]) -> tuple[int, ...]:
    """Another shape of a tensor: same elements, same channels."""
    if shape is None:
        return own
    if prod(shape) != prod(own) or shape[-1] != own[-1]:
        raise ArgumentError(f"{name} must hold {own} with the same last axis, not {tuple(shape)}")
    return tuple(shape)
