"""Verification: three engines on the same inputs, and ONNX Runtime beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gatewright.build import Build
from gatewright.engines import Engine, RunOptions, decode_outputs, plain_outputs, run_once
from gatewright.errors import ConfigError
from gatewright.frontends import run_reference
from gatewright.inputs import InputSet, check_seed, random_inputs, split_inputs
from gatewright.ir import Port
from gatewright.program import Arrays, Result
from gatewright.report import Comparison, Reference, report_figures

__all__ = ["Verification", "VerifyOptions", "verify"]

MISMATCH_WARNING = 0.01
STEPS_WARNING = 2
_ENGINES: tuple[Engine, ...] = ("evaluate", "model", "rtl")
# What these steps leave has no step width of its own: it is counted in steps of the 8-bit type that usually follows.
_SMOOTH = frozenset({"softmax", "log_softmax", "sigmoid"})
_SMOOTH_STEP = 1 / 256


@dataclass(frozen=True)
class VerifyOptions:
    """`count` batches of random inputs from `seed`, where no inputs are given; the rest is as for `run`.

    `progress` is called with a text and the share of the work done.
    """

    count: int = 1
    seed: int = 0
    run: RunOptions = field(default_factory=RunOptions)
    progress: Callable[[str, float], None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count must be at least 1, not {self.count}")
        check_seed(self.seed)


@dataclass(frozen=True)
class Verification:
    """What `verify` found: `report` is `report.json`, `warnings` what a user should look at although engines agree."""

    comparison: Comparison
    report: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether evaluation, model and RTL agree bit for bit, before the host's steps."""
        return self.comparison.equal


def verify(build: Build, inputs: Arrays | None = None, options: VerifyOptions | None = None) -> Verification:
    """Run a build on every engine, batch by batch, and compare; and with ONNX Runtime where the model is at hand."""
    options = options or VerifyOptions()
    batches = _batches(build, inputs, options)
    runs = [_run_engines(build, batch, options, index, len(batches)) for index, batch in enumerate(batches)]
    difference = max(_difference(build, results) for results in runs)
    reference = _compare_reference(build, batches, [results["evaluate"] for results in runs])
    comparison = Comparison(difference == 0, difference, reference)
    first = runs[0]
    report = report_figures(build, first["model"], first["rtl"], comparison)
    return Verification(comparison, report, (*build.warnings, *_warnings(reference)))


def _batches(build: Build, inputs: Arrays | None, options: VerifyOptions) -> list[InputSet]:
    ports = build.graph.input_ports
    if inputs is not None:
        return split_inputs(ports, inputs)
    return [random_inputs(ports, options.seed + index) for index in range(options.count)]


def _run_engines(build: Build, batch: InputSet, options: VerifyOptions, index: int, count: int) -> dict[Engine, Result]:
    """All engines on one batch; the RTL, which takes longest, moves the progress on."""
    results: dict[Engine, Result] = {}

    def show(engine: Engine, cycles: int = 0) -> None:
        if options.progress is not None:
            expected = (results["model"].cycles if "model" in results else None) or max(cycles, 1)
            options.progress(f"{engine} {index + 1}/{count}", (index + min(1.0, cycles / expected)) / count)

    for engine in _ENGINES:
        show(engine)
        settings = replace(options.run, progress=lambda cycles: show("rtl", cycles))
        results[engine] = run_once(build, batch, engine, settings)
    return results


def _difference(build: Build, results: Mapping[Engine, Result]) -> int:
    """The largest difference of any engine's outputs from the graph's meaning, in steps before the host's."""
    expected = plain_outputs(build, results["evaluate"])
    found = [plain_outputs(build, results[engine]) for engine in ("model", "rtl")]
    return max(int(np.abs(one[name] - expected[name]).max()) for one in found for name in expected)


def _compare_reference(build: Build, batches: list[InputSet], results: list[Result]) -> Reference | None:
    if build.model is None:
        return None
    found = [list(_compare(build, batch, result)) for batch, result in zip(batches, results, strict=True)]
    steps = np.concatenate([steps for outputs in found for _, steps, _ in outputs])
    top1 = np.concatenate([outputs[0][2] for outputs in found])
    counted = [steps for outputs in found for port, steps, _ in outputs if _step(port) is not None]
    largest = int(max(steps.max() for steps in counted)) if counted else None
    return Reference(float(np.mean(steps != 0)), largest, float(np.mean(top1)))


def _compare(build: Build, batch: InputSet, result: Result) -> Iterator[tuple[Port, np.ndarray, np.ndarray]]:
    """For each output: how many steps each value is off, and for each sample whether the same value is the largest."""
    assert build.model is not None
    expected = run_reference(build.model, {port.name: _as_model(port, batch) for port in build.graph.input_ports})
    outputs = decode_outputs(build, result)
    for port in build.graph.output_ports:
        ours, theirs = outputs[port.name].astype(np.float64), expected[port.name].astype(np.float64)
        yield port, np.rint(np.abs(ours - theirs) / (_step(port) or 1)).ravel(), _same_largest(ours, theirs)


def _as_model(port: Port, batch: InputSet) -> np.ndarray:
    """An input as the model takes it: floats for an integer input are quantised as the machine's host does it."""
    array = np.asarray(batch[port.name])
    return array if array.dtype == port.model_dtype else port.decode(port.encode(array))


def _step(port: Port) -> float | None:
    """The width of one step of an output, None where values are indices."""
    kinds = [step.kind for step in port.tail]
    if "argmax" in kinds:
        return None
    if np.dtype(port.model_dtype).kind != "f":
        return 1
    return _SMOOTH_STEP if _SMOOTH & set(kinds) else port.scale or 1


def _same_largest(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    if ours.ndim < 2:
        return np.atleast_1d(ours == theirs)
    return ours.reshape(len(ours), -1).argmax(-1) == theirs.reshape(len(theirs), -1).argmax(-1)


def _warnings(reference: Reference | None) -> Iterator[str]:
    if reference is None:
        return
    if reference.mismatch_rate > MISMATCH_WARNING:
        yield f"{reference.mismatch_rate:.2%} of the output values differ from ONNX Runtime's"
    if reference.max_steps is not None and reference.max_steps > STEPS_WARNING:
        yield f"an output value differs from ONNX Runtime's by {reference.max_steps} steps"
