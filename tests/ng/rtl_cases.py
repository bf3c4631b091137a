"""Small networks that exercise every operator of the interface on hardware, gathered in a few designs.

A case is a function of a `Maker` that describes one tensor. The cases of one design share their placeholders and
become outputs of one accelerator, since building one takes many seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

import gatewright.ng as ng

__all__ = ["ALL", "Case", "Maker"]


@dataclass
class Maker:
    """Placeholders by name, created once, and variables with random values."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    placeholders: dict[str, ng.placeholder] = field(default_factory=dict)

    def given(self, shape: tuple[int, ...], dtype: ng.dtype_info = ng.int8) -> ng.placeholder:
        """The placeholder of this type and shape."""
        name = f"{dtype.to_str()}_{'x'.join(map(str, shape))}"
        if name not in self.placeholders:
            self.placeholders[name] = ng.placeholder(dtype, shape, name=name)
        return self.placeholders[name]

    @property
    def image(self) -> ng.placeholder:
        """An odd size, so that nothing divides."""
        return self.given((1, 7, 6, 5))

    @property
    def rows(self) -> ng.placeholder:
        return self.given((3, 10))

    def values(self, shape: tuple[int, ...], dtype: ng.dtype_info = ng.int8, low: int | None = None) -> ng.variable:
        """A variable over the whole range of its type, or from `low` on."""
        integer = dtype.integer
        found = ng.variable(dtype, shape)
        found.set_value(self.random.integers(integer.min if low is None else low, integer.max + 1, shape))
        return found

    def small(self, shape: tuple[int, ...], least: int, most: int, dtype: ng.dtype_info = ng.int32) -> ng.variable:
        """A variable within least..most."""
        found = ng.variable(dtype, shape)
        found.set_value(self.random.integers(least, most + 1, shape))
        return found

    def conv(self, kernel: tuple[int, int] = (3, 3), filters: int = 4, strides: int = 1, **options) -> ng.conv2d:
        """A convolution of the image whose results fill int8."""
        options = {"rshift_out": 9, "dtype": ng.int8, **options}
        x = options.pop("x", self.image)
        weights = self.values(
            (filters, *kernel, x.shape[-1]), options.pop("weights", ng.int8), options.pop("low", None)
        )
        return ng.conv2d(x, weights, (1, strides, strides, 1), **options)

    def matmul(self, outputs: int = 7, **options) -> ng.matmul:
        options = {"rshift_out": 9, "dtype": ng.int8, **options}
        return ng.matmul(self.rows, self.values((outputs, 10)), transposed_b=True, **options)

    def bias(self, count: int = 4) -> ng.variable:
        return self.small((count,), -5000, 5000)


Case = Callable[[Maker], ng.conv2d]

_CONVOLUTIONS: Mapping[str, Case] = {
    "same": lambda m: m.conv(),
    "bias and relu": lambda m: m.conv(bias=m.bias(), act_func=ng.relu),
    "relu6": lambda m: m.conv(bias=m.bias(), act_func=ng.relu6, rshift_out=11),
    "leaky relu of 2^-3": lambda m: m.conv(act_func=ng.get_leaky_relu_op(1, 3)),
    "sigmoid": lambda m: m.conv(act_func=ng.sigmoid),
    "valid": lambda m: m.conv(padding="VALID"),
    "padding of 2": lambda m: m.conv(padding=2),
    "uneven padding": lambda m: m.conv((2, 4), padding=(0, 1, 3, 2)),
    "strides of 2": lambda m: m.conv(strides=2),
    "strides of 3": lambda m: m.conv((2, 2), strides=3, padding="VALID"),
    "one by one": lambda m: m.conv((1, 1), filters=9, rshift_out=8),
    "even kernel": lambda m: m.conv((4, 4)),
    "weights of 4 bits": lambda m: m.conv(weights=ng.int4, rshift_out=5),
    "weights of 2 bits": lambda m: m.conv(weights=ng.int2, rshift_out=3),
    "asymmetric clip": lambda m: m.conv(asymmetric_clip=True, rshift_out=6),
    "symmetric clip": lambda m: m.conv(rshift_out=6),
    "one scale": lambda m: m.conv(bias=m.bias(), scale=m.small((1,), 3, 3), rshift_out=11),
    "a scale for each filter": lambda m: m.conv(low=-127, bias=m.bias(), scale=m.small((4,), -9, 9), rshift_out=13),
    "a shift for each filter": lambda m: m.conv(rshift_out=m.small((4,), 7, 11)),
    "shift of the sum": lambda m: m.conv(bias=m.bias(), rshift_sum=6, rshift_out=3),
    "a shift of the sum for each filter": lambda m: m.conv(rshift_sum=m.small((4,), 5, 8), rshift_out=3),
    "behind another": lambda m: m.conv(x=m.conv(act_func=ng.relu), bias=m.bias()),
    "pooled": lambda m: ng.max_pool(m.conv(), (1, 2, 2, 1), (1, 2, 2, 1), padding="VALID"),
    "residual": lambda m: ng.add(m.conv(filters=5), m.image, dtype=ng.int8),
}

