"""What a generated machine can be made to run: what the array machine runs, whatever its size."""

from __future__ import annotations

from gatewright.ir import Graph, Node
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.supports import SUPPORT as ARRAY_SUPPORT
from gatewright.targets.generated.config import GeneratedConfig
from gatewright.targets.target import Predicate, Rule, Support

__all__ = ["SUPPORT"]


def _within_budget(refuse: Predicate) -> Predicate:
    """An array machine's rule, asked for the largest machine that the budget allows."""

    def refuse_for(node: Node, graph: Graph, config: GeneratedConfig) -> str | None:
        room = 1 << (min(config.memory_bytes, 1 << 20).bit_length() - 1)
        largest = ArrayConfig(
            bus_bits=config.bus_bits,
            activation_width=config.activation_width or 16,
            weight_width=config.weight_width or 16,
            result_width=config.result_width or 32,
            multiplier_width=config.multiplier_width or 24,
            accumulator_width=config.accumulator_width or 64,
            activation_bytes=config.activation_bytes or max(1024, room),
            residual=config.residual,
            pool=config.pool,
            lut=config.lut,
        )
        return refuse(node, graph, largest)

    return refuse_for


SUPPORT = Support(
    tuple(Rule(rule.operator, rule.runs, rule.conditions, _within_budget(rule.refuse)) for rule in ARRAY_SUPPORT.rules)
)
