"""Train LeNet-5 on scikit-learn's digits and write `lenet5.onnx`.

    pip install gatewright[demo,train]
    python examples/lenet5/train.py

The network is LeNet-5 with its 61,706 parameters: full connectivity in the second convolution, max pooling and ReLU.
The ONNX file is put together node by node from the trained weights, so that no exporter shapes it and the same weights
give the same bytes.
"""

import argparse
from pathlib import Path

import digits
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

OPSET = 17
PARAMETERS = 61_706
BATCH = 64


def lenet5() -> nn.Sequential:
    """The network; 32 x 32 x 1 in, ten scores out."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rotate (±10°), scale (±10 %) and shift (±2 pixels) each image by its own random amounts."""
    count = len(images)
    angle, scale, right, down = (torch.rand(4, count, generator=generator) * 2 - 1).unbind()
    angle, scale = angle * np.deg2rad(10), 1 + 0.1 * scale
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = 2 * 2 / digits.SIDE
    rows = [torch.stack([cosine, -sine, shift * right], 1), torch.stack([sine, cosine, shift * down], 1)]
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def train(network: nn.Sequential, images: torch.Tensor, labels: torch.Tensor, epochs: int, seed: int) -> None:
    """Train in place: Adam, one-cycle learning rate, cross-entropy with a little label smoothing."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), weight_decay=1e-4)
    steps = (len(images) + BATCH - 1) // BATCH * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            optimiser.zero_grad()
            loss = loss_of(network(augment(images[batch], generator)), labels[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}  loss {loss.item():.4f}")


@torch.no_grad()
def accuracy(network: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images whose highest score is their label."""
    return (network(images).argmax(1) == labels).float().mean().item()


def to_onnx(network: nn.Sequential) -> onnx.ModelProto:
    """Build the float ONNX model, input `image` [batch, 1, 32, 32], output `scores` [batch, 10]."""
    nodes, weights = [], []
    value = "image"
    counts = {"conv": 0, "fc": 0}
    for index, layer in enumerate(network):
        last = index == len(network) - 1
        if isinstance(layer, nn.Conv2d | nn.Linear):
            kind = "conv" if isinstance(layer, nn.Conv2d) else "fc"
            counts[kind] += 1
            name = f"{kind}{counts[kind]}"
            for field in ("weight", "bias"):
                array = getattr(layer, field).detach().numpy()
                weights.append(numpy_helper.from_array(array, f"{name}.{field}"))
            operator = ("Conv", {"kernel_shape": [5, 5]}) if kind == "conv" else ("Gemm", {"transB": 1})
            inputs = [value, f"{name}.weight", f"{name}.bias"]
        elif isinstance(layer, nn.ReLU):
            name, operator, inputs = f"relu_{value}", ("Relu", {}), [value]
        elif isinstance(layer, nn.MaxPool2d):
            name = f"pool{counts['conv']}"
            operator, inputs = ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}), [value]
        else:
            name, operator, inputs = "flatten", ("Flatten", {}), [value]
        value = "scores" if last else name
        nodes.append(helper.make_node(operator[0], inputs, [value], name=name, **operator[1]))
    graph = helper.make_graph(
        nodes,
        "lenet5",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, digits.SIDE, digits.SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])],
        weights,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="gatewright examples/lenet5")
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("lenet5.onnx"))
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    train_x, train_y, test_x, test_y = (torch.from_numpy(array) for array in digits.load())
    network = lenet5()
    parameters = sum(tensor.numel() for tensor in network.parameters())
    if parameters != PARAMETERS:
        raise SystemExit(f"LeNet-5 must have {PARAMETERS} parameters, not {parameters}")
    train(network, train_x, train_y, arguments.epochs, arguments.seed)
    print(f"training images {accuracy(network, train_x, train_y):.2%}")
    print(f"test images {accuracy(network, test_x, test_y):.2%}")
    onnx.save(to_onnx(network), arguments.output)
    print(f"wrote {arguments.output.name}: {parameters} parameters, {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
