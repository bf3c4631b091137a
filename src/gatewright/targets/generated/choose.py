"""The machine for one network: shape of the array, scratchpads, units, under a budget.

Shapes are compared by the closed form of the array's time (`shape`); scratchpads start as large as the budget allows and shrink
as long as the whole network, by the cycle model, takes no longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gatewright import ir
from gatewright.errors import ConfigError
from gatewright.ir import Graph
from gatewright.program import Program
from gatewright.targets.array.cycles import count_cycles
from gatewright.targets.array.lower import lower
from gatewright.targets.generated.config import GeneratedConfig
from gatewright.targets.generated.shape import choose_shape

__all__ = ["choose"]

_TOLERANCE = 1.005  # cycles that a smaller scratchpad may cost
_LARGEST_COUNTED = 20_000  # instructions of a program up to which the cycle model judges scratchpads
_SCRATCHPADS = ("activation_bytes", "output_bytes", "weight_bytes", "parameter_bytes")
_SHARES = {
    "activation_bytes": 2,
    "output_bytes": 2,
    "weight_bytes": 2,
    "parameter_bytes": 5,
}  # budget / 2^share at first


def choose(graph: Graph, wish: GeneratedConfig) -> GeneratedConfig:
    """Every parameter that the wish leaves open.

    Raises
    ------
    ConfigError
        If the budget is too small for the network; the message says which scratchpad needs how much.
    """
    units = _units(graph, wish)
    return _scratchpads(graph, choose_shape(graph, units))


def _units(graph: Graph, wish: GeneratedConfig) -> GeneratedConfig:
    """Without the units that the network does not use, and with an accumulator that its sums need."""
    operators = {type(node.op) for node in graph.nodes}
    width = wish.accumulator_width or max([16, *_sum_bits(graph)])
    return replace(
        wish,
        residual=wish.residual and ir.Add in operators,
        pool=wish.pool and ir.MaxPool in operators,
        lut=wish.lut and ir.Lut in operators,
        accumulator_width=width,
        multiplier_width=0 if _only_shifts(graph) else wish.multiplier_width,
    )


def _sum_bits(graph: Graph) -> Iterator[int]:
    for node in graph.nodes:
        if isinstance(node.op, ir.Conv2d | ir.MatMul):
            low, high = ir.accumulator_bounds(graph, node)
            yield max(int(low.min()).bit_length(), int(high.max()).bit_length()) + 1
        elif isinstance(node.op, ir.AveragePool):
            yield (256 * node.op.kernel[0] * node.op.kernel[1]).bit_length() + 1
        else:
            yield 16


def _only_shifts(graph: Graph) -> bool:
    values: list[int] = []
    for node in graph.nodes:
        if isinstance(node.op, ir.Requantise):
            values += np.unique(graph.constant(node.inputs[1]).array).tolist()
        elif isinstance(node.op, ir.AveragePool):
            values += [mul for _, mul in node.op.multipliers]
    return all(value > 0 and not value & (value - 1) for value in values)


def _scratchpads(graph: Graph, wish: GeneratedConfig) -> GeneratedConfig:
    """Scratchpads that make the machine smaller, its program included, and cost no time; what the user gave stays."""
    sizes: dict[str, Any] = {name: getattr(wish, name) or _first_size(wish, name) for name in _SCRATCHPADS}
    best = replace(wish, **sizes)
    program = lower(graph, best.array(), proven=False)
    if program.instruction_count > _LARGEST_COUNTED:
        return best
    cycles, size = _count(program, best), _size(program, best)
    for name in _SCRATCHPADS:
        while not getattr(wish, name) and getattr(best, name) > 1024:
            smaller = replace(best, **{name: getattr(best, name) // 2})
            try:
                program = lower(graph, smaller.array(), proven=False)
            except ConfigError:
                break
            if _size(program, smaller) >= size or _count(program, smaller) > cycles * _TOLERANCE:
                break
            best, size = smaller, _size(program, smaller)
    return best


def _first_size(wish: GeneratedConfig, name: str) -> int:
    """A power of two, about the scratchpad's share of the budget."""
    share = max(1024, wish.memory_bytes >> _SHARES[name])
    return min(1 << (share.bit_length() - 1), 1 << 19)


def _size(program: Program, config: GeneratedConfig) -> int:
    """Bytes of scratchpads and ROM."""
    return len(program.regions[0].data) + sum(getattr(config, name) for name in _SCRATCHPADS)


def _count(program: Program, config: GeneratedConfig) -> int:
    return count_cycles(program, config.array(), rom=True).cycles
