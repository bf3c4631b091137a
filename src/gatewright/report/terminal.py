"""A report for people: figures, layers, and where the cycles went, from the same numbers as `report.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.table import Table

__all__ = ["render_report"]

_NAME_WIDTH = 36
_NUMBER_WIDTH = 10
_COUNTERS = {
    "compute_busy": "computing",
    "stall_load": "waiting for a load",
    "stall_store": "waiting for a store",
    "stall_fetch": "without an instruction",
    "stall_drain": "waiting for results to drain",
}


def render_report(report: Mapping[str, Any], clock_mhz: float | None = None) -> RenderableType:
    """The report as it is printed; with a clock also latency and images per second."""
    parts = [_summary(report, clock_mhz), _layers(report)]
    if report["counters"] and report["cycles"]["rtl"]:
        parts.append(_where(report["counters"], report["cycles"]["rtl"]))
    return Group(*parts)


def _summary(report: Mapping[str, Any], clock_mhz: float | None) -> Table:
    table = Table(show_header=False, box=None, title=f"{report['model']} on {report['target']}", title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for row in (*_machine(report), *_measured(report, clock_mhz), *_verified(report)):
        table.add_row(*row)
    return table


def _machine(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "configuration", ", ".join(f"{key}={value}" for key, value in report["config"].items())
    yield "multipliers", f"{report['multipliers']} in the array, {report['multipliers_outside_array']} outside"
    yield "on-chip memory", f"{report['memory_bytes']:,} bytes"
    yield "multiply-accumulates", f"{report['macs']:,} for a batch of {report['batch']}"
    yield "must cross the bus", f"{report['compulsory_bytes']:,} bytes, {report['bus_bytes']} a cycle"
    yield "limit", f"{report['limit_cycles']:,} cycles"
    if (report["reachable_cycles"] or 0) > report["limit_cycles"]:
        yield "limit of finite memory", f"{report['reachable_cycles']:,} cycles"


def _measured(report: Mapping[str, Any], clock_mhz: float | None) -> Iterator[tuple[str, str]]:
    if report.get("choice"):
        yield "widths chosen", report["choice"]["summary"]
    cycles, counters = report["cycles"], report["counters"] or {}
    yield "cycles", f"{_number(cycles['rtl'])} in RTL, {_number(cycles['model'])} in the model"
    yield "efficiency", _percent(report["efficiency"])
    if "read_beats" in counters:
        read, written = (counters[name] * report["bus_bytes"] for name in ("read_beats", "write_beats"))
        yield "bytes moved", f"{read:,} read, {written:,} written"
    best = cycles["rtl"] or cycles["model"]
    if clock_mhz and best:
        yield (
            f"at {clock_mhz:g} MHz",
            f"{best / clock_mhz:,.1f} µs, {report['batch'] * clock_mhz * 1e6 / best:,.1f} images/s",
        )


def _verified(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if report["equal"] is not None:
        difference = f"no: they differ by up to {report['max_abs_difference']}"
        yield "engines agree", "bit for bit" if report["equal"] else difference
    reference = report["reference"]
    if reference is not None:
        steps = "" if reference["max_steps"] is None else f", at most {reference['max_steps']} steps"
        yield (
            "ONNX Runtime",
            f"{_percent(reference['mismatch_rate'])} of the values differ{steps}; "
            f"{_percent(reference['top1_equal'])} of the samples have the same largest",
        )


def _layers(report: Mapping[str, Any]) -> Table:
    """Cycles as measured, or as modelled where nothing was measured."""
    measured = report["cycles"]["rtl"] is not None or report["cycles"]["model"] is None
    cycles = ("cycles", "cycles") if measured else ("modelled", "model_cycles")
    table = Table(title="Layers", title_justify="left", box=SIMPLE)
    extra = {"widths": "widths", "products_per_unit": "a unit", "kept": "results"}  # where any layer has it
    extra = {key: heading for key, heading in extra.items() if any(layer.get(key) for layer in report["layers"])}
    for heading in ("layer", "operators", *extra.values()):
        table.add_column(heading, no_wrap=True)
    for heading in ("MACs", "limit", cycles[0], "efficiency"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=_NUMBER_WIDTH)
    for layer in report["layers"]:
        numbers = (_number(layer[key]) for key in ("macs", "limit_cycles", cycles[1]))
        table.add_row(
            _shorten(layer["name"]),
            _shorten(layer["op"]),
            *(layer.get(key) or "" for key in extra),
            *numbers,
            _percent(layer["efficiency"]),
        )
    return table


def _where(counters: Mapping[str, int], cycles: int) -> Table:
    table = Table(title="Where the cycles went", title_justify="left", box=SIMPLE)
    table.add_column("the array was")
    table.add_column("cycles", justify="right")
    table.add_column("share", justify="right")
    known = {text: counters[name] for name, text in _COUNTERS.items() if name in counters}
    known["idle otherwise (start, end, between instructions)"] = cycles - sum(known.values())
    for text, count in known.items():
        table.add_row(text, f"{count:,}", _percent(count / cycles))
    return table


def _shorten(name: str) -> str:
    """Names that converters make up can be hundreds of characters long; both ends tell most."""
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH // 2]}…{name[-_NAME_WIDTH // 2 + 1 :]}"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def render_text(report: Mapping[str, Any], clock_mhz: float | None = None, width: int = 120) -> str:
    """The same as plain text."""
    console = Console(width=width, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(render_report(report, clock_mhz))
    return capture.get()