_PRODUCTS: Mapping[str, Case] = {
    "plain": lambda m: m.matmul(),
    "bias, scale, relu": lambda m: m.matmul(bias=m.bias(7), scale=m.small((7,), 1, 9), rshift_out=12, act_func=ng.relu),
    "shift of the sum": lambda m: m.matmul(bias=m.bias(7), rshift_sum=3, rshift_out=6),
    "one output": lambda m: m.matmul(outputs=1),
    "columns of b": lambda m: ng.matmul(m.rows, m.values((10, 6)), rshift_out=9, dtype=ng.int8),
    "a turned": lambda m: ng.matmul(
        m.given((10, 3)), m.values((6, 10)), transposed_a=True, transposed_b=True, rshift_out=9, dtype=ng.int8
    ),
    "of a reshaped image": lambda m: ng.matmul(
        ng.reshape(m.image, (1, -1)), m.values((6, 210)), transposed_b=True, rshift_out=11, dtype=ng.int8
    ),
    "twice": lambda m: ng.matmul(
        m.matmul(act_func=ng.relu), m.values((4, 7)), transposed_b=True, rshift_out=8, dtype=ng.int8
    ),
}

_POOLS: Mapping[str, Case] = {
    "max": lambda m: ng.max_pool(m.image, (1, 3, 3, 1), (1, 2, 2, 1)),
    "max, valid": lambda m: ng.max_pool(m.image, (1, 2, 3, 1), (1, 1, 2, 1), padding="VALID"),
    "max, padding": lambda m: ng.max_pool(m.image, (1, 3, 3, 1), (1, 1, 1, 1), padding=1),
    "max, serial": lambda m: ng.max_pool_serial(m.image, (1, 2, 2, 1), (1, 2, 2, 1)),
    "average": lambda m: ng.avg_pool(m.image, (1, 3, 3, 1), (1, 2, 2, 1)),
    "average, valid": lambda m: ng.avg_pool(m.image, (1, 2, 2, 1), (1, 1, 1, 1), padding="VALID"),
    "average, serial": lambda m: ng.avg_pool_serial(m.image, (1, 2, 2, 1), (1, 2, 2, 1)),
    "average of all": lambda m: ng.avg_pool(m.image, (1, 7, 6, 1), (1, 7, 6, 1), sum_dtype=ng.int32),
}

_ACTIVATIONS: Mapping[str, Case] = {
    "relu": lambda m: ng.relu(m.image),
    "relu6": lambda m: ng.relu6(m.image),
    "leaky relu of 2^-4": lambda m: ng.leaky_relu(m.image, 1, 4),
    "leaky relu of 11/64": lambda m: ng.leaky_relu(m.image, 11, 6),
    "sigmoid": lambda m: ng.sigmoid(m.image),
}

