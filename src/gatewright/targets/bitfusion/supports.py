"""What the bitfusion machine runs: what the array datapath runs, at any operand width up to 8 bits."""

from __future__ import annotations

from gatewright import ir
from gatewright.ir import Graph, Node
from gatewright.targets.array.supports import SUPPORT as ARRAY_SUPPORT
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.target import Predicate, Rule, Support

__all__ = ["SUPPORT"]


def _of_array(refuse: Predicate) -> Predicate:
    """An array machine's rule, asked for the parts that this machine shares with it."""

    def refuse_for(node: Node, graph: Graph, config: FusionConfig) -> str | None:
        reason = refuse(node, graph, config.array())
        for own in (_post, _wide):
            reason = reason or own(node, graph)
        return reason and reason.replace("activation_bytes", "ibuf_bytes").replace(" (activation_width)", "")

    return refuse_for


def _wide(node: Node, graph: Graph) -> str | None:
    """16-bit activations are for convolutions and products, and have no pad value but 0."""
    if graph.is_constant(node.inputs[0]) or not 8 < graph.type_of(node.inputs[0]).dtype.width <= 16:
        return None
    producer = graph.producer(node.inputs[0])
    if isinstance(node.op, ir.Reshape) or (producer and isinstance(producer.op, ir.Conv2d | ir.MatMul)):
        return None
    if not isinstance(node.op, ir.Conv2d | ir.MatMul):
        return f"it must read 8 bits at most, not {graph.type_of(node.inputs[0]).dtype}"
    if isinstance(node.op, ir.Conv2d) and any(node.op.pads) and node.op.x_zero:
        return f"a padded convolution of 16-bit activations must have an x_zero of 0, not {node.op.x_zero}"
    return None


def _post(node: Node, graph: Graph) -> str | None:
    """What the shared post unit does, but not here: wide residual operands, zero points beyond a word."""
    if isinstance(node.op, ir.Requantise) and not -(1 << 31) <= node.op.zero < 1 << 31:
        return f"zero must be within {-(1 << 31)}..{(1 << 31) - 1}, not {node.op.zero}"
    if not isinstance(node.op, ir.Add):
        return None
    wide = next((name for name in node.inputs if graph.type_of(name).dtype.width > 8), None)
    return None if wide is None else f"operand {wide!r} must have 8 bits at most, not {graph.type_of(wide).dtype}"


SUPPORT = Support(
    tuple(
        Rule(
            rule.operator,
            rule.runs,
            tuple(
                text.replace("activation_bytes", "ibuf_bytes").replace("within weight_width", "of 16 bits at most")
                for text in rule.conditions
            ),
            _of_array(rule.refuse),
        )
        for rule in ARRAY_SUPPORT.rules
    )
)
