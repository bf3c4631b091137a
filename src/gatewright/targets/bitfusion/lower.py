"""From a graph to a program of the bitfusion machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import STAMP_COUNT, Opcode
from gatewright.ir import Graph, IntType, Port
from gatewright.ir.packing import packed_bytes, stored_width
from gatewright.passes import Layer, aliases
from gatewright.program import Binding, LayerInfo, Program
from gatewright.targets.array.assembler import Step, assemble, prove, synchronise
from gatewright.targets.array.job import element_bytes
from gatewright.targets.array.layers import layers_of
from gatewright.targets.array.lower import constant_data
from gatewright.targets.array.memory_map import MemoryMap, Place
from gatewright.targets.array.placement import LayerUse, Placement, place
from gatewright.targets.bitfusion.assembler import FusionEffects, FusionStep
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.emitter import FusionEmitter
from gatewright.targets.bitfusion.fences import prove_fences
from gatewright.targets.bitfusion.formats import fused_jobs
from gatewright.targets.bitfusion.job import FusionJob
from gatewright.targets.bitfusion.operands import bricks_per_product, products_per_unit
from gatewright.targets.bitfusion.order import loads_ahead
from gatewright.targets.bitfusion.tiling import least_room

__all__ = ["lower"]


def lower(graph: Graph, config: FusionConfig, target: str = "bitfusion") -> Program:
    """Choose widths, place the values, cut each layer into blocks, order them with tokens, and prove the order.

    Raises
    ------
    ConfigError
        If a buffer is too small for one tile of a layer; the message says the minimum. If there are more layers than
        time stamps.
    """
    array = config.array()
    layers = layers_of(graph, array)
    if len(layers) > STAMP_COUNT:
        raise ConfigError(f"{graph.name!r} must have at most {STAMP_COUNT} layers, not {len(layers)}")
    jobs, widths = fused_jobs(graph, layers, config)
    roots = aliases(graph)
    outputs = frozenset(roots.get(name, name) for name in graph.outputs)

    def size_of(name: str) -> int:
        type = graph.type_of(name)
        return packed_bytes(type.size, widths.get(name, 8 * element_bytes(type.dtype)))

    uses = [_use(layer, mine, array.scratch_line) for layer, mine in zip(layers, jobs, strict=True)]
    placement = _place(uses, size_of, outputs, config)
    memory = MemoryMap(graph, outputs, placement.memory, size_of)
    emitter = FusionEmitter(config, memory, size_of)
    for name in dict.fromkeys(name for use in uses for name in (*use.sources, use.residual) if name):
        if graph.is_constant(name):
            emitter.add_constant(name, constant_data(graph, name))
    starts = []
    for index, (mine, plan) in enumerate(zip(jobs, placement.layers, strict=True)):
        starts.append(len(emitter.steps))
        emitter.layer(index, mine, plan)
    parts = [emitter.steps[start:stop] for start, stop in pairwise([*starts, len(emitter.steps)])]
    steps = [*loads_ahead(emitter.steps, config), FusionStep(Opcode.END)]
    synchronise(steps, array, FusionEffects(config))
    prove(steps, array, FusionEffects(config))
    prove_fences(steps, array)
    code = assemble(steps)
    return Program(
        name=graph.name,
        target=target,
        config=asdict(config),
        config_digest=config.digest(),
        instruction_count=len(steps),
        regions=memory.regions(code, bytes(emitter.constants), placement.scratch_bytes),
        inputs=_bindings(graph, [value.name for value in graph.inputs], graph.input_ports, memory.places, widths),
        outputs=_bindings(graph, graph.outputs, graph.output_ports, memory.places, widths),
        layers=tuple(
            _info(graph, *each, widths, config, memory.constants) for each in zip(layers, jobs, parts, strict=True)
        ),
    )


def _place(uses: Sequence[LayerUse], size_of: object, outputs: frozenset[str], config: FusionConfig) -> Placement:
    try:
        return place(uses, size_of, outputs, config.array())  # type: ignore[arg-type]
    except ConfigError as error:
        message = str(error).replace("activation_bytes", "ibuf_bytes").replace("output_bytes", "obuf_bytes")
        raise ConfigError(message) from None


def _use(layer: Layer, jobs: Sequence[FusionJob], line: int) -> LayerUse:
    rooms = [least_room(job) for job in jobs]
    return LayerUse(
        name=layer.name,
        sources=tuple(job.shape.image.value for job in jobs),
        residual=jobs[0].shape.tail.residual,
        output=layer.output,
        least_input=max(room[0] for room in rooms),
        least_output=max(_staged(job, room[1], line) for job, room in zip(jobs, rooms, strict=True)),
    )


def _staged(job: FusionJob, size: int, line: int) -> int:
    """Room for a tile of results, and for its residual operand behind it."""
    return size if job.shape.tail.residual is None else job.shape.output_share * -(-size // line) * line


def _bindings(
    graph: Graph,
    names: Sequence[str],
    ports: Sequence[Port],
    places: Mapping[str, Place],
    widths: Mapping[str, int],
) -> tuple[Binding, ...]:
    roots = aliases(graph)
    bindings = []
    for name, port in zip(names, ports, strict=True):
        root = roots.get(name, name)
        place, width = places[root], widths.get(root, 0)
        bindings.append(Binding(name, place.region, place.offset, graph.type_of(name), port, packed_width=width))
    return tuple(bindings)


def _info(
    graph: Graph,
    layer: Layer,
    jobs: Sequence[FusionJob],
    steps: Sequence[Step],
    widths: Mapping[str, int],
    config: FusionConfig,
    constants: int,
) -> LayerInfo:
    """The limit is at the layer's own precision: so many products a cycle as the units finish of this pair."""
    loads = [f for f in (step.fields for step in steps if step.opcode == Opcode.LOAD) if f["region"] == constants]
    transfer = sum(f["length"] * f["count0"] * f["count1"] for f in loads)
    each = products_per_unit(*jobs[0].widths)
    rate = each * config.multipliers
    assert rate * bricks_per_product(*jobs[0].widths) <= 16 * config.multipliers
    return LayerInfo(
        name=layer.title,
        op=layer.main.op.name,
        macs=layer.macs,
        limit_cycles=-(-layer.macs * rate.denominator // rate.numerator),
        transfer_bytes=transfer,
        widths=_widths(graph, layer, jobs[0]),
        products_per_unit=str(each) if layer.macs else None,
        kept=_kept(graph.type_of(layer.output).dtype, widths.get(layer.output, 8)),
    )


def _kept(dtype: IntType, width: int) -> str | None:
    """That results have a byte each, or more bits than their own, as where channels do not fill whole bytes."""
    return f"{dtype} in {width} bits" if stored_width(dtype.width) < width else None


def _widths(graph: Graph, layer: Layer, job: FusionJob) -> str | None:
    """Those of the network, and those that the units work at where they are others; None without products."""
    if not layer.macs:
        return None
    own, run = (
        " x ".join(map(str, pair))
        for pair in ((graph.type_of(name).dtype.width for name in layer.main.inputs[:2]), job.widths)
    )
    return own if own == run else f"{own} as {run}"
