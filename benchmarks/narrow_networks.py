"""Networks of the bitfusion tables: random integers of chosen widths, from a seed, 8-bit images and 8-bit results."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gatewright import ir

__all__ = ["NETWORKS", "convolution"]

_CENTRE = 2.5  # results are spread over so many deviations on either side


class _Chain:
    """Layers one after the other; activations and weights have these widths, from the second layer on."""

    def __init__(self, name: str, widths: tuple[int, int], image: tuple[int, ...], image_width: int = 8) -> None:
        self.builder = ir.Builder(name)
        self.random = np.random.default_rng(sum(widths))
        self.input_width, self.weight_width = widths
        self.value = self.builder.input("image", ir.TensorType(image, ir.IntType(image_width)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.builder.type_of(self.value).shape

    def _weights(self, shape: tuple[int, ...]) -> str:
        most = (1 << (self.weight_width - 1)) - 1
        values = self.random.integers(-most, most + 1, shape)
        return self.builder.constant(values, ir.IntType(self.weight_width))

    def _requantise(self, sums: str, depth: int, width: int) -> str:
        """To `width` bits, spread over their range."""
        size = 2.0 ** (self._read_width + self.weight_width - 2) / 3 * np.sqrt(depth)
        spread = _CENTRE if width > 2 else _CENTRE / 3  # or most of them would be 0
        shift = max(int(np.rint(np.log2(size * spread / 2.0 ** (width - 1)))), 0)
        kind = ir.IntType(width)
        op = ir.Requantise(0, kind.min, kind.max, ir.Rounding.HALF_UP, kind)
        constants = (self.builder.constant([1], ir.U32), self.builder.constant([shift], ir.IntType(8, signed=False)))
        return self.builder.add(op, sums, *constants)

    @property
    def _read_width(self) -> int:
        """Bits of the value that the next layer reads."""
        return self.builder.type_of(self.value).dtype.width

    def convolution(self, filters: int, size: int = 3, stride: int = 1, pad: int = 1, *, result: int = 0) -> str:
        channels = self.shape[3]
        pads = (pad, pad, pad, pad) if stride == 1 else (0, 0, pad, pad)
        op = ir.Conv2d(strides=(stride, stride), pads=pads)
        sums = self.builder.add(op, self.value, self._weights((filters, size, size, channels)))
        self.value = self._requantise(sums, size * size * channels, result or self.input_width)
        return self.value

    def pool(self) -> None:
        self.value = self.builder.add(ir.MaxPool((2, 2), (2, 2)), self.value)

    def flatten(self) -> None:
        self.value = self.builder.add(ir.Reshape((self.shape[0], int(np.prod(self.shape[1:])))), self.value)

    def product(self, features: int, *, last: bool = False) -> None:
        depth = self.shape[-1]
        sums = self.builder.add(ir.MatMul(), self.value, self._weights((features, depth)))
        self.value = self._requantise(sums, depth, 8 if last else self.input_width)

    def add(self, first: str, second: str) -> None:
        kind = ir.IntType(self.input_width)
        op = ir.Add(1 << 15, 1 << 15, 16, 0, 0, 0, kind.min, kind.max, ir.Rounding.HALF_UP, kind)
        self.value = self.builder.add(op, first, second)

    def average(self) -> None:
        _, height, width, _ = self.shape
        kind = ir.IntType(self.input_width)
        shift = ((height * width).bit_length() - 1) // 2  # a mean of independent values would be small
        bounds = (((height * width, 1),), shift, 0, kind.min, kind.max, ir.Rounding.HALF_UP, kind)
        self.value = self.builder.add(ir.AveragePool((height, width), (1, 1), (0, 0, 0, 0), 0, *bounds), self.value)

    def build(self) -> ir.Graph:
        self.builder.output(self.value)
        return self.builder.build()


def convolution(channels: int, filters: int, size: int, widths: tuple[int, int]) -> ir.Graph:
    """A 3 x 3 convolution that keeps the size, with 8-bit results."""
    chain = _Chain("convolution", widths, (1, size, size, channels), widths[0])
    chain.convolution(filters, result=8)
    return chain.build()


def _lenet5(width: int) -> ir.Graph:
    chain = _Chain("lenet5", (width, width), (1, 28, 28, 1))
    chain.convolution(6, 5, pad=2)
    chain.pool()
    chain.convolution(16, 5, pad=0)
    chain.pool()
    chain.flatten()
    for features in (120, 84):
        chain.product(features)
    chain.product(10, last=True)
    return chain.build()


def _vgg7(width: int) -> ir.Graph:
    chain = _Chain("vgg7", (width, width), (1, 32, 32, 3))
    for filters in (128, 256, 512):
        chain.convolution(filters)
        chain.convolution(filters)
        chain.pool()
    chain.flatten()
    chain.product(1024)
    chain.product(10, last=True)
    return chain.build()


def _resnet18(width: int) -> ir.Graph:
    chain = _Chain("resnet18", (width, width), (1, 32, 32, 3))
    chain.convolution(64)
    for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for step in (stride, 1):
            start = chain.value
            chain.convolution(filters, stride=step)
            deep = chain.convolution(filters)
            if step == 2:
                chain.value = start
                start = chain.convolution(filters, 1, 2, 0)
            chain.add(deep, start)
    chain.average()
    chain.flatten()
    chain.product(10, last=True)
    return chain.build()


NETWORKS: Mapping[str, Callable[[int], ir.Graph]] = {"LeNet-5": _lenet5, "VGG-7": _vgg7, "ResNet-18": _resnet18}
"""By name: the network with this width of activations and weights."""
