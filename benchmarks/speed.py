"""How fast the tools are, beside peers that do a comparable thing in the same minute."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime

import gatewright
from gatewright.engines import Engine, RunOptions, run_once
from gatewright.inputs import random_inputs
from gatewright.sim import Model
from gatewright.targets import get_target
from networks import vgg8
from scale_sim import VGG8
from suite import MODELS
from timing import Timing, best_of

__all__ = ["Peer", "Speed", "speeds"]

COMPILE_SECONDS = 5.0
EVALUATE_SECONDS = 1.0
SIMULATED_CYCLES_A_SECOND = 200_000
_ARRAY_CYCLES = 200_000
_REPEAT = 3


@dataclass(frozen=True)
class Peer:
    """What a figure stands beside, and how many seconds that took for as much work."""

    name: str
    timing: Timing


@dataclass(frozen=True)
class Speed:
    """A row of the table. `timing` is None where `what` could not be measured; `limit` is in seconds, and `bound` says
    it in the words of the requirement; `cycles` are those simulated, if any were.
    """

    what: str
    timing: Timing | None
    limit: float | None = None
    bound: str = ""
    peer: Peer | None = None
    cycles: int | None = None


def speeds(say: Callable[[str], None]) -> list[Speed]:
    """Measure everything, one thing after the other."""
    return [*_compile(say), *_engines(say)]


def _compile(say: Callable[[str], None]) -> list[Speed]:
    path = MODELS / "resnet8_int8.onnx"
    function, command = "compile ResNet-8, from Python", "compile ResNet-8, as a command, everything included"
    bound = f"< {COMPILE_SECONDS:g} s"
    if not path.exists():
        return [Speed(what, None, COMPILE_SECONDS, bound) for what in (function, command)]
    say("tools: compiling ResNet-8")
    peer = Peer("ONNX Runtime prepares the same file", best_of(_REPEAT, lambda: onnxruntime.InferenceSession(path)))
    timing = best_of(_REPEAT, lambda: gatewright.compile(path, "systolic"))
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as folder:
        line = [sys.executable, "-m", "gatewright", "compile", str(path), "--target", "systolic", "-o", f"{folder}/b"]
        whole = best_of(_REPEAT, lambda: subprocess.run(line, check=True, stdout=subprocess.DEVNULL))
    return [
        Speed(function, timing, COMPILE_SECONDS, bound, peer),
        Speed(command, whole, COMPILE_SECONDS, bound),
    ]


def _engines(say: Callable[[str], None]) -> list[Speed]:
    """VGG8 on each engine; what needs no measuring twice (Verilog, its simulation) exists already."""
    build = gatewright.compile(vgg8(), "systolic")
    inputs = random_inputs(build.graph.input_ports, 0)
    cycles = run_once(build, inputs, "rtl", RunOptions()).cycles or 0

    def timed(engine: Engine) -> Timing:
        say(f"tools: VGG8, engine {engine}")
        return best_of(_REPEAT, lambda: run_once(build, inputs, engine, RunOptions()))

    evaluate, model, rtl = timed("evaluate"), timed("model"), timed("rtl")
    say("tools: their peers")
    array = _array_alone(cycles)
    bare = Peer("its products alone, float32 BLAS", best_of(_REPEAT, _bare_products()))
    limit = cycles / SIMULATED_CYCLES_A_SECOND
    bound = f"≥ {SIMULATED_CYCLES_A_SECOND // 1000} kHz"
    return [
        Speed("`evaluate` a VGG8 image", evaluate, EVALUATE_SECONDS, f"< {EVALUATE_SECONDS:g} s", bare),
        Speed("`model` of VGG8, values and cycles", model, peer=Peer("the RTL", rtl), cycles=cycles),
        Speed("VGG8 in RTL, 8 x 8 machine", rtl, limit, bound, Peer("the 8 x 8 array alone, Verilated", array), cycles),
    ]


def _bare_products() -> Callable[[], None]:
    """VGG8's matrix products and nothing else, on matrices that are ready."""
    random = np.random.default_rng(0)
    pairs = [
        (random.random((one.pixels, one.taps), np.float32), random.random((one.taps, one.filters), np.float32))
        for one in VGG8.values()
    ]

    def products() -> None:
        for left, right in pairs:
            np.matmul(left, right)

    return products


def _array_alone(cycles: int) -> Timing:
    """What simulating so many cycles of the array with no shell, memories or post unit takes, from fewer cycles."""
    target = get_target("systolic")
    verilog = target.core(target.parse_config({}))
    with Model.from_verilog(verilog, "gatewright_systolic_array") as model:
        model.reset()
        timing = best_of(_REPEAT, lambda: model.tick(_ARRAY_CYCLES))
    return Timing(*(seconds * cycles / _ARRAY_CYCLES for seconds in (timing.wall, timing.processor)))
