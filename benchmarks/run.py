"""Measure networks, machines and tools, and write `docs/benchmarks.md`: `make bench`.

The exit status is 1 when a bound is missed or an engine differs from another.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from area import cost_of
from bitfusion import measure_bitfusion
from bounds import Check
from generated import measure_generated
from measure import measure
from once import BuildRun, builds
from page import Findings, page
from speed import Speed, speeds
from suite import ARRAYS, MACHINES, NETWORKS, ROOT, SYNTHESISED

PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all-areas", action="store_true", help="synthesise the large machines too: many minutes")
    parser.add_argument(
        "-o", "--output", type=Path, default=PAGE, help="the page to write (default: docs/benchmarks.md)"
    )
    options = parser.parse_args()
    findings = _measure(_clock(), options.all_areas)
    options.output.write_text(page(findings))
    missed = [check for check in findings.checks if not check.met]
    for check in missed:
        print(f"missed: {check.subject}: {check.text}")
    print(f"{len(findings.checks) - len(missed)} of {len(findings.checks)} bounds are kept; written: {options.output}")
    return 1 if missed else 0


def _clock() -> Callable[[str], None]:
    start = time.monotonic()
    return lambda text: print(f"[{time.monotonic() - start:5.0f} s] {text}", flush=True)


def _measure(say: Callable[[str], None], all_areas: bool) -> Findings:
    """Cycles first; times after them, when everything they need has been built."""
    networks = [measure(case, say) for case in NETWORKS]
    arrays = [measure(case, say) for case in ARRAYS]
    timed, load = speeds(say), os.getloadavg()[0]
    built = builds(say)
    generated = measure_generated(say)
    bitfusion = measure_bitfusion(say)
    costs = [cost_of(machine, say, all_areas or machine in SYNTHESISED) for machine in MACHINES]
    checks = [check for one in (*networks, *arrays) for check in one.checks]
    checks += [check for cost in costs for check in cost.checks]
    checks += [*_timing_checks(timed), *_build_checks(built), *generated.checks, *bitfusion.checks]
    return Findings(networks, arrays, costs, timed, built, checks, os.cpu_count() or 1, load, generated, bitfusion)


def _timing_checks(timed: Iterable[Speed]) -> list[Check]:
    return [
        Check(speed.what, speed.bound, speed.timing.within(speed.limit))
        for speed in timed
        if speed.timing is not None and speed.limit is not None
    ]


def _build_checks(runs: Iterable[BuildRun]) -> list[Check]:
    """The first run builds, or the evidence would be worth nothing; no other does."""
    first, *others = runs
    checks = [Check(first.name, "tools are seen at work", bool(first.tools))]
    return checks + [Check(run.name, "no tool is started", not run.tools) for run in others]


if __name__ == "__main__":
    raise SystemExit(main())
