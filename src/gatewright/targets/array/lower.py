"""From a graph to a program of the array datapath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import STAMP_COUNT, Opcode
from gatewright.ir import Graph, Port
from gatewright.passes import Layer, aliases
from gatewright.program import Binding, LayerInfo, Program
from gatewright.targets.array.assembler import Step, assemble, complete, prove, synchronise
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.emitter import Emitter
from gatewright.targets.array.emitter_vector import constant_bytes
from gatewright.targets.array.isa_vector import VECTOR_UNIT
from gatewright.targets.array.job import Job, element_bytes
from gatewright.targets.array.layers import layers_of, map_layer
from gatewright.targets.array.memory_map import MemoryMap, Rows
from gatewright.targets.array.placement import LayerUse, place
from gatewright.targets.array.tiling import least_room
from gatewright.targets.array.tiling_vector import least_vector_room
from gatewright.targets.array.vector_job import VectorLayer, VectorPass

__all__ = ["lower", "sketch"]


@dataclass(frozen=True)
class _Lowered:
    """Layers and what became of them: instructions with their tokens, the last of which ends the program."""

    layers: Sequence[Layer]
    starts: Sequence[int]  # of each layer: its first instruction
    steps: list[Step]
    memory: MemoryMap
    constants: bytes
    scratch_bytes: int


def lower(graph: Graph, config: ArrayConfig, target: str = "systolic", *, rom: bool = False) -> Program:
    """Place the values, cut each layer into instructions, order them with tokens, and prove the order.

    With `rom`, for a machine that holds the program: regions are NNgen's (see `MemoryMap`), and rows of
    inputs and outputs begin with words of the bus.

    Raises
    ------
    ConfigError
        If a scratchpad is too small for one tile of a layer; the message says the minimum. If there are more layers
        than time stamps.
    """
    made = _lowered(graph, config, rom=rom, most=None)
    prove(made.steps, config)
    code, memory, roots = assemble(made.steps), made.memory, aliases(graph)
    parts = [made.steps[start:stop] for start, stop in pairwise([*made.starts, len(made.steps) - 1])]
    return Program(
        name=graph.name,
        target=target,
        config=asdict(config),
        config_digest=config.digest(),
        instruction_count=len(made.steps),
        regions=memory.regions(code, made.constants, made.scratch_bytes),
        inputs=_bindings(graph, [value.name for value in graph.inputs], graph.input_ports, memory, roots),
        outputs=_bindings(graph, graph.outputs, graph.output_ports, memory, roots),
        layers=tuple(
            _info(layer, config, part, memory.constants) for layer, part in zip(made.layers, parts, strict=True)
        ),
    )


def sketch(graph: Graph, config: ArrayConfig, *, rom: bool = False, most: int | None = None) -> tuple[list[Step], int]:
    """The instructions of `lower`'s program, complete but not proven, and for how many layers: enough to count cycles.

    Raises
    ------
    ConfigError
        As `lower`, and if there are more than `most` instructions.
    """
    made = _lowered(graph, config, rom=rom, most=most)
    return complete(made.steps), len(made.layers)


def _lowered(graph: Graph, config: ArrayConfig, *, rom: bool, most: int | None) -> _Lowered:
    layers = layers_of(graph, config)
    if len(layers) > STAMP_COUNT:
        raise ConfigError(f"{graph.name!r} must have at most {STAMP_COUNT} layers, not {len(layers)}")
    jobs = [map_layer(graph, layer, config) for layer in layers]
    roots = aliases(graph)
    outputs = frozenset(roots.get(name, name) for name in graph.outputs)
    uses = [_use(layer, mine, config) for layer, mine in zip(layers, jobs, strict=True)]

    def size_of(name: str) -> int:
        type = graph.type_of(name)
        return type.size * element_bytes(type.dtype)

    placement = place(uses, size_of, outputs, config)
    rows = _rows(graph, roots, config.bus_bytes if rom else 1)
    memory = MemoryMap(graph, outputs, placement.memory, size_of, rows, rom=rom)
    emitter = Emitter(config, memory, size_of)
    _add_constants(graph, uses, emitter)
    starts = []
    for index, (mine, plan) in enumerate(zip(jobs, placement.layers, strict=True)):
        starts.append(len(emitter.steps))
        emitter.layer(index, mine, plan)
        if most is not None and len(emitter.steps) > most:
            raise ConfigError(f"{graph.name!r} needs more than {most} instructions")
    steps = [*emitter.steps, Step(Opcode.END)]
    synchronise(steps, config)
    return _Lowered(layers, starts, steps, memory, bytes(emitter.constants), placement.scratch_bytes)


def _add_constants(graph: Graph, uses: Sequence[LayerUse], emitter: Emitter) -> None:
    """Constants that layers read as values."""
    for name in dict.fromkeys(name for use in uses for name in (*use.sources, use.residual) if name):
        if graph.is_constant(name):
            emitter.add_constant(name, constant_data(graph, name))


def constant_data(graph: Graph, name: str) -> bytes:
    """A constant as it lies in memory."""
    constant = graph.constant(name)
    return constant.array.astype(constant.type.dtype.storage.newbyteorder("<")).tobytes()


def _use(layer: Layer, jobs: Sequence[Job] | VectorLayer, config: ArrayConfig) -> LayerUse:
    if isinstance(jobs, VectorLayer):
        return _vector_use(layer, jobs.passes, config)
    rooms = [least_room(job) for job in jobs]
    return LayerUse(
        name=layer.name,
        sources=tuple(job.image.value for job in jobs),
        residual=jobs[0].tail.residual,
        output=layer.output,
        least_input=max(room[0] for room in rooms),
        least_output=max(room[1] * job.output_share for room, job in zip(rooms, jobs, strict=True)),
    )


def _vector_use(layer: Layer, passes: Sequence[VectorPass], config: ArrayConfig) -> LayerUse:
    rooms = [least_vector_room(pass_, config.scratch_line) for pass_ in passes]
    jobs = [job for pass_ in passes for job in pass_.jobs]
    operand = jobs[0].operand
    return LayerUse(
        name=layer.name,
        sources=tuple(job.image.value for job in jobs),
        residual=operand.value if operand else None,
        output=layer.output,
        least_input=max(room[0] for room in rooms),
        least_output=max(room[1] for room in rooms),
        constants=max(constant_bytes(job) for job in jobs),
        whole_residual=operand is not None and operand.layout is not None and not operand.dense,
    )


def _rows(graph: Graph, roots: Mapping[str, str], alignment: int) -> dict[str, Rows | None]:
    """Rows of inputs and outputs, by the values whose memory they are; of several outputs in one place the first's.

    They begin at multiples of `alignment` bytes, or more where a port asks for it; at any byte if it is 1.
    """
    ends = [*zip(graph.outputs, graph.output_ports, strict=True)][::-1]
    ends += zip((value.name for value in graph.inputs), graph.input_ports, strict=True)
    rows = {}
    for name, port in ends:
        type = graph.type_of(name)
        asked = port.row_alignment * element_bytes(type.dtype) if alignment > 1 else 1
        rows[roots.get(name, name)] = Rows.of(type, max(alignment, asked))
    return rows


def _bindings(
    graph: Graph, names: Sequence[str], ports: Sequence[Port], memory: MemoryMap, roots: Mapping[str, str]
) -> tuple[Binding, ...]:
    """Where inputs or outputs lie. What is unsigned to a host that deals in integers stays so in NNgen's regions."""
    bindings = []
    for name, port in zip(names, ports, strict=True):
        where, type = memory.places[roots.get(name, name)], graph.type_of(name)
        row, pitch = (where.rows.bytes, where.rows.pitch) if where.rows else (0, 0)
        offset = port.zero_point - port.model_zero_point
        unsigned = memory.rom and port.scale is None and type.dtype.width == 8 and offset == -128
        bindings.append(Binding(name, where.region, where.offset, type, port, row, pitch, unsigned=unsigned))
    return tuple(bindings)


def _info(layer: Layer, config: ArrayConfig, steps: Sequence[Step], constants: int) -> LayerInfo:
    loads = [f for f in (step.fields for step in steps if step.opcode == Opcode.LOAD) if f["region"] == constants]
    transfer = sum(f["length"] * f["count0"] * f["count1"] for f in loads)
    width = config.vector_lanes if steps and steps[-1].unit == VECTOR_UNIT else config.multipliers
    limit = -(-layer.macs // width)
    return LayerInfo(layer.title, layer.main.op.name, layer.macs, limit, transfer)
