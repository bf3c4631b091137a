"""Networks that the benchmarks measure and that no file holds: built from a seed, integers from the start."""

from __future__ import annotations

import numpy as np

from gatewright import ir

__all__ = ["small", "vgg8"]


_UNIFORM = 74.0  # root mean square of int8 values that are all equally likely
_WANTED = 45.0  # deviation of the results of a layer: seldom clipped, far from zero
_OF_FOUR = 1.4  # measured: how much larger the largest of four neighbours is after ReLU, in root mean square


class _Chain:
    """Layers one after the other, int8, power-of-two scales: requantisation is a shift.

    Shifts are chosen so that results stay spread over the range of int8 from layer to layer: were they all small, a
    wrong sum would not show in the output. `size` is the root mean square expected of the present values.
    """

    def __init__(self, name: str, shape: tuple[int, ...], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.builder = ir.Builder(name)
        self.shape = shape
        self.size = _UNIFORM
        self.value = self.builder.input("image", ir.TensorType(shape, ir.I8))

    def _weights(self, shape: tuple[int, ...]) -> str:
        return self.builder.constant(self.random.integers(-127, 128, shape), ir.I8)

    def _requantise(self, value: str, depth: int, *, relu: bool) -> None:
        # A sum of many products has a normal distribution; ReLU leaves half of it.
        deviation = self.size * _UNIFORM * np.sqrt(depth)
        shift = int(np.rint(np.log2(deviation / _WANTED)))
        self.size = deviation / 2**shift * (np.sqrt(0.5) if relu else 1)
        mul, shifts = self.builder.constant([1], ir.U32), self.builder.constant([shift], ir.IntType(8, signed=False))
        low = 0 if relu else -128
        self.value = self.builder.add(ir.Requantise(0, low, 127, ir.Rounding.HALF_UP, ir.I8), value, mul, shifts)

    def convolution(self, name: str, filters: int, *, pool: bool = False) -> None:
        batch, height, width, channels = self.shape
        bias = self.builder.constant(self.random.integers(-(1 << 12), 1 << 12, filters), ir.I32)
        weights = self._weights((filters, 3, 3, channels))
        sums = self.builder.add(ir.Conv2d(pads=(1, 1, 1, 1)), self.value, weights, bias, name=name)
        self._requantise(sums, 9 * channels, relu=True)
        self.shape = (batch, height, width, filters)
        if pool:
            self.value = self.builder.add(ir.MaxPool((2, 2), (2, 2)), self.value)
            self.shape = (batch, height // 2, width // 2, filters)
            self.size *= _OF_FOUR

    def product(self, name: str, features: int, *, relu: bool = True) -> None:
        depth = int(np.prod(self.shape[1:]))
        if len(self.shape) > 2:
            self.value = self.builder.add(ir.Reshape((self.shape[0], depth)), self.value)
        bias = self.builder.constant(self.random.integers(-(1 << 12), 1 << 12, features), ir.I32)
        sums = self.builder.add(ir.MatMul(), self.value, self._weights((features, depth)), bias, name=name)
        self._requantise(sums, depth, relu=relu)
        self.shape = (self.shape[0], features)

    def build(self) -> ir.Graph:
        self.builder.output(self.value)
        return self.builder.build()


def vgg8(seed: int = 0) -> ir.Graph:
    """VGG8 for 32 x 32 x 3 images: five 3 x 3 convolutions, three fully connected layers; 168 M MACs."""
    chain = _Chain("vgg8", (1, 32, 32, 3), seed)
    chain.convolution("conv1", 64, pool=True)
    chain.convolution("conv2", 192, pool=True)
    chain.convolution("conv3", 384)
    chain.convolution("conv4", 256)
    chain.convolution("conv5", 256, pool=True)
    chain.product("fc6", 256)
    chain.product("fc7", 128)
    chain.product("fc8", 10, relu=False)
    return chain.build()


def small(filters: int = 8, seed: int = 0) -> ir.Graph:
    """One convolution of an 8 x 8 image: for measurements that are not about the network."""
    chain = _Chain(f"small{filters}", (1, 8, 8, 3), seed)
    chain.convolution("conv", filters)
    return chain.build()
