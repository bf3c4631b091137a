"""Exact integer matrix products and convolutions, through BLAS wherever floating point shows to be exact.

A sum of products of integers is exact in float32 (float64) in any order of addition as long as `Σ |x||w|` stays within
2^24 (2^53): every product and partial sum is then an integer that the format holds. The bound is taken from the data.
"""

import numpy as np
from numpy.typing import DTypeLike

from gatewright.ir.numerics import largest
from gatewright.ir.windows import Pads, Pair, output_size, pad_image, windows

__all__ = ["convolve", "exact_format", "multiply", "signed_sums"]

_BLOCK_ELEMENTS = 1 << 21  # gathered windows at a time: 8 MB of float32 stays near the caches


def exact_format(x: np.ndarray, weights: np.ndarray) -> DTypeLike:
    """The fastest element type in which every sum over a row of `weights` (first axis: outputs) is exact."""
    rows = weights.reshape(len(weights), -1)
    bound = largest(x) * largest(rows) * rows.shape[1]  # crude, but cheap and often enough
    if bound > 1 << 24:
        positive, negative = signed_sums(rows)
        bound = largest(x) * max(int((positive - negative).max()), 1)
    for limit, dtype in ((24, np.float32), (53, np.float64), (62, np.int64)):
        if bound <= 1 << limit:
            return dtype
    return object


def signed_sums(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums of the positive and of the negative numbers of each row."""
    if largest(rows) * rows.shape[1] >= 1 << 62:
        rows = rows.astype(object)
        return np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    positive = np.maximum(rows, 0).sum(axis=1, dtype=np.int64)
    return positive, rows.sum(axis=1, dtype=np.int64) - positive


def multiply(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`x[..., K] · weights[O, K]^T`, exact."""
    dtype = exact_format(x, weights)
    x, step = x.astype(dtype), max(1, _BLOCK_ELEMENTS // weights.shape[1])
    blocks = (weights[start : start + step].astype(dtype) for start in range(0, len(weights), step))
    return np.concatenate([_integers(x @ block.T) for block in blocks], axis=-1)


def convolve(x: np.ndarray, weights: np.ndarray, strides: Pair, pads: Pads, dilations: Pair, groups: int) -> np.ndarray:
    """Convolution of x[N,H,W,C] with weights[O,kh,kw,C/groups]; padding contributes 0; exact."""
    dtype = exact_format(x, weights)
    x, weights = pad_image(x.astype(dtype), pads, 0), weights.astype(dtype)
    if groups > 1 and weights.shape[3] == 1:
        return _integers(_depthwise(x, weights, strides, dilations))
    return _integers(_gathered(x, weights, strides, dilations, groups))


def _gathered(x: np.ndarray, weights: np.ndarray, strides: Pair, dilations: Pair, groups: int) -> np.ndarray:
    """Windows as rows of a matrix (im2col), a block of output rows, or of small images, at a time."""
    outputs, height, width, depth = weights.shape
    view = windows(x, (height, width), strides, dilations)  # [N, OH, OW, C, kh, kw]
    batch, rows, columns = view.shape[:3]
    matrices = weights.reshape(groups, outputs // groups, -1).transpose(0, 2, 1)
    result = np.empty((batch, rows, columns, outputs), weights.dtype)
    step = max(1, _BLOCK_ELEMENTS // (columns * groups * height * width * depth))
    images = max(1, step // rows)
    for image in range(0, batch, images):
        for row in range(0, rows, step):
            block = view[image : image + images, row : row + step]
            taps = block.reshape(*block.shape[:3], groups, depth, height, width).transpose(3, 0, 1, 2, 5, 6, 4)
            sums = taps.reshape(groups, -1, height * width * depth) @ matrices  # [groups, pixels, O/groups]
            pixels = sums.transpose(1, 0, 2).reshape(*block.shape[:3], outputs)
            result[image : image + images, row : row + step] = pixels
    return result


def _depthwise(x: np.ndarray, weights: np.ndarray, strides: Pair, dilations: Pair) -> np.ndarray:
    """One input channel a group: a sum over taps of whole images, with channels repeated for a multiplier."""
    outputs, height, width, _ = weights.shape
    repeat = outputs // x.shape[3]
    x = x.repeat(repeat, axis=3) if repeat > 1 else x
    rows = output_size(x.shape[1], height, strides[0], 0, 0, dilations[0])
    columns = output_size(x.shape[2], width, strides[1], 0, 0, dilations[1])
    result = np.zeros((x.shape[0], rows, columns, outputs), x.dtype)
    for i in range(height):
        for j in range(width):
            top, left = i * dilations[0], j * dilations[1]
            taps = x[:, top : top + strides[0] * rows : strides[0], left : left + strides[1] * columns : strides[1]]
            result += taps[:, :rows, :columns] * weights[:, i, j, 0]
    return result


def _integers(sums: np.ndarray) -> np.ndarray:
    return sums if sums.dtype == object else sums.astype(np.int64)
