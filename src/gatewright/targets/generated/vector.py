"""The vector unit of one network's machine: whether there is one, how many lanes, which parts, how wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gatewright import ir
from gatewright.ir import Graph
from gatewright.passes import Layer
from gatewright.targets.array.config import LANES_OF_A_PARAMETER_WORD, ArrayConfig
from gatewright.targets.array.isa_vector import LaneOperation
from gatewright.targets.array.layers import layers_of, map_layer, on_vector
from gatewright.targets.array.supports_vector import sum_bits
from gatewright.targets.array.vector_job import VectorJob, VectorLayer
from gatewright.targets.generated.config import GeneratedConfig

__all__ = ["choose_vector", "convolves", "split_layers", "trial_config"]

_LEAST_SUM = 16
_MOST_LANES = 64
_DYADIC_MULTIPLIER = 16  # bits that the unit's multiplier has on a machine whose array only shifts
_BEATS = 2  # lanes for each byte of the bus: computing takes half as long as loading
_PARTS = (
    "vector_operand",
    "vector_product_shift",
    "vector_affine",
    "vector_shift",
    "vector_maximum",
    "vector_table",
)


def split_layers(graph: Graph, wish: GeneratedConfig) -> tuple[list[Layer], list[Layer]]:
    """The layers of the array and those of the vector unit, were every unit there that the wish allows."""
    trial = trial_config(wish)
    layers = layers_of(graph, trial)
    vector = [layer for layer in layers if on_vector(graph, layer, trial)]
    return [layer for layer in layers if layer not in vector], vector


def trial_config(wish: GeneratedConfig) -> ArrayConfig:
    """The largest machine that the wish allows: what it can run, some machine can."""
    return ArrayConfig(
        activation_width=wish.activation_width or 16,
        weight_width=wish.weight_width or 16,
        result_width=wish.result_width or 32,
        accumulator_width=wish.accumulator_width or 64,
        multiplier_width=wish.multiplier_width or 24,
        activation_bytes=wish.activation_bytes or max(1024, 1 << (min(wish.memory_bytes, 1 << 20).bit_length() - 1)),
        bus_bits=wish.bus_bits,
        residual=wish.residual,
        pool=wish.pool,
        lut=wish.lut,
        vector_lanes=8 if wish.vector else 0,
        vector_sum_width=wish.vector_sum_width or 64,
        vector_operand_bytes=wish.vector_operand_bytes or 2,
        vector_result_bytes=wish.vector_result_bytes or 4,
        **{name: getattr(wish, name) for name in _PARTS},
    )


def choose_vector(graph: Graph, wish: GeneratedConfig, layers: tuple[list[Layer], list[Layer]]) -> GeneratedConfig:
    """Lanes, widths and parts for the layers of the vector unit; without such layers, none of it."""
    of_array, of_vector = layers
    if not of_vector:
        without: dict[str, Any] = dict.fromkeys(_PARTS, False)
        without |= {"vector_sum_width": _LEAST_SUM, "vector_operand_bytes": 1, "vector_result_bytes": 1}
        return replace(wish, vector=False, vector_lanes=0, **without)
    jobs = list(_jobs(graph, of_vector, trial_config(wish)))
    nodes = [layer.main for layer in of_vector]
    wish = _multipliers_and_biases(jobs, wish)
    return replace(
        wish,
        vector_lanes=wish.vector_lanes or _lanes(of_array, of_vector, wish),
        vector_sum_width=wish.vector_sum_width or max([_LEAST_SUM, *(sum_bits(node, graph) for node in nodes)]),
        vector_operand_bytes=wish.vector_operand_bytes or max(_operand_bytes(job) for job in jobs),
        vector_result_bytes=wish.vector_result_bytes or max(job.output.element_bytes for job in jobs),
        vector_operand=any(job.operand is not None for job in jobs),
        vector_product_shift=any(job.product_shift > 0 for job in jobs),
        vector_affine=any(job.operation == LaneOperation.AFFINE for job in jobs),
        vector_shift=any(job.operation == LaneOperation.SHIFT for job in jobs),
        vector_maximum=any(job.operation in (LaneOperation.MAX, LaneOperation.ARG_MAX) for job in jobs),
        vector_table=any(job.tail.table is not None for job in jobs),
    )


def _multipliers_and_biases(jobs: Sequence[VectorJob], wish: GeneratedConfig) -> GeneratedConfig:
    """Widths that both units share, as wide as this one needs."""
    most = max(max(job.tail.mul, int(job.parameters.mul.max()) if job.parameters else 0) for job in jobs)
    if most >= 1 << (wish.multiplier_width or _DYADIC_MULTIPLIER):
        wish = replace(wish, multiplier_width=most.bit_length())
    biases = [job.parameters.bias for job in jobs if job.parameters is not None]
    if any(bias.min() < -(1 << 31) or bias.max() >= 1 << 31 for bias in biases):
        wish = replace(wish, accumulator_width=max(wish.accumulator_width, 33))
    return wish


def _jobs(graph: Graph, layers: Sequence[Layer], config: ArrayConfig) -> Iterator[VectorJob]:
    for layer in layers:
        work = map_layer(graph, layer, config)
        assert isinstance(work, VectorLayer)
        for pass_ in work.passes:
            yield from pass_.jobs


def _operand_bytes(job: VectorJob) -> int:
    """Of elements, and of what padding inserts; a zero point has one bit more."""
    zeros = (job.a_zero, job.operand.zero if job.operand else 0)
    wide = not -128 <= job.pad < 128 or any(not -256 <= zero < 256 for zero in zeros)
    return max(job.image.element_bytes, job.operand.element_bytes if job.operand else 1, 1 + wide)


def _least_array(lanes: int) -> int:
    """Multipliers of the smallest array whose post unit reads parameters for so many lanes."""
    return max(1, lanes // LANES_OF_A_PARAMETER_WORD)


def convolves(layers: Sequence[Layer]) -> bool:
    """Whether lanes of the vector unit count as multipliers of the budget."""
    return any(isinstance(layer.main.op, ir.Conv2d | ir.RoundedConv2d) for layer in layers)


def _lanes(of_array: Sequence[Layer], of_vector: Sequence[Layer], wish: GeneratedConfig) -> int:
    """Twice the bytes of the bus; with convolutions, what divides the multipliers best between lanes and array."""
    least = min(_BEATS * wish.bus_bits // 8, _MOST_LANES)
    if not convolves(of_vector):
        return least
    mine, others = (sum(layer.macs for layer in layers) for layers in (of_vector, of_array))
    choices = [1 << power for power in range(7) if (1 << power) + _least_array(1 << power) <= wish.multipliers] or [1]

    def time(lanes: int) -> float:
        return mine / lanes + (others / max(wish.multipliers - lanes, 1) if others else 0)

    return min(choices, key=time)
