"""The width at which each value is kept: its own where its elements fill whole bytes everywhere, 8 bits elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatewright.ir import Graph
from gatewright.ir.packing import stored_width
from gatewright.passes import Layer
from gatewright.targets.array.job import Job
from gatewright.targets.array.layers import map_layer
from gatewright.targets.array.vector_job import VectorLayer
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.job import FusionJob, Misfit, convert

__all__ = ["fused_jobs"]


def fused_jobs(
    graph: Graph, layers: Sequence[Layer], config: FusionConfig
) -> tuple[list[list[FusionJob]], dict[str, int]]:
    """The jobs of each layer, and the widths of values that are kept at less than 8 bits.

    A residual operand has the width of the result, since both are reached at the same distance.
    """
    mapped = [map_layer(graph, layer, config.array()) for layer in layers]
    shapes = [jobs for jobs in mapped if not isinstance(jobs, VectorLayer)]  # there is no vector unit
    widths: dict[str, int] = {}
    if config.composable:
        names = [*(value.name for value in graph.inputs), *(layer.output for layer in layers)]
        kept = {name: stored_width(graph.type_of(name).dtype.width) for name in names}
        widths = {name: width for name, width in kept.items() if width < 8}
    while True:
        _match_residuals(shapes, widths)
        try:
            return [[convert(job, widths, config) for job in jobs] for jobs in shapes], widths
        except Misfit as misfit:
            del widths[misfit.value]


def _match_residuals(shapes: Sequence[Sequence[Job]], widths: dict[str, int]) -> None:
    """Give each residual operand and its layer's result the larger of their widths."""
    pairs = [(job.tail.residual, job.output.value) for jobs in shapes for job in jobs if job.tail.residual]
    while True:
        wrong = next((pair for pair in pairs if _width(widths, pair[0]) != _width(widths, pair[1])), None)
        if wrong is None:
            return
        most = max(_width(widths, name) for name in wrong)
        for name in wrong:
            widths[name] = most
            if most == 8:
                widths.pop(name)


def _width(widths: Mapping[str, int], name: str) -> int:
    return widths.get(name, 8)
