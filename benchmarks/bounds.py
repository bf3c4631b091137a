"""Bounds that a measurement must keep, as data: what `make bench` fails on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Bound", "Check", "apply", "at_least_efficiency", "at_least_layers", "at_most_cycles"]

Report = Mapping[str, Any]
_MODEL_SHARE, _MODEL_CYCLES = 0.02, 50


@dataclass(frozen=True)
class Bound:
    """A requirement on the report of a run; `text` completes "this network needs ..."."""

    text: str
    holds: Callable[[Report], bool]


@dataclass(frozen=True)
class Check:
    """A requirement and whether it was met; `subject` is what it was asked of."""

    subject: str
    text: str
    met: bool


def apply(subject: str, bounds: Sequence[Bound], report: Report) -> tuple[Check, ...]:
    """All bounds on one report, and two that always hold: engines are equal, and the model counts right."""
    always = (
        Check(subject, "engines equal", report["equal"] is True),
        Check(subject, "model within 2 % or 50 cycles of the RTL", _counts_right(report["cycles"])),
    )
    return (*always, *(Check(subject, bound.text, bound.holds(report)) for bound in bounds))


def _counts_right(cycles: Mapping[str, int]) -> bool:
    return abs(cycles["model"] - cycles["rtl"]) <= max(_MODEL_SHARE * cycles["rtl"], _MODEL_CYCLES)


def at_most_cycles(count: int) -> Bound:
    return Bound(f"≤ {count:,} cycles", lambda report: report["cycles"]["rtl"] <= count)


def at_least_efficiency(least: float) -> Bound:
    return Bound(f"≥ {least:.2f}", lambda report: report["efficiency"] >= least)


def at_least_layers(least: float, first: int, last: int) -> Bound:
    """Each layer from number `first` to number `last`, counted from 1, comes so near to the array's peak."""

    def holds(report: Report) -> bool:
        return all(layer["efficiency"] >= least for layer in report["layers"][first - 1 : last])

    return Bound(f"layers {first}-{last} each ≥ {least:.0%}", holds)
