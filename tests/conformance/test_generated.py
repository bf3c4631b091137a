"""Every case on machines made for it: several networks share a machine, as layers of one network do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatewright import ir
from gatewright.build import Build
from gatewright.compile import compile
from gatewright.engines import RunOptions
from gatewright.verify import VerifyOptions, verify
from tests.conformance.cases import CASES, Maker
from tests.conformance.cases_vector import VECTOR_CASES
from tests.conformance.cases_wide import WIDE_CASES, WideMaker

TOGETHER = 11
"""Cases a machine: few builds, and machines that hold all of their kinds of layers."""

BUDGETS = (
    {"multipliers": 36, "bus_bits": 32},
    {"multipliers": 16, "bus_bits": 64, "register_map": "1.0"},
    {"multipliers": 7, "bus_bits": 32, "memory_bytes": 48 * 1024},
    {"multipliers": 64, "bus_bits": 128},
)


def _graphs() -> list[ir.Graph]:
    narrow = [make(Maker(name, dyadic=False)) for name, make in (CASES | VECTOR_CASES).items()]
    return narrow + [make(WideMaker(name, dyadic=False)) for name, make in WIDE_CASES.items()]


def _joined(name: str, graphs: list[ir.Graph]) -> ir.Graph:
    """Networks side by side, as one; every name begins with its network's."""

    def renamed(index: int, graph: ir.Graph) -> ir.Graph:
        def new(old: str) -> str:
            return f"{graph.name}{index}_{old}"

        return replace(
            graph,
            inputs=tuple(replace(each, name=new(each.name)) for each in graph.inputs),
            constants=tuple(replace(each, name=new(each.name)) for each in graph.constants),
            nodes=tuple(replace(n, name=new(n.name), inputs=tuple(map(new, n.inputs))) for n in graph.nodes),
            outputs=tuple(map(new, graph.outputs)),
            input_ports=tuple(replace(port, name=new(port.name)) for port in graph.input_ports),
            output_ports=tuple(replace(port, name=new(port.name)) for port in graph.output_ports),
        )

    parts = [renamed(index, graph) for index, graph in enumerate(graphs)]
    fields = ("inputs", "constants", "nodes", "outputs", "input_ports", "output_ports")
    return ir.Graph(name, *(tuple(each for part in parts for each in getattr(part, field)) for field in fields))


GRAPHS = _graphs()
GROUPS = range(-(-len(GRAPHS) // TOGETHER))


def _build(group: int) -> Build:
    graph = _joined(f"group{group}", GRAPHS[group :: len(GROUPS)])
    return compile(graph, "generated", dict(BUDGETS[group % len(BUDGETS)]))


@pytest.mark.parametrize("group", GROUPS)
def test_three_engines_agree(group: int) -> None:
    build = _build(group)
    plain = verify(build)
    assert plain.equal
    modelled, measured = (plain.report["cycles"][name] for name in ("model", "rtl"))
    assert abs(modelled - measured) <= max(0.02 * measured, 50)
    stalled = verify(build, options=VerifyOptions(seed=1, run=RunOptions(memory="stalls", seed=group)))
    assert stalled.equal
