"""What convolution and matrix product share: the zero point before the products, the bias and the accumulator after."""

from collections.abc import Sequence

import numpy as np

from gatewright.ir.numerics import largest
from gatewright.ir.operator import require
from gatewright.ir.types import IntType, TensorType

__all__ = ["expect_accumulator", "expect_bias", "finish", "shifted"]


def expect_bias(types: Sequence[TensorType], outputs: int) -> None:
    """Raise `GraphError` unless the third operand, if any, has one number for each output channel."""
    for bias in types[2:]:
        require(bias.shape == (outputs,), f"bias must be [{outputs}], not {bias}")


def expect_accumulator(dtype: IntType) -> None:
    """Raise `GraphError` unless sums may be negative."""
    require(dtype.signed, f"accumulator must be signed, not {dtype}")


def shifted(x: np.ndarray, zero: int) -> np.ndarray:
    """`x - zero`, exact."""
    if zero == 0:
        return x
    wide = largest(x) + abs(zero)
    return x.astype(np.int32 if wide < 1 << 31 else np.int64 if wide < 1 << 63 else object) - zero


def finish(sums: np.ndarray, bias: Sequence[np.ndarray], accumulator: IntType) -> np.ndarray:
    """Sums with their bias in the accumulator's storage; raises `GraphError` where the final sum does not fit."""
    for numbers in bias:
        fits = sums.dtype != object and largest(sums) + largest(numbers) < 1 << 63
        sums = sums + numbers if fits else sums.astype(object) + numbers.astype(object)
    low, high = int(sums.min()), int(sums.max())
    require(accumulator.holds(low, high), f"sums of {low}..{high} must fit the accumulator {accumulator}")
    return sums.astype(accumulator.storage)
