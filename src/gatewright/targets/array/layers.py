"""The network's layers as this machine takes them, and the jobs of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from gatewright.ir import Add, Conv2d, Graph, Lut, MaxPool, Node, Requantise
from gatewright.passes import FusionRules, Layer, aliases, group
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Job
from gatewright.targets.array.supports import ARRAY_MAPPERS, array_reason
from gatewright.targets.array.supports_vector import VECTOR_MAPPERS, vector_reason
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.array.vector_job import VectorJob, VectorLayer, VectorPass

__all__ = ["layers_of", "map_layer", "on_vector"]


def layers_of(graph: Graph, config: ArrayConfig) -> list[Layer]:
    """`passes.group` by the tail units the configuration has, cut where a unit cannot take the whole tail."""
    rules = FusionRules(add=config.residual, lut=config.lut or config.vector_lanes > 0, max_pool=config.pool)
    return [part for layer in group(graph, rules) for part in _parts(graph, layer, config)]


def _parts(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Layer]:
    find = _vector_cut if on_vector(graph, layer, config) else _array_cut
    place = find(graph, layer, config)
    if place is None:
        return [layer]
    head, *rest = _cut(layer, place)
    return [head, *(part for each in rest for part in _parts(graph, each, config))]


def on_vector(graph: Graph, layer: Layer, config: ArrayConfig) -> bool:
    """Whether a layer goes to the vector unit: all but what the array does faster, or alone can do."""
    if not config.vector_lanes or any(vector_reason(node, graph, config) for node in _sums(layer)):
        return False
    main = layer.main
    if not isinstance(main.op, Conv2d) or any(array_reason(node, graph, config) for node in _sums(layer)):
        return True
    (job,) = ARRAY_MAPPERS[Conv2d](graph, layer, config)
    steps = max(job.taps.depth(config.word_length), drain_cycles(config)) * len(job.weights)
    pixels = main.type.size // main.type.shape[-1]
    lanes = -(-main.type.shape[-1] // config.vector_lanes) * pixels * prod(graph.type_of(main.inputs[1]).shape[1:])
    return lanes <= -(-pixels // config.rows) * steps


def _sums(layer: Layer) -> tuple[Node, ...]:
    """The main node, with the requantisation of its sums."""
    return (layer.main, *(node for node in layer.nodes[1:2] if isinstance(node.op, Requantise)))


def _vector_cut(graph: Graph, layer: Layer, config: ArrayConfig) -> int | None:
    """Before what the vector unit does as a layer of its own: additions, pools, a table it lacks."""
    for place, node in enumerate(layer.nodes[1:], 1):
        if isinstance(node.op, Add | MaxPool) or (isinstance(node.op, Lut) and not config.vector_table):
            return place
    return None


def _array_cut(graph: Graph, layer: Layer, config: ArrayConfig) -> int | None:
    """Where an addition rounds otherwise than the requantisation, or is followed by a pool, or a table follows one.

    The post unit has one rounding for both, reads the residual operand at the places it writes, and has the maximum
    behind the table, which is the same as long as the table never falls. Nor does it take what only the vector unit
    can do.
    """
    for place, node in enumerate(layer.nodes[1:], 1):
        if config.vector_lanes and isinstance(node.op, Add | Lut | MaxPool) and array_reason(node, graph, config):
            return place
    table = layer.find(Lut)
    if isinstance(layer.main.op, MaxPool) and table is not None and _falls(graph, table):
        return layer.nodes.index(table)
    if layer.kind != "mac":
        return None
    add = layer.find(Add)
    requantise = layer.find(Requantise)
    if add is not None and requantise is not None and _rounding(add) != _rounding(requantise):
        return layer.nodes.index(add)
    pool = layer.find(MaxPool)
    return layer.nodes.index(pool) if add is not None and pool is not None else None


def _falls(graph: Graph, table: Node) -> bool:
    """Whether a greater operand has a lesser entry anywhere in a table."""
    return bool((np.diff(graph.constant(table.inputs[1]).array.astype(np.int64)) < 0).any())


def _rounding(node: Node) -> object:
    assert isinstance(node.op, Add | Requantise)
    return node.op.rounding


def _cut(layer: Layer, place: int) -> list[Layer]:
    head, tail = layer.nodes[:place], layer.nodes[place:]
    parts = [replace(layer, nodes=head, output=head[-1].name, inputs=layer.inputs[: 1 + _adds(head)])]
    rest = tuple(node for node in tail if not isinstance(node.op, MaxPool))
    if rest:
        inputs: tuple[str, ...] = (head[-1].name,)
        if isinstance(rest[0].op, Add):
            inputs += (next((name for name in rest[0].inputs if name != head[-1].name), head[-1].name),)
        parts.append(Layer(rest[0].name, "elementwise", rest, inputs, rest[-1].name, 0))
    for node in tail:
        if isinstance(node.op, MaxPool):
            parts.append(Layer(node.name, "pool", (node,), (node.inputs[0],), node.name, 0))
    return parts


def _adds(nodes: tuple[Node, ...]) -> int:
    return sum(isinstance(node.op, Add) for node in nodes)


def map_layer(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job] | VectorLayer:
    """The jobs of a layer; values are named by what holds their bytes (reshapes resolved)."""
    roots = aliases(graph)
    if on_vector(graph, layer, config):
        passes = VECTOR_MAPPERS[type(layer.main.op)](graph, layer, config)
        return VectorLayer(tuple(VectorPass(tuple(_resolved(job, roots) for job in each.jobs)) for each in passes))
    resolved = []
    for job in ARRAY_MAPPERS[type(layer.main.op)](graph, layer, config):
        image = replace(job.image, value=roots.get(job.image.value, job.image.value))
        residual = job.tail.residual
        tail = replace(job.tail, residual=roots.get(residual, residual)) if residual else job.tail
        resolved.append(replace(job, image=image, tail=tail))
    return resolved


def _resolved(job: VectorJob, roots: Mapping[str, str]) -> VectorJob:
    job = replace(job, image=replace(job.image, value=roots.get(job.image.value, job.image.value)))
    if job.operand is None or job.operand.layout is None:
        return job
    layout = job.operand.layout
    layout = replace(layout, value=roots.get(layout.value, layout.value))
    return replace(job, operand=replace(job.operand, layout=layout))
