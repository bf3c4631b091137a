"""Which tensors of a float network become integers, and which of them must share a scale."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import frexp

import onnx

from gatewright.quantize.functions import inner_values
from gatewright.quantize.network import Network, attributes
from gatewright.quantize.products import PRODUCTS, Product, find_adders, find_products

__all__ = ["ACTIVATIONS", "CARRIERS", "HOST", "Plan", "make_plan"]

# Values pass through unchanged: input and output share one encoding, and the operator only moves integers.
CARRIERS = frozenset(
    {
        "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "MaxPool", "Pad", "Reshape", "Resize",
        "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample",
    }
)  # fmt: skip
# Bounds that the quantisation after a product or a sum enforces by itself.
ACTIVATIONS = frozenset({"Clip", "Relu"})
# What stays in floating point, with everything after it: the host computes it from the last integers.
HOST = frozenset({"ArgMax", "ArgMin", "Hardmax", "LogSoftmax", "Softmax", "TopK"})

_BOUNDED = PRODUCTS | {"Add", "Sub", "AveragePool", "GlobalAveragePool"}
_DATA_FIRST = CARRIERS - {"Concat"}  # their other inputs are shapes, indices, bounds


@dataclass(frozen=True)
class Plan:
    """What becomes integers, and what shares a scale.

    `encoded`: the activations that become integers, in order. `leader`: for each, the tensor whose encoding it shares.
    `sources`: for each leader, the tensors whose values decide the encoding. `products`: the nodes with weights, whose
    inputs and results are encoded. `tail_inputs`: what the host's tail reads.
    """

    encoded: tuple[str, ...]
    leader: dict[str, str]
    sources: dict[str, tuple[str, ...]]
    products: tuple[Product, ...]
    tail_inputs: frozenset[str]

    def members(self, leader: str) -> tuple[str, ...]:
        """The tensors that share the encoding of `leader`."""
        return tuple(name for name in self.encoded if self.leader[name] == leader)


def make_plan(network: Network) -> Plan:
    """Decide from the structure alone.

    1. Every float activation is encoded, except within the host's tail, between a product and the addition of its
       bias, between a product or a sum and the one Relu or Clip that reads it (after a product also a leaky ReLU with
       a slope of 2^-k), and within a function of one activation.
    2. A carrier's inputs and outputs share an encoding; what carriers alone produce has no say in it.
    """
    host, adders = set(_host_values(network)), dict(find_adders(network))
    fused = dict(_fused_values(network)) | {value: node.output[0] for value, (node, _) in adders.items()}
    skipped = host | set(fused) | inner_values(network, fused)
    names = [*network.inputs, *(name for node in network.nodes for name in node.output if name)]
    encoded = tuple(name for name in names if network.is_float(name) and name not in skipped)
    leader = {name: name for name in encoded}
    for node in network.nodes:
        if node.op_type in CARRIERS:
            _join(leader, [name for name in (*_data_inputs(node), *node.output) if name in leader])
    leader = {name: _find(leader, name) for name in encoded}
    sources: dict[str, tuple[str, ...]] = {}
    for name in encoded:
        producer = network.producer.get(name)
        if producer is None or producer.op_type not in CARRIERS:
            sources[leader[name]] = (*sources.get(leader[name], ()), name)
    products = tuple(p for p in find_products(network, fused, adders) if p.x in leader and p.result in leader)
    tail = [node for node in network.nodes if host.intersection(node.output)]
    tail_inputs = frozenset(name for node in tail for name in node.input) & leader.keys()
    return Plan(encoded, leader, sources, products, tail_inputs)


def _host_values(network: Network) -> Iterator[str]:
    """The outputs of host operators, a sigmoid at the end among them, and of everything that reads them."""
    found: set[str] = set()
    for node in network.nodes:
        last_sigmoid = node.op_type == "Sigmoid" and node.output[0] not in network.consumers
        if node.op_type in HOST or last_sigmoid or found.intersection(node.input):
            found.update(node.output)
            yield from node.output


def _fused_values(network: Network) -> Iterator[tuple[str, str]]:
    """The values between a product or a sum and its activation, each with what the activation makes of it."""
    for node in network.nodes:
        reader = network.only_consumer(node.output[0])
        if node.op_type in _BOUNDED and reader is not None and reader.input[0] == node.output[0]:
            constant = all(name in network.constants for name in reader.input[1:] if name)
            leaky = _shifts(reader) and node.op_type in PRODUCTS
            if (reader.op_type in ACTIVATIONS and constant) or leaky:
                yield node.output[0], reader.output[0]


def _shifts(node: onnx.NodeProto) -> bool:
    """Whether a node is a leaky ReLU whose slope is a power of two below 1, which shifts negative sums further."""
    slope = attributes(node).get("alpha", 0.01)
    return node.op_type == "LeakyRelu" and 0 < slope < 1 and frexp(slope)[0] == 0.5


def _data_inputs(node: onnx.NodeProto) -> list[str]:
    return list(node.input[:1] if node.op_type in _DATA_FIRST else node.input)


def _join(leader: dict[str, str], names: list[str]) -> None:
    roots = [_find(leader, name) for name in names]
    for root in roots[1:]:
        leader[root] = roots[0]


def _find(leader: dict[str, str], name: str) -> str:
    while leader[name] != name:
        name = leader[name]
    return name