_ELEMENTWISE: Mapping[str, Case] = {
    "add": lambda m: ng.add(m.image, m.given((1, 7, 6, 5), ng.int4), dtype=ng.int8),
    "add to itself": lambda m: ng.add(m.image, m.image, dtype=ng.int8),
    "sub": lambda m: ng.sub(m.image, ng.relu(m.image), dtype=ng.int8),
    "scaled add": lambda m: ng.scaled_add(m.image, ng.relu(m.image), 3, -5, 2, dtype=ng.int8),
    "scaled add, asymmetric": lambda m: ng.scaled_add(m.image, m.image, 9, 8, 3, asymmetric_clip=True, dtype=ng.int8),
    "clip": lambda m: ng.clip(m.image, dtype=ng.int4),
    "clip, asymmetric": lambda m: ng.clip(m.image, asymmetric_clip=True, dtype=ng.int4),
    "rshift": lambda m: ng.rshift(m.image, ng.constant([2], ng.int8), dtype=ng.int8),
    "rshift of each channel": lambda m: ng.rshift(m.image, ng.constant([0, 1, 2, 3, 7], ng.int8), dtype=ng.int8),
    "rshift_round": lambda m: ng.rshift_round(m.image, ng.constant([3], ng.int8), dtype=ng.int8),
}

_MOVES: Mapping[str, Case] = {
    "reshape": lambda m: ng.reshape(ng.relu(m.image), (1, 6, 7, 5)),
    "reshape of rows": lambda m: ng.reshape(ng.relu(m.image), (1, 30, 7)),
    "reshape of an input": lambda m: ng.reshape(m.given((2, 12)), (4, 6)),
    "transpose": lambda m: ng.transpose(m.image, (0, 3, 1, 2)),
    "transpose of rows": lambda m: ng.transpose(m.rows),
    "expand_dims": lambda m: ng.expand_dims(ng.relu(m.rows), 1),
    "concat of channels": lambda m: ng.concat([m.image, ng.relu(m.image), m.image], 3),
    "concat of rows": lambda m: ng.concat([m.rows, ng.relu(m.rows)], 0),
    "slice": lambda m: ng.slice_(m.image, (0, 1, 0, 1), (1, 7, 6, 4), (1, 2, 1, 1)),
    "pad": lambda m: ng.pad(m.image, (1, 0, 2, 1)),
    "upsampling2d": lambda m: ng.upsampling2d(m.image, (1, 2, 3, 1)),
    "cast": lambda m: ng.cast(m.given((2, 6), ng.int4), ng.int8),
}

_REDUCTIONS: Mapping[str, Case] = {
    "sum of the last axis": lambda m: ng.reduce_sum(m.image, axis=3, dtype=ng.int8),
    "sum of all": lambda m: ng.reduce_sum(m.given((2, 6), ng.int4), dtype=ng.int8),
    "sum, axes kept": lambda m: ng.reduce_sum(
        m.given((1, 5, 4, 3), ng.int2), axis=(1, 2, 3), keep_dims=True, dtype=ng.int8
    ),
}

_VECTORS: Mapping[str, Case] = {
    "multiply": lambda m: ng.multiply(m.image, ng.relu(m.image), dtype=ng.int8),
    "multiply by each channel": lambda m: ng.multiply(m.image, m.values((5,)), dtype=ng.int8),
    "scaled multiply": lambda m: ng.scaled_multiply(m.image, m.image, 6, dtype=ng.int8),
    "scaled multiply, asymmetric": lambda m: ng.scaled_multiply(
        m.image, ng.relu(m.image), 4, asymmetric_clip=True, dtype=ng.int8
    ),
    "rshift by a tensor": lambda m: ng.rshift(m.image, ng.relu(m.given((1, 7, 6, 5), ng.int4)), dtype=ng.int8),
    "rshift_round by a tensor": lambda m: ng.rshift_round(
        m.image, ng.relu(m.given((1, 7, 6, 5), ng.int4)), dtype=ng.int8
    ),
    "reduce_max": lambda m: ng.reduce_max(m.image, axis=3),
    "reduce_max of all": lambda m: ng.reduce_max(m.image),
    "argmax": lambda m: ng.argmax(m.image, axis=3, dtype=ng.int8),
    "argmax of rows": lambda m: ng.argmax(m.rows, axis=1, keep_dims=True),
    "argmax of many": lambda m: ng.argmax(m.given((1, 300)), axis=1),
    "add, one for each channel": lambda m: ng.add(m.image, m.given((5,)), dtype=ng.int8),
    "add, one for all": lambda m: ng.add(m.image, m.given((1,)), dtype=ng.int8),
    "rounded products": lambda m: m.conv(rshift_mul=3, rshift_out=6, bias=m.bias()),
    "rounded products of matmul": lambda m: m.matmul(rshift_mul=2, rshift_out=6),
}

