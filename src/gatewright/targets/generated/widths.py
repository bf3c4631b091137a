"""Widths that a network needs: of operands, sums, results and multipliers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gatewright import ir
from gatewright.ir import Graph, Node
from gatewright.targets.generated.config import GeneratedConfig

__all__ = ["choose_widths"]

_LEAST_OPERAND = 2
_LEAST_SUM = 16
_RESULTS = (8, 16, 32)


def choose_widths(graph: Graph, wish: GeneratedConfig, nodes: Sequence[Node]) -> GeneratedConfig:
    """The widths of the array, which runs these nodes; a multiplier of 0 bits where all scales are powers of two."""
    return replace(
        wish,
        activation_width=wish.activation_width or max([_LEAST_OPERAND, *_operand_widths(graph, nodes)]),
        weight_width=wish.weight_width or max([_LEAST_OPERAND, *_weight_widths(graph, nodes)]),
        result_width=wish.result_width or _result_width(graph, nodes),
        accumulator_width=wish.accumulator_width or max([_LEAST_SUM, *_sum_widths(graph, nodes)]),
        multiplier_width=wish.multiplier_width or _multiplier_width(graph, nodes),
    )


def _operand_widths(graph: Graph, nodes: Sequence[Node]) -> Iterator[int]:
    """Of what the array reads."""
    for node in nodes:
        if not isinstance(node.op, ir.Reshape) and not _follows_a_sum(graph, node):
            operands = [name for name in node.inputs if not graph.is_constant(name)]
            yield from (graph.type_of(name).dtype.width for name in operands)


def _follows_a_sum(graph: Graph, node: Node) -> bool:
    producer = graph.producer(node.inputs[0])
    return producer is not None and _is_product(producer) and isinstance(node.op, ir.Requantise)


def _is_product(node: Node) -> bool:
    return isinstance(node.op, ir.Conv2d | ir.MatMul)


def _weight_widths(graph: Graph, nodes: Sequence[Node]) -> Iterator[int]:
    for node in nodes:
        if _is_product(node) and graph.is_constant(node.inputs[1]):
            array = graph.constant(node.inputs[1]).array
            yield _signed_width(int(array.min()), int(array.max()))


def _signed_width(low: int, high: int) -> int:
    """Least bits of a two's complement number that holds both."""
    return max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()) + 1


def _result_width(graph: Graph, nodes: Sequence[Node]) -> int:
    """Of what is written: every value but sums that are requantised at once, and views."""
    widths = [8]
    for node in nodes:
        readers = graph.consumers(node.name)
        inside = _is_product(node) and len(readers) == 1 and isinstance(readers[0].op, ir.Requantise)
        if not isinstance(node.op, ir.Reshape) and (not inside or node.name in graph.outputs):
            widths.append(node.type.dtype.width)
    return next((width for width in _RESULTS if width >= max(widths)), _RESULTS[-1])


def _sum_widths(graph: Graph, nodes: Sequence[Node]) -> Iterator[int]:
    for node in nodes:
        width = graph.type_of(node.inputs[0]).dtype.width
        if _is_product(node):
            low, high = ir.accumulator_bounds(graph, node)
            yield _signed_width(int(low.min()), int(high.max()))
        elif isinstance(node.op, ir.AveragePool):
            yield (node.op.kernel[0] * node.op.kernel[1] << width).bit_length() + 1
        elif not _follows_a_sum(graph, node) and not isinstance(node.op, ir.Reshape):
            yield width + 2


def _multiplier_width(graph: Graph, nodes: Sequence[Node]) -> int:
    values: list[int] = []
    for node in nodes:
        if isinstance(node.op, ir.Requantise):
            values += np.unique(graph.constant(node.inputs[1]).array).tolist()
        elif isinstance(node.op, ir.AveragePool):
            values += [mul for _, mul in node.op.multipliers]
    if all(value > 0 and not value & (value - 1) for value in values):
        return 0
    return max(2, max(values).bit_length())
