"""The generated machine beside NNgen: cycles of its cases in RTL, cells, text, and what the tools take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

import gatewright
import gatewright.ng as ng
from area import Area, area_of, cells_of
from bounds import Check
from gatewright.build import Build
from gatewright.engines import RunOptions, plain_outputs, run_once
from gatewright.errors import GatewrightError
from gatewright.hdl.yosys import run_yosys
from gatewright.inputs import random_inputs
from gatewright.program import Result
from nngen import CASES, HELLO, NngenCase, hello
from suite import EXAMPLES
from timing import best_of

__all__ = ["Beside", "Figure", "GeneratedFindings", "measure_generated"]

RESNET_MULTIPLIERS = 144


@dataclass(frozen=True)
class Beside:
    """A case's cycles behind one memory; `reached` is None where the machine refuses the case, `note` says why."""

    case: NngenCase
    memory: str
    most: int | None
    nngen: int | None
    reached: int | None
    equal: bool = False
    note: str = ""

    @property
    def check(self) -> Check:
        subject = f"{self.case.name}, memory {self.memory}"
        if self.most is None:
            return Check(subject, "RTL equals evaluation", self.equal)
        met = self.equal and self.reached is not None and self.reached <= self.most
        return Check(subject, f"≤ {self.most:,} cycles", met)


@dataclass(frozen=True)
class Figure:
    """Anything else that has a bound; `text` is what was reached."""

    what: str
    bound: str
    nngen: str
    text: str
    met: bool

    @property
    def check(self) -> Check:
        return Check(self.what, self.bound, self.met)


@dataclass(frozen=True)
class GeneratedFindings:
    cases: list[Beside]
    figures: list[Figure]

    @property
    def checks(self) -> list[Check]:
        return [each.check for each in (*self.cases, *self.figures)]


def measure_generated(say: Callable[[str], None]) -> GeneratedFindings:
    """Cases in RTL; then area and text of the first; then times."""
    cases = [found for case in CASES for found in _beside(case, say)]
    say("generated: area and text")
    return GeneratedFindings(cases, [*_sizes(say), *_times(say)])


def _beside(case: NngenCase, say: Callable[[str], None]) -> list[Beside]:
    """A case behind both memories."""
    say(f"generated: {case.name}")
    memories = (("nngen", case.most, case.nngen), ("ideal", case.ideal_most, case.ideal_nngen))
    try:
        build = ng.build(case.make(), "bench", {"multipliers": case.multipliers})
    except GatewrightError as error:
        return [Beside(case, memory, most, nngen, None, note=str(error)) for memory, most, nngen in memories[:1]]
    inputs = random_inputs(build.graph.input_ports, 0)
    meant = plain_outputs(build, run_once(build, inputs, "evaluate", RunOptions()))
    found = []
    for memory, most, nngen in memories:
        result = run_once(build, inputs, "rtl", RunOptions(memory=memory))
        got = plain_outputs(build, result)
        equal = all(np.array_equal(got[name], meant[name]) for name in meant)
        cycles = sum(result.layer_cycles or ())  # none, where all that is left of a network is a name
        found.append(Beside(case, memory, most, nngen, cycles, equal, _where(build, result)))
    return found


def _where(build: Build, result: Result) -> str:
    """The shape of the machine, and its counters as shares of the cycles."""
    cycles, counters = result.cycles or 1, result.counters
    names = {"compute_busy": "computing", "stall_load": "waits for loads", "stall_store": "for stores"}
    shares = [f"{text} {counters[name] / cycles:.0%}" for name, text in names.items() if counters.get(name)]
    return f"{build.config.rows} x {build.config.columns}; {', '.join(shares)}"