_UNSIGNED: Mapping[str, Case] = {
    "layer": lambda m: m.conv(x=m.given((1, 5, 4, 3), ng.uint8), dtype=ng.uint8, rshift_out=10),
    "relu": lambda m: m.conv(x=m.given((1, 5, 4, 3), ng.uint8), act_func=ng.relu, rshift_out=10),
    "max": lambda m: ng.max_pool(m.given((1, 5, 4, 3), ng.uint8), (1, 2, 2, 1), (1, 2, 2, 1)),
    "weights": lambda m: m.conv((1, 1), weights=ng.uint4),
}

_WIDE: Mapping[str, Case] = {
    "convolution of 16 bits": lambda m: m.conv(
        x=m.given((1, 5, 4, 3), ng.int16), weights=ng.int16, dtype=ng.int16, sum_dtype=ng.int64, rshift_out=17
    ),
    "weights of 8 bits": lambda m: m.conv(x=m.given((1, 5, 4, 3), ng.int16), dtype=ng.int16, rshift_out=9),
    "product of 16 bits": lambda m: ng.matmul(
        m.given((2, 9), ng.int16), m.values((5, 9), ng.int16), transposed_b=True, rshift_out=17, dtype=ng.int16
    ),
    "narrowed": lambda m: m.conv(x=m.given((1, 5, 4, 3), ng.int16), dtype=ng.int8, rshift_out=17),
    "widened": lambda m: m.conv(dtype=ng.int16, rshift_out=2),
    "sums of 32 bits": lambda m: m.conv(dtype=ng.int32, rshift_out=0),
    "max": lambda m: ng.max_pool(m.given((1, 5, 4, 3), ng.int16), (1, 2, 2, 1), (1, 2, 2, 1)),
    "average": lambda m: ng.avg_pool(m.given((1, 5, 4, 3), ng.int16), (1, 2, 2, 1), (1, 2, 2, 1)),
    "relu": lambda m: ng.relu(m.given((1, 5, 4, 3), ng.int16)),
    "add": lambda m: ng.add(m.given((1, 5, 4, 3), ng.int16), m.given((1, 5, 4, 3), ng.int16), dtype=ng.int16),
    "sum": lambda m: ng.reduce_sum(m.image, axis=3, dtype=ng.int32),
    "concat": lambda m: ng.concat([m.given((1, 5, 4, 3), ng.int16), ng.relu(m.given((1, 5, 4, 3), ng.int16))], 3),
    "transpose": lambda m: ng.transpose(m.given((2, 9), ng.int16)),
    "product to 32 bits": lambda m: ng.matmul(
        m.given((2, 9), ng.int16), m.values((5, 9), ng.int16), transposed_b=True, rshift_out=2, dtype=ng.int32
    ),
    "unsigned of 16 bits": lambda m: m.conv(x=m.given((1, 5, 4, 3), ng.uint16), dtype=ng.uint16, rshift_out=10),
    "unsigned to 32 bits": lambda m: m.conv(
        x=m.given((1, 5, 4, 3), ng.uint16), weights=ng.int16, dtype=ng.uint32, sum_dtype=ng.int64, rshift_out=2
    ),
    "odd widths": lambda m: m.conv(
        x=m.given((1, 5, 4, 3), ng.dtype_int(12)), weights=ng.dtype_int(5), dtype=ng.dtype_int(11), rshift_out=6
    ),
}

_TURNED: Mapping[str, Case] = {
    "the least weight under a negative scale": lambda m: m.conv(scale=m.small((4,), -9, -1), rshift_out=13),
}

ALL: Mapping[str, Mapping[str, Case]] = {
    "convolutions": _CONVOLUTIONS,
    "products": _PRODUCTS,
    "pools": _POOLS,
    "activations": _ACTIVATIONS,
    "elementwise": _ELEMENTWISE,
    "moves": _MOVES,
    "reductions": _REDUCTIONS,
    "vectors": _VECTORS,
    "unsigned": _UNSIGNED,
    "wide": _WIDE,
    "turned": _TURNED,
}
"""Every case, by kind."""
