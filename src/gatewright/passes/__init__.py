"""Passes: pure functions from graph to graph. A pass changes how a network is written, never what it computes.

The docstring of each is its rule. `PASSES` is the order that suits every machine; `to_signed` is for machines whose
operands are signed, `narrow_sums` for those whose results are narrower than their accumulators; `group` forms the
layers that machines lower.
"""

from collections.abc import Callable, Sequence

from gatewright import ir
from gatewright.passes.absorb_transposes import absorb_transposes
from gatewright.passes.cancel_transposes import cancel_transposes
from gatewright.passes.editor import Editor
from gatewright.passes.fold_clip import fold_clip
from gatewright.passes.fold_constants import fold_constants, remove_dead
from gatewright.passes.fold_requantise import fold_requantise
from gatewright.passes.fold_tables import fold_tables
from gatewright.passes.group import FusionRules, Layer, aliases, group, macs
from gatewright.passes.merge_duplicates import merge_duplicates
from gatewright.passes.merge_pads import merge_pads
from gatewright.passes.narrow_sums import narrow_sums
from gatewright.passes.remove_identities import remove_identities
from gatewright.passes.to_signed import to_signed

__all__ = [
    "PASSES",
    "Editor",
    "FusionRules",
    "Layer",
    "Pass",
    "absorb_transposes",
    "aliases",
    "cancel_transposes",
    "fold_clip",
    "fold_constants",
    "fold_requantise",
    "fold_tables",
    "group",
    "macs",
    "merge_duplicates",
    "merge_pads",
    "narrow_sums",
    "remove_dead",
    "remove_identities",
    "run_passes",
    "to_signed",
]

Pass = Callable[[ir.Graph], ir.Graph]

PASSES: tuple[Pass, ...] = (
    fold_constants,
    remove_identities,
    cancel_transposes,
    absorb_transposes,
    merge_pads,
    fold_requantise,
    fold_clip,
    fold_tables,
    remove_identities,
    merge_duplicates,
)


def run_passes(graph: ir.Graph, passes: Sequence[Pass] = PASSES) -> ir.Graph:
    """Each pass in order, the graph verified before and after each, and every sum shown to fit its accumulator."""
    ir.verify(graph)
    for step in passes:
        try:
            graph = ir.verify(step(graph))
        except ir.GraphError as error:
            raise ir.GraphError(f"pass {getattr(step, '__name__', step)!r}: {error}") from error
    ir.check_accumulators(graph)
    return graph
