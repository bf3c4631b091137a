"""Evaluation is fast enough to be used everywhere."""

import time

import numpy as np

from gatewright import ir


def vgg8():
    """The convolutional part of the reference network: 168 million multiplications with its products."""
    random = np.random.default_rng(0)
    b = ir.Builder("vgg8")
    mul, shift = b.constant([1], ir.U32), b.constant([10], ir.U8)

    def requantised(acc):
        return b.add(ir.Requantise(128, 128, 255, ir.Rounding.HALF_UP, ir.U8), acc, mul, shift)

    def conv(x, filters):
        w = random.integers(-128, 128, (filters, 3, 3, b.type_of(x).shape[3]))
        return requantised(b.add(ir.Conv2d(pads=(1, 1, 1, 1), x_zero=128), x, b.constant(w, ir.I8)))

    def dense(x, outputs):
        w = random.integers(-128, 128, (outputs, b.type_of(x).shape[1]))
        return requantised(b.add(ir.MatMul(x_zero=128), x, b.constant(w, ir.I8)))

    def pool(x):
        return b.add(ir.MaxPool((2, 2), (2, 2)), x)

    x = b.input("image", ir.TensorType((1, 32, 32, 3), ir.U8))
    x = pool(conv(pool(conv(x, 64)), 192))
    x = pool(conv(conv(conv(x, 384), 256), 256))
    x = b.add(ir.Reshape((1, 4096)), x)
    b.output(dense(dense(dense(x, 256), 128), 10))
    return b.build()


def test_reference_network_takes_less_than_a_second():
    graph = vgg8()
    image = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        graph.evaluate(image)
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0
