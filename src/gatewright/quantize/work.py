"""What each layer with weights has to compute, and what that costs at some widths."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from gatewright.quantize.network import Network, attributes
from gatewright.quantize.products import Product

__all__ = ["Cost", "LayerWork", "bit_operations", "layer_work"]


@dataclass(frozen=True)
class LayerWork:
    """A convolution or product for one sample: at each of `positions`, each of `filters` sums up its products.

    A sum has `kernel` height x width x `channels` products, `channels` those of one of `groups`.
    """

    name: str
    op: str
    positions: int
    filters: int
    kernel: tuple[int, int]
    channels: int
    groups: int = 1

    @property
    def macs(self) -> int:
        """Multiplications."""
        return self.positions * self.weights

    @property
    def weights(self) -> int:
        return self.filters * prod(self.kernel) * self.channels


Cost = Callable[[LayerWork, int, int], float]
"""The price of a layer whose activation and weights have these widths, in any unit: cycles of a machine, energy."""


def bit_operations(layer: LayerWork, activation_bits: int, weight_bits: int) -> float:
    """Multiplications, each as many times as there are pairs of bits."""
    return float(layer.macs * activation_bits * weight_bits)


def layer_work(network: Network, product: Product) -> LayerWork:
    """The work of one node; sizes that the model leaves open count as 1."""
    node = network.node(product.node)
    shape = [size or 1 for size in network.shape(node.output[0]) or ()]
    weights = network.constants[product.weight].shape
    if node.op_type == "Conv":
        kernel = (1, *weights[2:])[-2:]
        groups = attributes(node).get("group", 1)
        return LayerWork(node.name, "Conv", prod(shape[2:]), weights[0], kernel, weights[1], groups)
    filters = weights[product.axis]
    return LayerWork(node.name, node.op_type, prod(shape[1:-1]), filters, (1, 1), prod(weights) // filters)
