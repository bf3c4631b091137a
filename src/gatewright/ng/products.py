"""What convolution and matrix product share: bias, scale, shifts, clip and activation as exact integer operators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewright import ir
from gatewright.ir import Rounding
from gatewright.ng.activations import Activation, leaky_relu_base
from gatewright.ng.draft import Limits
from gatewright.ng.dtypes import dtype_info
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Numeric, Operator
from gatewright.ng.shapes import clip_threshold, expect_power_of_two

if TYPE_CHECKING:
    from gatewright.ng.draft import Draft

__all__ = ["SHIFTS", "Product"]

SHIFTS = ("mul", "sum", "out")
_STATIONARY = dict.fromkeys(("filter", "weight", "right"), "filter") | dict.fromkeys(("input", "act", "left"), "input")


class Product(Operator):
    """`y = act(clip((Σ (x·w >> rshift_mul) >> rshift_sum) + bias) · scale >> rshift_out))`.

    1. Each product is shifted by `rshift_mul`, half up.  2. So is the sum, by `rshift_sum`.  3. `bias` is added, then
    `scale` multiplied.  4. That is shifted by `rshift_out`, half away from zero.  5. It is clipped to the range of
    `dtype`, signed ones symmetrically unless `asymmetric_clip`.  6. `act_func` follows.

    Hints have the names of conv2d, whatever they are called here: `names` says which are called otherwise.
    """

    bias: Numeric | None
    scale: Numeric | None
    act_func: Any
    asymmetric_clip: bool
    mul_dtype: dtype_info | None
    sum_dtype: dtype_info | None
    cshamt_mul: int | None
    cshamt_sum: int | None
    cshamt_out: int | None
    par_och: int
    concur_och: int | None
    filter_axis: int
    names: ClassVar[Mapping[str, str]] = {}

    def _enter_product(self, x: Numeric, w: Numeric, shape: tuple[int, ...]) -> None:
        """Register operands in NNgen's order: x, w, bias, scale, and those shifts that are tensors."""
        vectors = {"bias": self.bias, "scale": self.scale}
        for part in SHIFTS:
            amount = getattr(self, f"rshift_{part}")
            is_vector = isinstance(amount, Numeric)
            setattr(self, f"cshamt_{part}", None if is_vector else _expect_amount(f"rshift_{part}", amount))
            vectors[f"rshift_{part}"] = amount if is_vector else None
        self.vectors = {name: vector for name, vector in vectors.items() if vector is not None}
        for name, vector in self.vectors.items():
            if not isinstance(vector, Numeric) or vector.shape not in ((1,), shape[-1:]):
                raise ArgumentError(f"{name} must be a tensor of shape (1,) or ({shape[-1]},), not {vector!r}")
        kind = self.act_func
        if kind is not None and not (isinstance(kind, type) and issubclass(kind, Activation)):
            raise ArgumentError(f"act_func must be a class such as ng.relu, not {kind!r}")
        for own, shared in self.names.items():
            setattr(self, shared, getattr(self, own))
        self._register((x, w, *self.vectors.values()), shape)
        self.act_func = None if kind is None else kind(self)

    def attribute(self, *values: Any, **named: Any) -> None:
        super().attribute(*values, **named)
        if self.concur_och is not None and self.concur_och % self.par_och:
            raise ArgumentError(f"concur_och must be a multiple of par_och ({self.par_och}), not {self.concur_och!r}")

    def _hint(self, name: str, value: Any) -> None:
        shared = self.names.get(name, name)
        if shared.startswith("cshamt_"):  # no hint: it changes the result
            setattr(self, shared, _expect_amount(shared, value))
            return
        if shared in ("par_ich", "par_och"):
            expect_power_of_two(name, value)
            operands = self.args[:2] if shared == "par_ich" else (*self.args[2:], self)
            for tensor in operands:
                tensor.add_alignment_request(value)
        elif shared in ("par_col", "par_row", "concur_och") and (not isinstance(value, int) or value < 1):
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
        elif shared == "stationary":
            if value not in _STATIONARY:
                raise ArgumentError(f"stationary must be one of {', '.join(_STATIONARY)}, not {value!r}")
            value = _STATIONARY[value]
        super()._hint(shared, value)
        for own in (own for own, other in self.names.items() if other == shared):
            setattr(self, own, value)

    def lower(self, draft: Draft) -> str:
        scale, shift = self.vector(draft, "scale"), self.vector(draft, "rshift_out")
        result = self._finish(draft, self.sums(draft), np.abs(scale), shift)
        return draft.reshaped(result, self.shape)

    def sums(self, draft: Draft) -> str:
        """Add steps 1 to 3 but for the size of the scale: its sign is in the sums already."""
        numbers = {name: self.vector(draft, name) for name in ("scale", "bias", "rshift_mul", "rshift_sum")}
        negative, amount = numbers["scale"] < 0, numbers["rshift_sum"]
        if negative.any() and numbers["rshift_mul"].any():
            raise ArgumentError(f"{self.title}: scale must not be negative where products are shifted")
        weights = self._weights(draft, np.where(negative, -1, 1) if negative.any() else None)
        bias = self._bias(draft, numbers["bias"], amount, negative)
        sums = self._sum(draft, weights, bias, numbers["rshift_mul"])
        if amount.any():
            op = ir.Requantise(0, ir.I64.min, ir.I64.max, Rounding.HALF_UP, ir.I64)
            one, shift = draft.factor([1], 32, "one"), draft.factor(amount, 8, "shift_sum")
            sums = draft.add(op, sums, one, shift, part="shifted")
        return sums

    @abstractmethod
    def _weights(self, draft: Draft, signs: np.ndarray | None) -> str:
        """The weights with output channels first, times the signs if any are negative."""

    @abstractmethod
    def _sum(self, draft: Draft, weights: str, bias: str | None, shift: np.ndarray) -> str:
        """Add the sum of products, each shifted if any number of `shift` is not 0."""

    def _finish(self, draft: Draft, sums: str, scale: np.ndarray, shift: np.ndarray) -> str:
        """Scale, shift, clip and activation."""
        dtype, act = draft.dtype(self), self.act_func
        high, low = clip_threshold(dtype.width, dtype.signed, self.asymmetric_clip)
        factors = draft.factor(scale, 32, "mul"), draft.factor(shift, 8, "shift")
        bounds = act.bounds(low, high) if act else (low, high)
        negative_shift = None
        if isinstance(act, leaky_relu_base) and act.negative_shift and not shift.any():
            negative_shift = act.negative_shift  # sums are not rounded before the slope: one rounding is exact
            bounds = int(ir.numerics.rounding_shift(low, negative_shift, Rounding.HALF_AWAY)), high
        low, high = bounds or (low, high)
        op = ir.Requantise(0, low, high, Rounding.HALF_AWAY, dtype.integer, negative_shift)
        if bounds is not None:
            return draft.add(op, sums, *factors)
        return act.activate(draft, draft.add(op, sums, *factors, part="linear"))

    def _bias(self, draft: Draft, bias: np.ndarray, amount: np.ndarray, negative: np.ndarray) -> str | None:
        """The bias of the sum before it is shifted, for negated weights where the scale is negative.

        `(s + half >> n) + b` is `(s + (b << n) + half) >> n`; its negation rounds ties the other way, as one less does.
        """
        wide = bias.astype(object) * 2 ** amount.astype(object)
        folded = np.where(negative, -wide - (amount > 0), wide)
        if self.bias is not None and self.bias.shape == folded.shape and np.array_equal(folded, bias):
            return draft.value(self.bias)
        if not folded.any():
            return None
        bits = max(int(folded.max()), -int(folded.min()) - 1).bit_length() + 1
        return draft.constant(folded, ir.IntType(min(max(bits, 32), 64)), "bias")

    def vector(self, draft: Draft, name: str) -> np.ndarray:
        """One number for each output channel: of the tensor, the constant shift, or what changes nothing."""
        channels = self.shape[-1]
        vector = self.vectors.get(name)
        if vector is None:
            plain = {"scale": 1, "bias": 0}.get(name)
            number = getattr(self, name.replace("rshift_", "cshamt_")) or 0 if plain is None else plain
            return np.full(channels, number, np.int64)
        array = draft.array(vector)
        if array is None:
            raise ArgumentError(f"{self.title}: {name} must be a variable or constant, not {vector!r}")
        if name.startswith("rshift_") and not 0 <= int(array.min()) <= int(array.max()) <= ir.numerics.MAX_SHIFT:
            raise ArgumentError(f"{self.title}: {name} must be 0..63, not {int(array.min())}..{int(array.max())}")
        return np.broadcast_to(array.astype(np.int64), (channels,))

    def _declare(self, draft: Draft, node: str) -> str:
        """Note the declared types of products and sums."""
        draft.limits[node] = Limits(self.mul_dtype, self.sum_dtype)
        return node


def signed_weights(draft: Draft, array: np.ndarray, dtype: ir.IntType, signs: np.ndarray) -> str:
    """The weights (output channels first) times -1 where the sign says so; a bit wider where they must be."""
    turned = array.astype(np.int64) * signs.reshape(-1, *(1,) * (array.ndim - 1))
    low, high = int(turned.min()), int(turned.max())
    width = dtype.width if dtype.signed else dtype.width + 1
    width += not ir.IntType(width).holds(low, high)
    return draft.constant(turned, ir.IntType(width), "weights")


def _expect_amount(name: str, amount: Any) -> int | None:
    if amount is None:
        return None
    if not isinstance(amount, int | np.integer) or not 0 <= amount <= ir.numerics.MAX_SHIFT:
        raise ArgumentError(f"{name} must be a whole number from 0 to {ir.numerics.MAX_SHIFT}, not {amount!r}")
    return int(amount)
