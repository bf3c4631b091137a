"""The figures of `report.json`: what a network costs on a machine, what was measured, how near that is to the limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gatewright.build import Build
from gatewright.ir import Constant, Graph, TensorType
from gatewright.program import LayerInfo, Result

__all__ = ["Comparison", "Reference", "compulsory_bytes", "finite_memory_cycles", "parameters_bytes", "report_figures"]


@dataclass(frozen=True)
class Reference:
    """How a build's outputs compare with ONNX Runtime's: share of values that differ, by how many steps of the output
    at most (None where an output has no steps, as an index has none), share of samples with the same largest value.
    """

    mismatch_rate: float
    max_steps: int | None
    top1_equal: float


@dataclass(frozen=True)
class Comparison:
    """What a verification found: whether all engines agree, and how the agreed values compare with the reference."""

    equal: bool
    max_abs_difference: int
    reference: Reference | None = None


def report_figures(
    build: Build, model: Result | None = None, rtl: Result | None = None, comparison: Comparison | None = None
) -> dict[str, Any]:
    """The contents of `report.json`; what was not measured is None."""
    machine, config, program = build.target, build.config, build.program
    bus_bytes, memory = machine.data_width(config) // 8, machine.memory_bytes(config)
    compulsory = compulsory_bytes(build.graph)
    limit = max(sum(layer.limit_cycles for layer in program.layers), -(-compulsory // bus_bytes))
    return {
        "model": program.name,
        "target": program.target,
        "config": dict(program.config),
        "batch": build.graph.inputs[0].type.shape[0],
        "macs": program.macs,
        "multipliers": machine.multipliers(config),
        "parameters_bytes": parameters_bytes(build.graph),
        "compulsory_bytes": compulsory,
        "bus_bytes": bus_bytes,
        "limit_cycles": limit,
        "reachable_cycles": finite_memory_cycles(program.layers, bus_bytes, memory),
        "cycles": {"model": model.cycles if model else None, "rtl": rtl.cycles if rtl else None},
        "efficiency": _ratio(limit, rtl.cycles if rtl else None),
        "equal": comparison.equal if comparison else None,
        "max_abs_difference": comparison.max_abs_difference if comparison else None,
        "reference": _reference(comparison),
        "memory_bytes": memory,
        "multipliers_outside_array": machine.multipliers_outside_array(config),
        "counters": dict(rtl.counters) if rtl else None,
        "choice": build.choice.to_json() if build.choice else None,
        "layers": list(_layers(program.layers, model, rtl)),
    }


def parameters_bytes(graph: Graph) -> int:
    """All parameters once, packed: weights and biases at the width of their type, and unsigned numbers (multipliers,
    shifts, tables) at the width of the largest of each constant.
    """
    used = [constant for constant in graph.constants if graph.consumers(constant.name)]
    return -(-sum(_packed_bits(constant) for constant in used) // 8)


def compulsory_bytes(graph: Graph) -> int:
    """Bytes that must cross the bus whatever the machine: parameters, network input and network output, each once."""
    ends = [*(value.type for value in graph.inputs), *(graph.type_of(name) for name in graph.outputs)]
    return parameters_bytes(graph) + sum(_type_bytes(kind) for kind in ends)


def _packed_bits(constant: Constant) -> int:
    dtype = constant.type.dtype
    width = dtype.width if dtype.signed else int(constant.array.max()).bit_length()
    return constant.type.size * width


def _type_bytes(kind: TensorType) -> int:
    return -(-kind.size * kind.dtype.width // 8)


def finite_memory_cycles(layers: Sequence[LayerInfo], bus_bytes: int, memory_bytes: int) -> int | None:
    """Cycles that no machine of this bus and this on-chip memory can go below with these transfers of parameters, if it
    leaves out no taps in the padding; None if the compiler does not say what is transferred.

    Layers compute one after the other. When one begins, what has been loaded for it and for those after it still lies
    on chip, `memory_bytes` at most; the rest of it comes while they compute.
    """
    begun: list[tuple[int, int]] = []  # of each layer: cycles before it, bytes of those before it
    cycles = transferred = 0
    for layer in layers:
        if layer.transfer_bytes is None:
            return None
        begun.append((cycles, transferred + (memory_bytes if begun else 0)))
        transferred += layer.transfer_bytes
        waits = [start + -(-(transferred - ahead) // bus_bytes) for start, ahead in begun if transferred > ahead]
        cycles = max(cycles + layer.limit_cycles, *waits, 0)
    return cycles


def _layers(layers: tuple[LayerInfo, ...], model: Result | None, rtl: Result | None) -> Iterator[dict[str, Any]]:
    unknown = (None,) * len(layers)
    modelled, measured = ((one.layer_cycles if one else None) or unknown for one in (model, rtl))
    for layer, model_cycles, cycles in zip(layers, modelled, measured, strict=True):
        yield {
            "name": layer.name,
            "op": layer.op,
            "macs": layer.macs,
            "widths": layer.widths,
            "products_per_unit": layer.products_per_unit,
            "kept": layer.kept,
            "limit_cycles": layer.limit_cycles,
            "cycles": cycles,
            "model_cycles": model_cycles,
            "efficiency": _ratio(layer.limit_cycles, cycles),
        }


def _reference(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None or comparison.reference is None:
        return None
    found = comparison.reference
    return {"mismatch_rate": found.mismatch_rate, "max_steps": found.max_steps, "top1_equal": found.top1_equal}


def _ratio(limit: int, cycles: int | None) -> float | None:
    """Efficiency; None where nothing was measured, or where there was nothing to multiply."""
    return round(limit / cycles, 4) if cycles and limit else None