def _sizes(say: Callable[[str], None]) -> list[Figure]:
    """Cells and text of the first network's accelerator; text of ResNet-18's; each emitted anew."""
    case = CASES[0]
    build = ng.build(case.make(), "hello", {"multipliers": case.multipliers})
    run_yosys("write_rtlil none", {}, "none")  # warm
    text, seconds = _emitted(build)
    cells = cells_of(text, build.target.top_module(build.config))
    found = [_area(area_of(cells)), _text("Verilog of hello", text, seconds, 8_000, 3.0, "63,247 lines in 4.4 s")]
    say("generated: ResNet-18")
    resnet, took = _resnet18()
    text, seconds = _emitted(resnet)
    name = "ResNet-18 224x224, par 4/4: compiled and written"
    found.append(_text(name, text, took + seconds, 40_000, 20.0, "768,926 lines in 97 s"))
    image = random_inputs(resnet.graph.input_ports, 0)
    cycles: list[int] = []
    timing = best_of(1, lambda: cycles.append(run_once(resnet, image, "model", RunOptions()).cycles or 0))
    figure = f"{cycles[0]:,} cycles in {timing.wall:.1f} s"
    found.append(Figure("ResNet-18's cycles and values by the model", "< 60 s", "-", figure, timing.within(60)))
    timing = best_of(3, lambda: run_once(resnet, image, "evaluate", RunOptions()))
    found.append(Figure("`evaluate` of ResNet-18", "< 1.5 s", "1.8 s", f"{timing.wall:.2f} s", timing.within(1.5)))
    return found


def _area(area: Area) -> Figure:
    text = f"{area.logic_cells:,} logic cells, {area.registers:,} flip-flops, {area.dsps} DSPs, {area.blocks:g} RAMB36"
    met = area.logic_cells <= 8_600 and area.registers <= 12_000
    bound, nngen = "≤ 8,600 logic cells, ≤ 12,000 flip-flops", "17,139; 28,689; 40 DSPs, 66 RAMB36"
    return Figure("area of hello at 36 multipliers", bound, nngen, text, met)


def _text(what: str, text: str, seconds: float, lines: int, most: float, nngen: str) -> Figure:
    count = len(text.splitlines())
    bound = f"≤ {lines:,} lines in {most:g} s"
    return Figure(what, bound, nngen, f"{count:,} lines in {seconds:.1f} s", count <= lines and seconds <= most)


def _emitted(build: Build) -> tuple[str, float]:
    start = time.perf_counter()
    text = build.target.hardware_for(build.config, build.program)
    return text, time.perf_counter() - start


def _resnet18() -> tuple[Build, float]:
    """The example's network, compiled, and how long that took."""
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    import resnet18

    model, samples = resnet18.network(), resnet18.samples()
    start = time.perf_counter()
    config = {"multipliers": RESNET_MULTIPLIERS, "bus_bits": 32}
    return gatewright.compile(model, "generated", config, samples=samples), time.perf_counter() - start


def _times(say: Callable[[str], None]) -> list[Figure]:
    """The first network's script from its start to verified RTL, with nothing kept but the simulator's runtime."""
    layers = hello()
    image = np.zeros((1, 32, 32, 3), np.int64)
    timing = best_of(3, lambda: ng.eval([layers], image=image))
    found = [Figure("`ng.eval` of hello", "-", "0.04 s", f"{timing.wall:.3f} s", True)]
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as folder:
        environment = {**os.environ, "GATEWRIGHT_CACHE": folder}
        say("generated: runtime of the simulator, once a machine")
        warm = _seconds([sys.executable, "-c", _RUNTIME], environment, folder)
        say("generated: hello, from its start to verified RTL")
        script = _seconds([sys.executable, str(HELLO)], environment, folder)
    found.append(Figure("Verilator's runtime, once a machine", "-", "-", f"{warm:.1f} s", True))
    text = f"{script:.1f} s"
    found.append(Figure("hello, from script start to verified RTL", "≤ 25 s", "53.5 s", text, script <= 25))
    return found


_RUNTIME = """\
from gatewright.sim import Model
Model.from_verilog("module nothing(input clk, input rst, output o); assign o = rst; endmodule", "nothing").close()
"""


def _seconds(command: list[str], environment: Mapping[str, str], folder: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=folder, text=True, capture_output=True, check=True)
    assert "OTHER SCORES" not in done.stdout, done.stdout
    return time.perf_counter() - start
