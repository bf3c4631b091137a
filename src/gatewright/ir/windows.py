"""Arithmetic of sliding windows, shared by convolution and pooling."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewright.ir.operator import require
from gatewright.ir.types import TensorType

__all__ = ["Pads", "Pair", "expect_image", "expect_windows", "output_size", "pad_image", "valid_taps", "windows"]

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, left, bottom, right


def output_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """How many windows fit along one axis; zero or less when none does."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def expect_image(x: TensorType) -> None:
    """Raise `GraphError` unless `x` is [N, H, W, C]."""
    require(x.rank == 4, f"x must be [N, H, W, C], not {x}")


def expect_windows(x: TensorType, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair = (1, 1)) -> tuple[int, int]:
    """Output height and width; raises `GraphError` where attributes are impossible or no window fits."""
    for name, value in (("kernel", kernel), ("strides", strides), ("dilations", dilations)):
        require(len(value) == 2 and min(value) >= 1, f"{name} must be two numbers of at least 1, not {value!r}")
    require(len(pads) == 4 and min(pads) >= 0, f"pads must be (top, left, bottom, right) of at least 0, not {pads!r}")
    height = output_size(x.shape[1], kernel[0], strides[0], pads[0], pads[2], dilations[0])
    width = output_size(x.shape[2], kernel[1], strides[1], pads[1], pads[3], dilations[1])
    require(min(height, width) >= 1, f"a window of {kernel} must fit the padded image, not {x} with pads {pads}")
    return height, width


def pad_image(x: np.ndarray, pads: Pads, value: int) -> np.ndarray:
    """The image with `value` around it; `x` itself where there is nothing to pad."""
    top, left, bottom, right = pads
    if not any(pads):
        return x
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def windows(x: np.ndarray, kernel: Pair, strides: Pair, dilations: Pair = (1, 1)) -> np.ndarray:
    """A view [N, OH, OW, C, kh, kw] of the windows of an already padded image."""
    extent = tuple(dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True))
    view = sliding_window_view(x, extent, axis=(1, 2))
    return view[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]


def valid_taps(size: int, kernel: int, stride: int, before: int, after: int) -> np.ndarray:
    """For each window along one axis, how many of its taps lie in the image rather than in the padding."""
    first = np.arange(output_size(size, kernel, stride, before, after)) * stride - before
    return np.maximum(np.minimum(first + kernel, size) - np.maximum(first, 0), 0)
