"""VGG-11 for 224 x 224 images on a machine made for it; random weights. The cycles are the model's.

python examples/generated/vgg11.py [--multipliers 144]
"""

import numpy as np
import onnx
from layers import Layers

import report

BLOCKS = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def network(size: int = 224, classes: int = 1000, features: int = 4096) -> onnx.ModelProto:
    net = Layers("vgg11", (1, 3, size, size))
    for block in BLOCKS:
        for filters in block:
            net.convolution(filters)
        net.max_pool(2, 2)
    net.flatten((size >> len(BLOCKS)) ** 2)
    return net.dense(features).dense(features).dense(classes, relu=False).model()


def samples(count: int = 2, size: int = 224) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, size, size)).astype(np.float32)


if __name__ == "__main__":
    report.main(network(), samples(), multipliers=144)
