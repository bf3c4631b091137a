"""`docs/benchmarks.md`: a fixed introduction, and tables of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from area import SCRIPT, Cost
from bitfusion import BitfusionFindings
from bounds import Check
from generated import GeneratedFindings
from measure import Measured
from once import BuildRun
from page_bitfusion import bitfusion_section
from page_generated import generated_section
from scale_sim import PUBLISHED, VGG8, ideal_cycles
from speed import Speed
from tables import table, verdict

__all__ = ["Findings", "page"]

_NAME_WIDTH = 40

_INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which measures everything below and fails when a bound is missed; not edited by hand.

Cycles are counted in RTL: the emitted Verilog, Verilated, behind a 64-bit AXI memory (128-bit where a table says so)
with 32 cycles of latency and one beat a cycle, from the start command to the last write's response. `limit` is the
least that the array's multipliers and the bus allow, `max(Σ ceil(macs / multipliers), ceil(compulsory bytes / bus
bytes))`: padding taps count as work, on-chip memory as unlimited, and everything else as free. Efficiency is
`limit / RTL`; it may pass 1, since rows of a kernel that lie in the padding are left out. `model` are the cycles that
the compiler's model of the machine computes. `equal` says that the graph's meaning, the model and the RTL give the same
outputs bit for bit; `ONNX Runtime` how many output values differ from its own, and by how many steps.
"""

_COUNTERS = """\
### Where the cycles and the bytes went

From the machine's own counters. Compulsory are parameters, input and output, each once.
"""

_BUILDS = """\
### A machine is built once

Tools that were started to build something: an empty cache at first, each run a process of its own.
"""

_TOOLS = """\
Absolute times are of a shared, noisy machine ({processors} processors, load average {load:.1f} right after, our own
part included): wall clock and processor time, each the best of three runs or, where they are short, of two seconds of
them. Ratios are to a peer measured in the same minute, wall clock by wall clock. A bound is kept if the wall clock
keeps it; where the wall clock is more than half as long again as the time computed, the machine was busy with other
work, and the processor time decides.
"""

_ARRAYS = """\
## Other arrays

Their parameters are in the table of machines below. SCALE-Sim's figures are for the same array without memory, post
unit and control; `overlapped` is what it would say if fill and drain of the array cost nothing.
"""

_MACHINES = """\
## Machines

Multipliers of any width count, in the array and outside it (post unit, addresses). Memory is everything on chip:
scratchpads, queues, tables. Cells are of an AMD UltraScale+ device, mapped by Yosys
(`{script}`). A dash means that the machine was not synthesised, which
`python benchmarks/run.py --all-areas` does.
"""


@dataclass(frozen=True)
class Findings:
    """Everything that one run of the benchmark measured."""

    networks: Sequence[Measured]
    arrays: Sequence[Measured]
    costs: Sequence[Cost]
    speeds: Sequence[Speed]
    builds: Sequence[BuildRun]
    checks: Sequence[Check]
    processors: int
    load: float
    generated: GeneratedFindings
    bitfusion: BitfusionFindings


def page(findings: Findings) -> str:
    """The whole page."""
    measured = [one for one in findings.networks if one.report is not None]
    parts = [
        _INTRODUCTION,
        _summary(findings.checks),
        "## Networks\n\nOn the default configuration of the systolic machine, 8 x 8.\n",
        _networks(findings.networks),
        _COUNTERS,
        _counters(measured),
        *(_layers(one) for one in measured if one.case.name in ("VGG8", "ResNet-8")),
        _ARRAYS,
        _arrays(findings.arrays),
        generated_section(findings.generated),
        bitfusion_section(findings.bitfusion),
        _MACHINES.format(script=SCRIPT),
        _costs(findings.costs),
        "## Tools\n",
        _TOOLS.format(processors=findings.processors, load=findings.load),
        _speeds(findings.speeds),
        _BUILDS,
        _builds(findings.builds),
    ]
    return "\n".join(parts)


def _summary(checks: Sequence[Check]) -> str:
    missed = [f"- {check.subject}: {check.text}\n" for check in checks if not check.met]
    if missed:
        return "".join([f"**{len(missed)} of {len(checks)} bounds are missed:**\n\n", *missed])
    return f"All {len(checks)} bounds are kept.\n"


