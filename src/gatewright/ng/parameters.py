"""Real parameters as integers: symmetric around zero, one scale a tensor, or one a filter where it has a place."""

from __future__ import annotations

import numpy as np

from gatewright.ng.dtypes import dtype_info, int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.products import Product
from gatewright.ng.records import Numeric
from gatewright.ng.shapes import clip_threshold
from gatewright.ng.storage import Storage, placeholder

__all__ = ["quantise_parameters", "quantise_values"]

_MEASURED = 1 << 16  # numbers of a tensor that errors are measured on
_WIDEST = 16  # bits of a quantised parameter, whatever its type
_SHARES = np.linspace(1.0, 0.3, 71)  # of the largest value, that become the greatest integer below 8 bits


def quantise_values(record: Numeric, factor: float | None = None) -> None:
    """Integers of a variable or constant: `round(value · factor)` within the range of its type.

    Without a factor the largest value takes the greatest integer; below 8 bits, outliers are cut off where that makes
    the mean squared error least. Placeholders, computed tensors and what is quantised already stay as they are.
    """
    if not _is_open(record):
        return
    value, dtype = _real(record), record.dtype or int32
    record.scale_factor = _best_factor(value, dtype) if factor is None else factor
    record.value = _integers(value, record.scale_factor, dtype)
    record.quantized = True


def quantise_parameters(record: Product) -> np.ndarray | None:
    """Weights, scale and bias of a layer; returns the real numbers of the scale.

    1. Where the scale has a number for each filter and at least twice the width of the weights, each filter is made as
       large as the largest, and its scale smaller by as much.
    2. Weights and scale take their whole range, unless the bias, in steps of the sum, would not fit its type: then the
       weights are scaled down.  3. The bias follows.
    """
    x, w = record.args[:2]
    bias, scale = record.bias, record.scale
    if _separable(record):
        _equalise(record)
    shifts = 2.0 ** ((record.cshamt_mul or 0) + (record.cshamt_sum or 0))
    if _is_open(w):
        quantise_values(w, min(_best_factor(_real(w), w.dtype or int32), _most(bias, shifts / x.scale_factor)))
    real = None if scale is None or not _is_open(scale) else _real(scale)
    if scale is not None:
        quantise_values(scale)
    if bias is not None:
        quantise_values(bias, x.scale_factor * w.scale_factor / shifts)
    return real


def _best_factor(value: np.ndarray, dtype: dtype_info) -> float:
    """The integer that stands for 1.0."""
    high, _ = clip_threshold(min(dtype.width, _WIDEST), dtype.signed)
    largest = float(np.abs(value).max())
    if largest == 0:
        return 1.0
    if dtype.width >= 8:
        return high / largest

    some = value.ravel()[:: -(-value.size // _MEASURED)]

    def error(share: float) -> float:
        factor = high / (largest * share)
        return float(np.square(_integers(some, factor, dtype) / factor - some).mean())

    return high / (largest * min(_SHARES, key=error))


def _integers(value: np.ndarray, factor: float, dtype: dtype_info) -> np.ndarray:
    wide = min(dtype.width, _WIDEST) if dtype.width < _WIDEST else dtype.width
    high, low = clip_threshold(wide, dtype.signed)
    return np.clip(np.rint(value * factor), low, high).astype(np.int64)


def _most(bias: Numeric | None, step: float) -> float:
    """The factor of the weights up to which the bias fits its type."""
    if bias is None or not _is_open(bias):
        return np.inf
    dtype, largest = bias.dtype or int32, float(np.abs(_real(bias)).max())
    high, _ = clip_threshold(dtype.width, dtype.signed)
    return high * step / largest if largest else np.inf


def _separable(record: Product) -> bool:
    """Whether each filter may have a scale of its own."""
    w, scale, bias = record.args[1], record.scale, record.bias
    parts = [part for part in (w, scale, bias) if part is not None]
    alone = all(_is_open(part) and len(part.consumers) == 1 for part in parts)
    if scale is None or not alone or (record.shape[-1] > 1 and any(part.shape == (1,) for part in parts[1:])):
        return False
    weights = w.dtype or int32
    return weights.signed and min((scale.dtype or int32).width, _WIDEST) >= 2 * weights.width


def _equalise(record: Product) -> None:
    w, scale, bias = record.args[1], record.scale, record.bias
    assert scale is not None
    filters = np.moveaxis(_real(w), record.filter_axis, 0)
    sizes = np.abs(filters.reshape(len(filters), -1)).max(axis=1)
    kept_bits = min((scale.dtype or int32).width, _WIDEST) - (w.dtype or int32).width  # of the least scale
    sizes = np.maximum(sizes / max(sizes.max(), np.finfo(float).tiny), 2.0**-kept_bits)
    w.value = np.moveaxis(filters / sizes.reshape(-1, *(1,) * (filters.ndim - 1)), 0, record.filter_axis)
    scale.value = _real(scale) * sizes
    if bias is not None:
        bias.value = _real(bias) / sizes


def _is_open(record: Numeric) -> bool:
    """Whether the record is a variable or constant that is not quantised yet."""
    return isinstance(record, Storage) and not isinstance(record, placeholder) and not record.quantized


def _real(record: Numeric) -> np.ndarray:
    if record.value is None:
        raise ArgumentError(f"{record.title} must have a value to be quantised")
    return np.asarray(record.value, np.float64)
