"""Relu and Clip move in front of what only carries values, next to the product or sum that can absorb them."""

import onnx

from gatewright.quantize.network import Network
from gatewright.quantize.plan import ACTIVATIONS

__all__ = ["hoist_activations"]

_MONOTONE = frozenset({"Flatten", "GlobalMaxPool", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})


def hoist_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """`activation(carrier(x))` becomes `carrier(activation(x))` where nothing else reads the values in between.

    Both are equal because an activation is monotone: the largest of bounded values is the bounded largest value.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for _ in range(len(result.graph.node)):
        if not _hoist_one(result):
            break
    return result


def _hoist_one(model: onnx.ModelProto) -> bool:
    network = Network(model)
    for node in model.graph.node:
        if node.op_type not in ACTIVATIONS or node.input[0] not in network.producer:
            continue
        carrier = network.producer[node.input[0]]
        alone = network.only_consumer(carrier.output[0]) is not None and len(carrier.output) == 1
        alone = alone and network.only_consumer(carrier.input[0]) is not None
        if carrier.op_type in _MONOTONE and alone and carrier.input[0] in network.producer:
            _swap(model, network, carrier, node)
            return True
    return False


def _swap(model: onnx.ModelProto, network: Network, carrier: onnx.NodeProto, activation: onnx.NodeProto) -> None:
    source, between, result = carrier.input[0], carrier.output[0], activation.output[0]
    activation.input[0], activation.output[0] = source, between
    carrier.input[0], carrier.output[0] = between, result
    for value in model.graph.value_info:
        if value.name == between:
            value.type.CopyFrom(network.type_of(source))
    nodes = list(model.graph.node)
    first, second = nodes.index(carrier), nodes.index(activation)
    # The activation takes the carrier's place; other nodes keep theirs, so that the order stays topological.
    nodes[first], nodes[second] = activation, carrier
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
