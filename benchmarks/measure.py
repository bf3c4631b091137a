"""A network on a machine, on every engine: what the tables show of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gatewright
from bounds import Check, apply
from suite import Case, Missing

__all__ = ["Measured", "measure"]

SECONDS_BETWEEN = 5.0


@dataclass(frozen=True)
class Measured:
    """What was found of a case; `report` is that of `gatewright verify --json`, None where `missing` says why."""

    case: Case
    report: Mapping[str, Any] | None
    checks: tuple[Check, ...] = ()
    missing: str = ""


def measure(case: Case, say: Callable[[str], None]) -> Measured:
    """Compile a case and compare its engines, the RTL with the default memory."""
    title = f"{case.name} on {case.machine.name}"
    say(f"{title}: compiling")
    try:
        build, inputs = case.make(case.machine.config)
    except Missing as reason:
        say(f"{title}: {reason}")
        return Measured(case, None, missing=str(reason))
    say(f"{title}: Verilog and its simulation, if they are not built yet")
    options = gatewright.VerifyOptions(progress=_slowly(lambda text: say(f"{title}: {text}")))
    report = gatewright.verify(build, inputs, options).report
    cycles = report["cycles"]
    say(f"{title}: {cycles['rtl']:,} cycles in RTL, {cycles['model']:,} in the model")
    return Measured(case, report, apply(title, case.bounds, report))


def _slowly(show: Callable[[str], None]) -> Callable[[str, float], None]:
    """Progress as lines, one in five seconds at most."""
    last = time.monotonic()

    def progress(text: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN:
            last = time.monotonic()
            show(f"{text}, {share:.0%}")

    return progress
