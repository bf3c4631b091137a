"""What the bitfusion machine runs: what the array datapath runs, at any operand width up to 8 bits."""

from __future__ import annotations

from gatewright.ir import Graph, Node
from gatewright.targets.array.supports import SUPPORT as ARRAY_SUPPORT
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.target import Predicate, Rule, Support

__all__ = ["SUPPORT"]


def _of_array(refuse: Predicate) -> Predicate:
    """An array machine's rule, asked for the parts that this machine shares with it."""

    def refuse_for(node: Node, graph: Graph, config: FusionConfig) -> str | None:
        reason = refuse(node, graph, config.array())
        return reason and reason.replace("activation_bytes", "ibuf_bytes")

    return refuse_for


SUPPORT = Support(
    tuple(
        Rule(
            rule.operator,
            rule.runs,
            tuple(
                text.replace("activation_bytes", "ibuf_bytes").replace("within weight_width", "of 8 bits at most")
                for text in rule.conditions
            ),
            _of_array(rule.refuse),
        )
        for rule in ARRAY_SUPPORT.rules
    )
)
