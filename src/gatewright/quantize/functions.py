"""Functions of one activation: several steps in a row that the importer turns into one table."""

from collections.abc import Collection

import onnx

from gatewright.quantize.network import Network

__all__ = ["ELEMENTWISE", "inner_values"]

_ARITHMETIC = frozenset({"Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"})
ELEMENTWISE = _ARITHMETIC | frozenset(
    {
        "Abs", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log",
        "Mish", "Neg", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid", "Sin", "Softplus", "Softsign", "Sqrt", "Swish",
        "Tan", "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip


def inner_values(network: Network, fused: Collection[str]) -> set[str]:
    """The values that exist only within a function of one activation, such as the sigmoid in `x · sigmoid(x)`.

    `fused` are values that never become integers: a function of them belongs to what comes before it.
    """
    root: dict[str, str] = {}
    for node in network.nodes:
        operands = [name for name in node.input if name and name not in network.constants]
        roots = {root.get(name, name) for name in operands}
        if _elementwise(network, node) and len(roots) == 1 and not roots.intersection(fused):
            root[node.output[0]] = roots.pop()
    return {name for name in root if name not in network.outputs and _stays(network, name, root)}


def _elementwise(network: Network, node: onnx.NodeProto) -> bool:
    constants = [network.constants[name] for name in node.input if name in network.constants]
    return node.op_type in ELEMENTWISE and all(constant.size == 1 for constant in constants)


def _stays(network: Network, name: str, root: dict[str, str]) -> bool:
    """Whether every reader of a value is part of the same function."""
    readers = network.consumers.get(name, [])
    return bool(readers) and all(root.get(reader.output[0]) == root[name] for reader in readers)
