"""Convolutions and matrix products on their way into the graph: biases and scales gather until the sum is rounded."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np

from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.exact import ExactTarget, Sums, add_exact_requantise
from gatewright.frontends.onnx.layout import View
from gatewright.frontends.onnx.thresholds import Fit
from gatewright.frontends.onnx.values import Integer, Real, Scaled, Target, add_requantise
from gatewright.ir import I32, I64, Conv2d, IntType, MatMul, Rounding
from gatewright.ir.products import signed_sums

__all__ = ["Convolution", "IntegerSum", "MatrixProduct", "Product", "weight_type"]

_FEW_LEVELS = 32
_WHOLE = 1e-6  # of a step, by which a count of steps may be off


@dataclass(frozen=True, eq=False, kw_only=True)
class Product(Real):
    """`(Σ (x - x_zero) · w + bias) · scale + offset`, with `scale`, `bias` and `offset` one entry a channel.

    `bias` is in steps of the sum, `offset` a real number; together they become the bias of the operator. With
    `negative_shift` k, negative numbers are divided by 2^k at the end: a leaky ReLU.
    """

    name: str
    x: View
    x_zero: int
    weights: np.ndarray  # output channels first
    weight_dtype: IntType
    scale: np.ndarray
    bias: np.ndarray
    offset: np.ndarray
    negative_shift: int | None = None
    key: object = field(default_factory=object)  # the same for products with the same sum

    @property
    def producer(self) -> str:
        return self.name

    @property
    @abstractmethod
    def channel_axis(self) -> int:
        """The axis of the tensor that `scale` and `bias` belong to."""

    @abstractmethod
    def add_to(self, context: Context, bias: np.ndarray | None) -> View:
        """Add the operator with this bias."""

    def scaled_by(self, factor: np.ndarray) -> "Product":
        """The product times `factor`, one number or one a channel.

        Negative factors turn weights and bias around; where a factor is 0, so are they.
        """
        factor = np.broadcast_to(factor, self.scale.shape)
        sign = np.sign(factor).astype(np.int64)
        weights = self.weights * sign.reshape(-1, *(1,) * (self.weights.ndim - 1))
        return replace(
            self,
            weights=weights,
            weight_dtype=weight_type(weights, self.weight_dtype),
            scale=self.scale * np.where(factor == 0, 1.0, np.abs(factor)),
            bias=self.bias * sign,
            offset=self.offset * factor,
            key=object(),
        )

    def biased(self, bias: np.ndarray) -> "Product":
        """The product plus `bias` steps of the sum."""
        return replace(self, bias=self.bias + bias, key=object())

    def plus(self, offset: np.ndarray) -> "Product":
        """The product plus `offset`, one number or one a channel."""
        return replace(self, offset=self.offset + offset, key=object())

    def leaky(self, negative_shift: int) -> "Product":
        """The product with negative numbers divided by `2^negative_shift`."""
        return replace(self, negative_shift=negative_shift)

    def accumulator(self, context: Context) -> IntType:
        """The type of the sum: i32, or i64 where both operands have more than 8 bits and their sums need it."""
        if min(context.type_of(self.x.value).dtype.width, self.weight_dtype.width) <= 8:
            return I32
        low, high = self._sum_bounds(context)
        return I32 if I32.holds(2 * int(low.min()), 2 * int(high.max())) else I64

    @property
    def plain(self) -> bool:
        """Whether nothing but scale and offset was done to the sum."""
        return self.bounds.free and self.negative_shift is None

    @property
    def whole(self) -> bool:
        """Whether there is one scale, and the offset counts whole sums."""
        return not np.ptp(self.scale) and self._whole_offset

    @property
    def _whole_offset(self) -> bool:
        steps = self.offset / self.scale
        return bool((np.abs(steps - np.rint(steps)) <= _WHOLE).all())

    def sums(self, context: Context) -> View:
        """Add the operator; the sums with their bias, without scale and offset."""
        return context.once((self.key, "sums"), lambda: self.add_to(context, self.bias if self.bias.any() else None))

    def accumulate(self, context: Context) -> Scaled:
        """Add the operator; the sum as scaled integers."""
        scale, bias = self._whole_bias()
        view = context.once(self.key, lambda: self.add_to(context, bias if bias.any() else None))
        return Scaled.of(view, scale)

    def quantise(self, context: Context, target: Target, name: str) -> Integer:
        bounded = target.bounded(self.bounds)
        if isinstance(bounded, ExactTarget):
            view = context.once((self.key, bounded), lambda: self._quantise_exactly(context, bounded, name))
            return Integer(view, target.scale, target.zero)
        found = self._nearby(context, bounded)
        if found is not None:
            return Integer(self._fitted(context, found, bounded, name), target.scale, target.zero)
        total = self.accumulate(context)
        value = add_requantise(context, total.view.value, total.scale, 0, bounded, name, self.negative_shift)
        return Integer(total.view.at(value), target.scale, target.zero)

    @property
    def pads_zeros(self) -> bool:
        """Whether some products are left out, as if x were `x_zero`."""
        return False

    def count_thresholds(self, context: Context, target: Target, rows: np.ndarray, name: str) -> Integer:
        """Integers that reach the levels of a target where the product reaches the numbers `rows` [C, K]."""
        found = self._exact_sums(context).count_thresholds(context, target, rows, name)
        return Integer(self._fitted(context, found, target, name))

    def _quantise_exactly(self, context: Context, target: ExactTarget, name: str) -> View:
        found = self._exact_sums(context).round_to(context, target, name)
        return self._fitted(context, found, target, name)

    def _nearby(self, context: Context, target: Target) -> Fit | None:
        """An exact requantisation to a few levels where the offset is no whole number of sums, if there is one.

        A step of so few levels is wide, and an offset rounded to whole sums would move it by much of a sum.
        """
        few = target.high - target.low < _FEW_LEVELS and target.rounding is Rounding.HALF_EVEN
        if self._whole_offset or not few or self.negative_shift is not None:
            return None
        return self._exact_sums(context).round_nearby(target, context.options.multiplier_bits)

    def _fitted(self, context: Context, found: Fit, target: Target, name: str) -> View:
        sums = self.add_to(context, found.bias if found.bias.any() else None)
        return sums.at(add_exact_requantise(context, sums.value, found, target, name))

    def _exact_sums(self, context: Context) -> Sums:
        """The sums without their bias."""
        if self.negative_shift is not None:
            raise Unsupported("no LeakyRelu may stand between it and a QONNX quantiser")
        low, high = self._sum_bounds(context)
        bias, scale, offset = (numbers[:, None] for numbers in (self.bias, self.scale, self.offset))

        def real(sums: np.ndarray) -> np.ndarray:
            return ((sums + bias) * scale + offset).clip(self.bounds.low, self.bounds.high)

        return Sums(real, low, high, self.scale, self.bias * self.scale + self.offset)

    def _sum_bounds(self, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest sum of each channel, without bias."""
        dtype = context.type_of(self.x.value).dtype
        least, most = dtype.min - self.x_zero, dtype.max - self.x_zero
        if self.pads_zeros:
            least, most = min(least, 0), max(most, 0)
        positive, negative = signed_sums(self.weights.reshape(len(self.weights), -1).astype(np.int64))
        return positive * least + negative * most, positive * most + negative * least

    def _whole_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """The scales, and offset and bias together in whole steps of them.

        Where all weights of a channel are 0, its scale says nothing: it may grow until the bias fits 24 bits.
        """
        empty = ~self.weights.reshape(len(self.weights), -1).any(axis=1)
        bias = self.bias * self.scale + self.offset
        scale = np.where(empty, np.maximum(self.scale, np.abs(bias) / 2**24), self.scale)
        kept = scale == self.scale
        steps = np.where(kept, self.bias + np.rint(self.offset / self.scale), np.rint(bias / scale))
        largest = float(np.abs(steps).max(initial=0))
        if largest > I32.max:
            raise Unsupported(f"its bias must fit 32 bits in steps of the sum, not {largest:.3g}")
        return scale, steps.astype(np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Product):
    """A product over windows of an image that is [N, H, W, C] once transposed by `axes`; weights are OHWI."""

    axes: tuple[int, ...]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    groups: int

    @property
    def channel_axis(self) -> int:
        return 1

    @property
    def pads_zeros(self) -> bool:
        return any(self.pads)

    def add_to(self, context: Context, bias: np.ndarray | None) -> View:
        x = context.materialise(self.x, self.axes)
        op = Conv2d(
            strides=self.strides,
            pads=self.pads,
            dilations=self.dilations,
            groups=self.groups,
            x_zero=self.x_zero,
            accumulator=self.accumulator(context),
        )
        value = _add(context, self, op, x, self.weights, bias)
        batch, height, width, channels = context.type_of(value).shape
        image = View.of(value, (batch, channels, height, width), (0, 2, 3, 1))
        return context.reshape(image, self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class MatrixProduct(Product):
    """A product over the last axis; weights are [O, K]. The order in which K is stored moves into the weights."""

    @property
    def channel_axis(self) -> int:
        return len(self.shape) - 1

    def add_to(self, context: Context, bias: np.ndarray | None) -> View:
        x, order = self.x.sorted_last()
        if x.dense:
            return self._product(context, context.materialise(x), self.weights[:, order], bias)
        return self._product(context, context.materialise(self.x), self.weights, bias)

    def _product(self, context: Context, x: str, weights: np.ndarray, bias: np.ndarray | None) -> View:
        op = MatMul(x_zero=self.x_zero, accumulator=self.accumulator(context))
        return View.of(_add(context, self, op, x, weights, bias), self.shape)


@dataclass(frozen=True, eq=False)
class IntegerSum:
    """The sum of a ConvInteger or MatMulInteger: an integer, or a real once it is cast."""

    product: Product

    @property
    def shape(self) -> tuple[int, ...]:
        return self.product.shape

    def integer(self, context: Context) -> Integer:
        """Add the operator."""
        total = self.product.accumulate(context)
        if (total.scale != 1).any():
            raise Unsupported("its bias must fit 24 bits where all weights of a channel are 0")
        return Integer(total.view)


def _add(
    context: Context, product: Product, op: Conv2d | MatMul, x: str, weights: np.ndarray, bias: np.ndarray | None
) -> str:
    operands = [context.constant(weights, product.weight_dtype, f"{product.name}.weight")]
    if bias is not None:
        operands.append(context.constant(bias, I32, f"{product.name}.bias"))
    return context.add(op, x, *operands, name=product.name)


def weight_type(weights: np.ndarray, declared: IntType) -> IntType:
    """The declared type where it is signed and holds the weights, else the narrowest signed type of at least its width.

    Weights with a zero point may need a bit more than the model stored; machines refuse operands too wide for them.
    """
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    width = declared.width
    while not IntType(width).holds(low, high):
        width += 1
    return IntType(width)
