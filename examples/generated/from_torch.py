"""A small PyTorch network on a machine made for it: exported to ONNX, quantised, compiled, simulated.

python examples/generated/from_torch.py           needs torch and onnxscript
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

import report


def network() -> onnx.ModelProto:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    ).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.onnx")
        torch.onnx.export(layers, (torch.zeros(1, 3, 16, 16),), str(path), input_names=["image"])
        return onnx.load(path)


def samples(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, 16, 16)).astype(np.float32)


if __name__ == "__main__":
    report.main(network(), samples(), multipliers=36, simulate=True)
