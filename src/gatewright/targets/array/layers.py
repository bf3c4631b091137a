"""The network's layers as this machine takes them, and the jobs of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gatewright.ir import (
    Add,
    AveragePool,
    Clip,
    Concat,
    Conv2d,
    Graph,
    Lut,
    MatMul,
    MaxPool,
    Node,
    Operator,
    Pad,
    Requantise,
    Slice,
    Transpose,
    Upsample,
)
from gatewright.passes import FusionRules, Layer, aliases, group
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Job
from gatewright.targets.array.map_mac import map_average_pool, map_conv2d, map_matmul
from gatewright.targets.array.map_move import (
    map_concat,
    map_elementwise,
    map_max_pool,
    map_pad,
    map_slice,
    map_transpose,
    map_upsample,
)

__all__ = ["layers_of", "map_layer"]

_MAPPERS: Mapping[type[Operator], Callable[[Graph, Layer, ArrayConfig], list[Job]]] = {
    Conv2d: map_conv2d,
    MatMul: map_matmul,
    AveragePool: map_average_pool,
    MaxPool: map_max_pool,
    Add: map_elementwise,
    Requantise: map_elementwise,
    Clip: map_elementwise,
    Lut: map_elementwise,
    Concat: map_concat,
    Pad: map_pad,
    Slice: map_slice,
    Transpose: map_transpose,
    Upsample: map_upsample,
}


def layers_of(graph: Graph, config: ArrayConfig) -> list[Layer]:
    """`passes.group` by the tail units the configuration has, cut where the post unit cannot take the whole tail."""
    rules = FusionRules(add=config.residual, lut=config.lut, max_pool=config.pool)
    return [part for layer in group(graph, rules) for part in _split(layer)]


def _split(layer: Layer) -> list[Layer]:
    """Cut a tail in two where an addition rounds otherwise than the requantisation, or is followed by a pool.

    The post unit has one rounding for both, and reads the residual operand at the places it writes.
    """
    if layer.kind != "mac":
        return [layer]
    add = layer.find(Add)
    requantise = layer.find(Requantise)
    if add is not None and requantise is not None and _rounding(add) != _rounding(requantise):
        return _cut(layer, layer.nodes.index(add))
    pool = layer.find(MaxPool)
    if add is not None and pool is not None:
        return _cut(layer, layer.nodes.index(pool))
    return [layer]


def _rounding(node: Node) -> object:
    assert isinstance(node.op, Add | Requantise)
    return node.op.rounding


def _cut(layer: Layer, place: int) -> list[Layer]:
    head, tail = layer.nodes[:place], layer.nodes[place:]
    first = replace(layer, nodes=head, output=head[-1].name, inputs=layer.inputs[: 1 + _adds(head)])
    parts = [first]
    if isinstance(tail[0].op, Add):
        rest = [node for node in tail if not isinstance(node.op, MaxPool)]
        other = next((name for name in rest[0].inputs if name != head[-1].name), head[-1].name)
        parts.append(Layer(rest[0].name, "elementwise", tuple(rest), (head[-1].name, other), rest[-1].name, 0))
    for node in tail:
        if isinstance(node.op, MaxPool):
            parts.append(Layer(node.name, "pool", (node,), (node.inputs[0],), node.name, 0))
    return parts


def _adds(nodes: tuple[Node, ...]) -> int:
    return sum(isinstance(node.op, Add) for node in nodes)


def map_layer(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """The jobs of a layer; values are named by what holds their bytes (reshapes resolved)."""
    roots = aliases(graph)
    jobs = _MAPPERS[type(layer.main.op)](graph, layer, config)
    resolved = []
    for job in jobs:
        image = replace(job.image, value=roots.get(job.image.value, job.image.value))
        residual = job.tail.residual
        tail = replace(job.tail, residual=roots.get(residual, residual)) if residual else job.tail
        resolved.append(replace(job, image=image, tail=tail))
    return resolved
