"""The machine for one network: shape of the array, scratchpads, units, under a budget.

Units are those that the network uses; shapes are compared by the closed form of the array's time (`shape`), scratchpads
by the cycle model of the whole network (`scratchpads`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gatewright import ir
from gatewright.ir import Graph
from gatewright.targets.generated.config import GeneratedConfig
from gatewright.targets.generated.scratchpads import choose_scratchpads
from gatewright.targets.generated.shape import choose_shape

__all__ = ["choose"]


def choose(graph: Graph, wish: GeneratedConfig) -> GeneratedConfig:
    """Every parameter that the wish leaves open.

    Raises
    ------
    ConfigError
        If the budget is too small for the network; the message says which scratchpad needs how much.
    """
    units = _units(graph, wish)
    return choose_scratchpads(graph, choose_shape(graph, units))


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