def _networks(found: Sequence[Measured]) -> str:
    headings = ["network", "MACs>", "limit>", "RTL>", "model>", "efficiency>", "bound", "kept", "equal", "ONNX Runtime"]
    return table([*headings, ""], (_network(one) for one in found))


def _network(one: Measured) -> list[str]:
    if one.report is None:
        return [one.case.name, *["-"] * 8, "", one.missing]
    report = one.report
    return [
        one.case.name,
        *_figures(report),
        "; ".join(bound.text for bound in one.case.bounds) or "-",
        _verdict(one.checks) if one.case.bounds else "-",
        _equal(report),
        _reference(report["reference"]),
        one.case.remark,
    ]


def _figures(report: Mapping[str, Any]) -> list[str]:
    cycles = report["cycles"]
    counts = (report["macs"], report["limit_cycles"], cycles["rtl"], cycles["model"])
    return [*(f"{count:,}" for count in counts), f"{report['efficiency']:.4f}"]


def _verdict(checks: Sequence[Check]) -> str:
    if not checks:
        return "-"
    return verdict(all(check.met for check in checks))


def _equal(report: Mapping[str, Any]) -> str:
    return verdict(report["equal"])


def _reference(reference: Mapping[str, Any] | None) -> str:
    if reference is None:
        return "-"
    steps = "" if not reference["max_steps"] else f", at most {reference['max_steps']}"
    return f"{reference['mismatch_rate']:.1%}{steps}"


def _counters(found: Sequence[Measured]) -> str:
    headings = [
        "network",
        "computing>",
        "waits for a load>",
        "for a store>",
        "for an instruction>",
        "for results to drain>",
    ]
    return table([*headings, "read, bytes>", "written>", "compulsory>", "moved / compulsory>"], map(_counter, found))


def _counter(one: Measured) -> list[str]:
    assert one.report is not None
    counters, cycles, bus = one.report["counters"], one.report["cycles"]["rtl"], one.report["bus_bytes"]
    names = ("compute_busy", "stall_load", "stall_store", "stall_fetch", "stall_drain")
    moved = [counters[name] * bus for name in ("read_beats", "write_beats")]
    compulsory = one.report["compulsory_bytes"]
    return [
        one.case.name,
        *(f"{counters[name] / cycles:.1%}" for name in names),
        *(f"{count:,}" for count in (*moved, compulsory)),
        f"{sum(moved) / compulsory:.2f}",
    ]


def _layers(one: Measured) -> str:
    assert one.report is not None
    headings = ["layer", "operators", "MACs>", "limit>", "RTL>", "model>", "efficiency>"]
    rows = [_layer(layer) for layer in one.report["layers"]]
    rows.append(_total(one.report))
    text = "Layers sum to the total: a layer lasts from the end of the one before to its own last write.\n"
    if one.case.name == "VGG8":
        headings += ["SCALE-Sim 2.0.2>", "RTL / SCALE-Sim>"]
        rows = list(_beside_scale_sim(rows, one.report))
        text += "SCALE-Sim's machine has no memory, no post unit and no control.\n"
    return f"### {one.case.name}, layer by layer\n\n{text}\n{table(headings, rows)}"


def _layer(layer: Mapping[str, Any]) -> list[str]:
    counts = (layer["macs"], layer["limit_cycles"], layer["cycles"], layer["model_cycles"])
    efficiency = "-" if layer["efficiency"] is None else f"{layer['efficiency']:.4f}"
    return [f"`{_shorten(layer['name'])}`", layer["op"], *(f"{count:,}" for count in counts), efficiency]


def _shorten(name: str) -> str:
    """Names that converters make up can be hundreds of characters long; both ends tell most."""
    half = _NAME_WIDTH // 2
    return name if len(name) <= _NAME_WIDTH else f"{name[:half]}…{name[1 - half :]}"


def _total(report: Mapping[str, Any]) -> list[str]:
    return ["total", "", *_figures(report)]


def _beside_scale_sim(rows: list[list[str]], report: Mapping[str, Any]) -> Iterator[list[str]]:
    theirs = (*PUBLISHED[8], sum(PUBLISHED[8]))
    ours = (*(layer["cycles"] for layer in report["layers"]), report["cycles"]["rtl"])
    for name, row, peer, cycles in zip((*VGG8, "total"), rows, theirs, ours, strict=True):
        yield [name, *row[1:], f"{peer:,}", f"{cycles / peer:.4f}"]


