"""A small convolutional network for 32 x 32 images on a machine made for it; random weights.

python examples/generated/cnn.py [--multipliers 36]
"""

import numpy as np
import onnx
from layers import Layers

import report


def network() -> onnx.ModelProto:
    net = Layers("cnn", (1, 3, 32, 32)).convolution(64).max_pool(2, 2).convolution(64)
    return net.flatten(16 * 16).dense(256).dense(10, relu=False).model()


def samples(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, 32, 32)).astype(np.float32)


if __name__ == "__main__":
    report.main(network(), samples(), multipliers=36, simulate=True)
