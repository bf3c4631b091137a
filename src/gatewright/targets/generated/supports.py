"""What a generated machine can be made to run: what the array machine runs, whatever its size."""

from __future__ import annotations

from gatewright.ir import Graph, Node
from gatewright.targets.array.supports import SUPPORT as ARRAY_SUPPORT
from gatewright.targets.generated.config import GeneratedConfig
from gatewright.targets.generated.vector import trial_config
from gatewright.targets.target import Predicate, Rule, Support

__all__ = ["SUPPORT"]


def _within_budget(refuse: Predicate) -> Predicate:
    """An array machine's rule, asked for the largest machine that the budget allows."""

    def refuse_for(node: Node, graph: Graph, config: GeneratedConfig) -> str | None:
        return refuse(node, graph, trial_config(config))

    return refuse_for


SUPPORT = Support(
    tuple(Rule(rule.operator, rule.runs, rule.conditions, _within_budget(rule.refuse)) for rule in ARRAY_SUPPORT.rules)
)
