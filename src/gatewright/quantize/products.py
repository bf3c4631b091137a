"""Convolutions and matrix products with constant weights, as they stand in a float network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from gatewright.quantize.network import Network, attributes

__all__ = ["PRODUCTS", "Product", "find_adders", "find_products", "weights_of"]

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})


@dataclass(frozen=True)
class Product:
    """A convolution or product with constant weights.

    `x`, `weight` and `bias` are its operands; `adder` is the node that adds the bias where that is another one;
    `result` is what is encoded of it, after bias and activation; output channels lie along `axis` of the weights.
    """

    node: str
    x: str
    weight: str
    bias: str | None
    adder: str | None
    result: str
    axis: int


def find_adders(network: Network) -> Iterator[tuple[str, tuple[onnx.NodeProto, str]]]:
    """The results of MatMul that one Add gives a bias for each output channel, with that Add and bias."""
    for node in network.nodes:
        adder = network.only_consumer(node.output[0])
        if (
            node.op_type != "MatMul"
            or adder is None
            or adder.op_type != "Add"
            or node.input[1] not in network.constants
        ):
            continue
        bias = next((name for name in adder.input if name in network.constants), None)
        channels = network.constants[node.input[1]].shape[-1]
        if bias is not None and network.constants[bias].shape == (channels,):
            yield node.output[0], (adder, bias)


def find_products(
    network: Network, fused: Mapping[str, str], adders: Mapping[str, tuple[onnx.NodeProto, str]]
) -> Iterator[Product]:
    """Every product, in order; `fused` says what a value becomes before it is encoded, `adders` is of `find_adders`."""
    for node in network.nodes:
        if node.op_type not in PRODUCTS or node.input[1] not in network.constants:
            continue
        weight = network.constants[node.input[1]]
        if node.op_type == "MatMul" and weight.ndim != 2:
            continue
        axis = 0 if node.op_type == "Conv" or attributes(node).get("transB") else 1
        bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
        adder = None
        if node.output[0] in adders:
            found, bias = adders[node.output[0]]
            adder = found.name
        result = node.output[0]
        while result in fused:
            result = fused[result]
        if bias is None or bias in network.constants:
            yield Product(node.name, node.input[0], node.input[1], bias, adder, result, axis)


def weights_of(network: Network, product: Product) -> tuple[np.ndarray, np.ndarray | None]:
    """The float weights, output channels first, and the bias, with Gemm's factors multiplied in."""
    factors = attributes(network.node(product.node))
    weight = np.moveaxis(network.constants[product.weight], product.axis, 0) * np.float32(factors.get("alpha", 1.0))
    if product.bias is None:
        return weight, None
    bias = network.constants[product.bias] * np.float32(factors.get("beta", 1.0))
    return weight, np.broadcast_to(bias.reshape(-1), len(weight)).copy()
