"""From records to a graph, and the integers it computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewright import ir
from gatewright.errors import DataError
from gatewright.ng.accumulators import size_accumulators
from gatewright.ng.draft import Draft, as_integers
from gatewright.ng.dtypes import dtype_info, int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Numeric, closure
from gatewright.ng.storage import Storage, placeholder

__all__ = ["Network", "as_outputs", "eval", "expect_names", "given", "lower"]


@dataclass(frozen=True)
class Network:
    """The graph of some outputs. `values` names the graph's value of each record by its number, `hints` the wishes
    that concern a node (the arguments of `attribute` as a script gave them).
    """

    graph: ir.Graph
    values: Mapping[int, str]
    hints: Mapping[str, Mapping[str, Any]]


def eval(objs: Numeric | Iterable[Numeric], **input_dict: Any) -> list[np.ndarray]:
    """The integers of each tensor, as int64. Keywords are the values of placeholders, and replace those of variables,
    by name.
    """
    outputs = as_outputs(objs)
    expect_names("keywords", input_dict, (record for record in closure(outputs) if isinstance(record, Storage)))
    network = lower(outputs, "network", input_dict)
    results = network.graph.evaluate(given(outputs, network, input_dict))
    return [results[network.values[record.object_id]].astype(np.int64) for record in outputs]


def lower(
    outputs: Iterable[Numeric], name: str, known: Mapping[str, Any] | None = None, default: dtype_info = int32
) -> Network:
    """The verified graph of these outputs; `known` replaces numbers of variables, by name."""
    outputs = list(outputs)
    draft = Draft(name, known or {}, default=default)
    draft.add_records(closure(outputs))
    return finish(draft, outputs)


def finish(draft: Draft, outputs: Iterable[Numeric]) -> Network:
    """The graph of a draft: each value is an output once, accumulators are sized."""
    records = {draft.value(record): record for record in outputs}
    for value, record in records.items():
        draft.builder.output(value, draft.port(record, record.name or value, draft.builder.type_of(value)))
    graph = size_accumulators(draft.builder.build(), draft.limits)
    return Network(ir.verify(graph), draft.values, draft.hints)


def as_outputs(objs: object) -> list[Numeric]:
    """One tensor, several, or a mapping to them, as a list."""
    given_objs: list[object] = [objs]
    if isinstance(objs, Iterable):
        given_objs = list(objs.values() if isinstance(objs, Mapping) else objs)
    found = [each for each in given_objs if isinstance(each, Numeric)]
    if not found or len(found) != len(given_objs):
        raise ArgumentError(f"outputs must be tensors of gatewright.ng, not {objs!r}")
    return found


def given(outputs: Iterable[Numeric], network: Network, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inputs of a run by the graph's names: keywords by the placeholder's name, or the values that were set."""
    inputs = [record for record in closure(outputs) if isinstance(record, placeholder)]
    return {network.values[record.object_id]: _number(record, values) for record in inputs}


def expect_names(what: str, given: Iterable[str], records: Iterable[Numeric]) -> None:
    """Raise an `ArgumentError` for the first of these names that none of the records has."""
    names = sorted({record.name for record in records if record.name})
    for name in given:
        if name not in names:
            raise ArgumentError(f"{what} must be names of tensors ({', '.join(names) or 'none has one'}), not {name!r}")


def _number(record: placeholder, values: Mapping[str, Any]) -> np.ndarray:
    value = values.get(record.name, record.value) if record.name else record.value
    if value is None:
        raise DataError(f"{record.title} must be given a value: ng.eval(..., {record.name or 'name'}=array)")
    return as_integers(value, record, record.dtype or int32)
