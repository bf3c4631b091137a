"""A multi-layer perceptron, 784-128-10, on a machine made for it; random weights.

python examples/generated/mlp.py
"""

import numpy as np
import onnx
from layers import Layers

import report


def network() -> onnx.ModelProto:
    return Layers("mlp", (1, 784)).dense(128).dense(10, relu=False).model()


def samples(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 784)).astype(np.float32)


if __name__ == "__main__":
    report.main(network(), samples(), multipliers=4, simulate=True)
