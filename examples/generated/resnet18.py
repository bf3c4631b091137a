"""ResNet-18 for 224 x 224 images on a machine made for it; random weights. The cycles are the model's.

python examples/generated/resnet18.py [--multipliers 144]
"""

import numpy as np
import onnx
from layers import Layers

import report

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


def network(size: int = 224, classes: int = 1000) -> onnx.ModelProto:
    net = Layers("resnet18", (1, 3, size, size)).convolution(64, 7, 2).max_pool(3, 2, 1)
    for filters, stride in STAGES:
        block(net, filters, stride)
        block(net, filters, 1)
    return net.average_pool().flatten().dense(classes, relu=False).model()


def block(net: Layers, filters: int, stride: int) -> None:
    """Two convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""
    start, channels = net.value, net.channels
    left = net.convolution(filters, 3, stride).convolution(filters, relu=False).value
    if stride != 1 or channels != filters:
        net.value, net.channels = start, channels
        start = net.convolution(filters, 1, stride, relu=False).value
    net.value = left
    net.add(start).relu()


def samples(count: int = 2, size: int = 224) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, size, size)).astype(np.float32)


if __name__ == "__main__":
    report.main(network(), samples(), multipliers=144)
