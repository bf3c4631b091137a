"""Layers: the unit of work that every machine lowers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from gatewright import ir

__all__ = ["FusionRules", "Kind", "Layer", "aliases", "group", "macs"]

Kind = Literal["mac", "pool", "elementwise", "move"]

_MAC = (ir.Conv2d, ir.MatMul, ir.RoundedConv2d)
_POOL = (ir.AveragePool, ir.MaxPool, ir.ReduceMax, ir.ArgMax)
_ELEMENTWISE = (ir.Add, ir.Multiply, ir.Shift, ir.LeakyRelu, ir.Lut, ir.Requantise, ir.Clip)
_DATA = (ir.Add, ir.Concat, ir.Multiply, ir.Shift)  # whose operands are all activations


@dataclass(frozen=True)
class FusionRules:
    """Which tails a machine takes behind a requantised convolution or product (and a table behind a pool)."""

    add: bool = True
    lut: bool = True
    max_pool: bool = True


@dataclass(frozen=True)
class Layer:
    """A main node and the tail fused behind it.

    `inputs` are the activations read, as the graph names them (`aliases` leads to the value in memory): the main node's
    first, then a fused addition's other operand. `macs` count the taps that fall into padding.
    """

    name: str
    kind: Kind
    nodes: tuple[ir.Node, ...]
    inputs: tuple[str, ...]
    output: str
    macs: int

    @property
    def main(self) -> ir.Node:
        return self.nodes[0]

    @property
    def title(self) -> str:
        """What people know the layer by: its main node's name, or `y` where that is but a step to `y`, as `y.sum`."""
        stem = self.main.name.rpartition(".")[0]
        return stem if stem in (node.name for node in self.nodes) else self.main.name

    def find(self, kind: type[ir.Operator]) -> ir.Node | None:
        """The node of this operator in the fused tail, if any."""
        return next((node for node in self.nodes[1:] if isinstance(node.op, kind)), None)


def group(graph: ir.Graph, fuse: FusionRules) -> tuple[Layer, ...]:
    """The graph's nodes as layers, each after the layers whose outputs it reads.

    1. *mac*: Conv2d, MatMul or RoundedConv2d, then, each where `fuse` takes it and the value before it has this one
       reader: Requantise, Add whose other operand an earlier layer or an input supplies, Lut, and behind a convolution
       MaxPool whose windows tile the image (kernel = strides, no padding). Nothing follows without a Requantise.
    2. *pool*: any other pooling, ReduceMax, ArgMax, then a Lut.
    3. *elementwise*: any other Add, Multiply, Shift, LeakyRelu, Lut, Requantise, Clip.
    4. *move*: Concat, Transpose, Slice, Pad, Upsample, Broadcast.
    A Reshape is no layer: it is its operand under another type.
    """
    return _Grouping(graph, fuse).layers()


def aliases(graph: ir.Graph) -> Mapping[str, str]:
    """For each Reshape, the value whose row-major elements it shows: never itself a Reshape."""
    roots: dict[str, str] = {}
    for node in graph.nodes:
        if isinstance(node.op, ir.Reshape):
            roots[node.name] = roots.get(node.inputs[0], node.inputs[0])
    return roots


def macs(graph: ir.Graph, node: ir.Node) -> int:
    """Multiplications of a convolution or product, taps in the padding included; 0 for other nodes."""
    if isinstance(node.op, _MAC):
        return node.type.size * prod(graph.type_of(node.inputs[1]).shape[1:])
    return 0


class _Grouping:
    def __init__(self, graph: ir.Graph, fuse: FusionRules) -> None:
        self.graph = graph
        self.fuse = fuse
        self.roots = aliases(graph)
        self.ready = {value.name for value in graph.inputs}  # values in memory before the next layer
        self.fused: set[str] = set()

    def layers(self) -> tuple[Layer, ...]:
        found = []
        for node in self.graph.nodes:
            if node.name not in self.fused and not isinstance(node.op, ir.Reshape):
                found.append(self._layer(node))
                self.ready.add(found[-1].output)
        return tuple(found)

    def _layer(self, main: ir.Node) -> Layer:
        kind = _kind(main)
        nodes, inputs = [main], self._activations(main)
        if kind == "mac":
            self._extend(nodes, inputs)
        elif kind == "pool" and self.fuse.lut:
            self._take(nodes, ir.Lut)
        self.fused.update(node.name for node in nodes)
        return Layer(main.name, kind, tuple(nodes), tuple(inputs), nodes[-1].name, macs(self.graph, main))

    def _extend(self, nodes: list[ir.Node], inputs: list[str]) -> None:
        """Append the tail of a mac layer."""
        if not self._take(nodes, ir.Requantise):
            return
        following = self._next(nodes[-1])
        if self.fuse.add and following is not None and isinstance(following.op, ir.Add):
            other = next((name for name in following.inputs if name != nodes[-1].name), nodes[-1].name)
            if self.roots.get(other, other) in self.ready:
                nodes.append(following)
                inputs.append(other)
        if self.fuse.lut:
            self._take(nodes, ir.Lut)
        following = self._next(nodes[-1])
        convolution = not isinstance(nodes[0].op, ir.MatMul)  # the pixels of a product stand in one column
        if convolution and following is not None and self._tiles(following.op):
            nodes.append(following)

    def _take(self, nodes: list[ir.Node], kind: type[ir.Operator]) -> bool:
        following = self._next(nodes[-1])
        if following is None or not isinstance(following.op, kind):
            return False
        nodes.append(following)
        return True

    def _next(self, node: ir.Node) -> ir.Node | None:
        """The one reader of a value that is no output."""
        readers = self.graph.consumers(node.name)
        return readers[0] if len(readers) == 1 and node.name not in self.graph.outputs else None

    def _tiles(self, op: ir.Operator) -> bool:
        """Whether it is a maximum over windows that neither overlap nor reach into padding."""
        tiling = isinstance(op, ir.MaxPool) and op.kernel == op.strides and not any(op.pads)
        return tiling and self.fuse.max_pool

    def _activations(self, node: ir.Node) -> list[str]:
        """The operands that are data rather than parameters; constants among them only where data is expected."""
        count = len(node.inputs) if isinstance(node.op, _DATA) else 1
        data = list(node.inputs[:count])
        return data + [name for name in node.inputs[count:] if not self.graph.is_constant(name)]


def _kind(node: ir.Node) -> Kind:
    if isinstance(node.op, _MAC):
        return "mac"
    if isinstance(node.op, _POOL):
        return "pool"
    return "elementwise" if isinstance(node.op, _ELEMENTWISE) else "move"
