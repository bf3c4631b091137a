"""The machine for one network: shape of the array, scratchpads, units, under a budget.

Units and widths are those that the network needs, with a vector unit for what is no sum of products (`vector`); shapes
are compared by the closed form of the array's time (`shape`), scratchpads by the cycle model of the whole network
(`scratchpads`).
"""

from __future__ import annotations

from dataclasses import replace

from gatewright import ir
from gatewright.ir import Graph
from gatewright.passes import Layer
from gatewright.targets.generated.config import GeneratedConfig
from gatewright.targets.generated.scratchpads import choose_scratchpads
from gatewright.targets.generated.shape import choose_shape
from gatewright.targets.generated.vector import choose_vector, convolves, split_layers
from gatewright.targets.generated.widths import choose_widths

__all__ = ["choose"]


def choose(graph: Graph, wish: GeneratedConfig) -> GeneratedConfig:
    """Every parameter that the wish leaves open.

    Raises
    ------
    ConfigError
        If the budget is too small for the network; the message says which scratchpad needs how much.
    """
    of_array, of_vector = split_layers(graph, wish)
    made = choose_widths(graph, _units(of_array, wish), [node for layer in of_array for node in layer.nodes])
    made = choose_vector(graph, made, (of_array, of_vector))
    return choose_scratchpads(graph, choose_shape(graph, made, of_array, convolves=convolves(of_vector)))


def _units(layers: list[Layer], wish: GeneratedConfig) -> GeneratedConfig:
    """Without the units that the array's layers do not use."""
    operators = {type(node.op) for layer in layers for node in layer.nodes}
    return replace(
        wish,
        residual=wish.residual and ir.Add in operators,
        pool=wish.pool and ir.MaxPool in operators,
        lut=wish.lut and ir.Lut in operators,
    )