def _arrays(found: Sequence[Measured]) -> str:
    headings = ["network", "machine", "limit>", "RTL>", "model>", "efficiency>", "bound", "kept", "equal"]
    return table([*headings, "SCALE-Sim 2.0.2>", "overlapped>", "RTL / SCALE-Sim>", ""], map(_array, found))


def _array(one: Measured) -> list[str]:
    start = [one.case.name, one.case.machine.name]
    if one.report is None:
        return [*start, *["-"] * 10, one.missing]
    return [
        *start,
        *_figures(one.report)[1:],
        "; ".join(bound.text for bound in one.case.bounds) or "-",
        _verdict(one.checks) if one.case.bounds else "-",
        _equal(one.report),
        *_scale_sim(one),
        one.case.remark,
    ]


def _scale_sim(one: Measured) -> tuple[str, str, str]:
    assert one.report is not None
    if one.case.name != "VGG8":
        return "-", "-", "-"
    side = one.report["config"]["rows"]
    peer, overlapped = sum(PUBLISHED[side]), sum(ideal_cycles(layer, side) for layer in VGG8.values())
    return f"{peer:,}", f"{overlapped:,}", f"{one.report['cycles']['rtl'] / peer:.4f}"


def _parameters(config: Mapping[str, int]) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.items()) or "default"


def _costs(costs: Sequence[Cost]) -> str:
    headings = ["machine", "parameters", "multipliers in the array>", "outside>", "memory, bytes>", "bound", "kept"]
    cells = ["Verilog lines>", "modules>", "LUTs>", "LUTs as memory>", "flip-flops>", "DSPs>", "block RAMs (36 Kbit)>"]
    return table([*headings, *cells], map(_cost, costs))


def _cost(cost: Cost) -> list[str]:
    counts = (cost.multipliers, cost.multipliers_outside, cost.memory_bytes)
    area = cost.area
    cells = ["-"] * 5
    if area is not None:
        cells = [f"{one:,}" for one in (area.luts, area.memory_luts, area.registers, area.dsps)] + [f"{area.blocks:g}"]
    return [
        cost.machine.name,
        _parameters(cost.machine.config),
        *(f"{count:,}" for count in counts),
        "; ".join(check.text for check in cost.checks) or "-",
        _verdict(cost.checks),
        f"{cost.verilog_lines:,}",
        str(cost.modules),
        *cells,
    ]


def _speeds(speeds: Sequence[Speed]) -> str:
    headings = ["", "wall clock>", "processor>", "cycles a second>", "bound", "kept", "beside", "takes>", "ratio>"]
    return table(headings, map(_speed, speeds))


def _speed(speed: Speed) -> list[str]:
    timing = speed.timing
    if timing is None:
        return [speed.what, *["-"] * 3, speed.bound, "not here", *["-"] * 3]
    peer = speed.peer
    beside = [peer.name, f"{peer.timing.wall:.3f} s", f"{timing.wall / peer.timing.wall:.2g}"] if peer else ["-"] * 3
    return [
        speed.what,
        f"{timing.wall:.3f} s",
        f"{timing.processor:.3f} s",
        f"{_rate(speed.cycles, timing.wall)} ({_rate(speed.cycles, timing.processor)})" if speed.cycles else "-",
        speed.bound or "-",
        "-" if speed.limit is None else timing.verdict(speed.limit),
        *beside,
    ]


def _rate(cycles: int, seconds: float) -> str:
    return f"{cycles / seconds / 1000:,.0f} kHz"


def _builds(runs: Sequence[BuildRun]) -> str:
    names = sorted({tool for run in runs for tool in run.tools})
    headings = ["", *(f"{name}>" for name in names), "until there is Verilog>", "then until the RTL has run>"]
    rows = (
        [
            run.name,
            *(str(run.tools.get(name, 0)) for name in names),
            f"{run.verilog_seconds:.1f} s",
            f"{run.run_seconds:.1f} s",
        ]
        for run in runs
    )
    return table(headings, rows)
