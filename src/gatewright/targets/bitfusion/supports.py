"""What the bitfusion machine runs: what the array datapath runs, at any operand width up to 8 bits, and 16."""

from __future__ import annotations

from gatewright import ir
from gatewright.ir import Graph, Node
from gatewright.targets.array.supports import ARRAY_RULES
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.target import Predicate, Rule, Support

__all__ = ["SUPPORT"]


def _of_array(refuse: Predicate) -> Predicate:
    """An array machine's rule, asked for the parts that this machine shares with it."""

    def refuse_for(node: Node, graph: Graph, config: FusionConfig) -> str | None:
        reason = refuse(node, graph, config.array()) or _post(node)
        widest = "" if config.composable else " (composable = false)"
        return reason and reason.replace("activation_bytes", "ibuf_bytes").replace(" (activation_width)", widest)

    return refuse_for


def _post(node: Node) -> str | None:
    """What the shared post unit does, but not here: zero points beyond a word."""
    if isinstance(node.op, ir.Requantise) and not -(1 << 31) <= node.op.zero < 1 << 31:
        return f"zero must be within {-(1 << 31)}..{(1 << 31) - 1}, not {node.op.zero}"
    return None


SUPPORT = Support(
    tuple(
        Rule(
            rule.operator,
            rule.runs,
            tuple(
                text.replace("activation_bytes", "ibuf_bytes")
                .replace("within weight_width", "of 16 bits at most")
                .replace("activation_width", "16 bits")
                for text in rule.conditions
            ),
            _of_array(rule.refuse),
        )
        for rule in ARRAY_RULES
    )
)
