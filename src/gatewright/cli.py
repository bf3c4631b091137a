"""The command line: thin over the Python functions of the same names."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import threading
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console, RenderableType
from rich.progress import Progress, TextColumn

from gatewright.build import Build
from gatewright.compile import compile as compile_model
from gatewright.emit import emit, load_build, read_report, write_report
from gatewright.engines import DEFAULT_MEMORY, Engine, RunOptions
from gatewright.engines import run as run_build
from gatewright.errors import ConfigError, DataError, GatewrightError, file_reason
from gatewright.frontends.models import read_model
from gatewright.inputs import read_inputs
from gatewright.price import cycle_price
from gatewright.quantize import (
    HeldOut,
    QuantiseOptions,
    Samples,
    WidthBudget,
    WidthChoice,
    choose_widths,
    parse_bits,
    read_widths,
)
from gatewright.report import render_report, render_targets, report_figures, support_page
from gatewright.schedule import conv_command, simulate_command
from gatewright.targets import get_target, targets
from gatewright.verify import VerifyOptions
from gatewright.verify import verify as verify_build

__all__ = ["main"]

_INTERNAL_ERROR = 70  # a fault of ours, not of the input, the machine or a tool
_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
_PIPE_WIDTH = 120
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
bitfusion = typer.Typer(no_args_is_help=True, help="Schedule one convolution on an array of fusion units.")
app.add_typer(bitfusion, name="bitfusion")

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX or .keras file.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A build folder.")]
TargetName = Annotated[str, typer.Option("--target", help="The machine; `gatewright targets` lists them.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file of the machine's parameters.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One parameter; repeatable.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="The build folder to write.")]
Calibration = Annotated[
    list[str] | None, typer.Option("--calibrate", metavar="X.npy", help="Typical inputs, to quantise a float model.")
]
Bits = Annotated[str | None, typer.Option(help="Widths of activations and weights, such as a8w8, to quantise with.")]
Scales = Annotated[Literal["pow2", "float"] | None, typer.Option(help="Kind of scales to quantise with.")]
Widths = Annotated[
    list[str] | None,
    typer.Option("--widths", metavar="LAYER=a4w8|FILE", help="Widths of single layers, or a TOML file; repeatable."),
]
MostLoss = Annotated[
    float | None,
    typer.Option("--max-loss", metavar="SHARE", help="Choose widths that lose at most this share of accuracy."),
]
Labels = Annotated[
    Path | None, typer.Option("--labels", metavar="Y.npy", help="Classes of the calibration samples, for --max-loss.")
]
HeldOutFiles = Annotated[
    list[str] | None,
    typer.Option("--held-out", metavar="X.npy", help="Inputs that training did not see, to check --max-loss with."),
]
HeldOutLabels = Annotated[
    Path | None, typer.Option("--held-out-labels", metavar="Y.npy", help="Classes of the samples held out.")
]
Batch = Annotated[int | None, typer.Option(min=1, help="Size of a first dimension that the model leaves open.")]
Inputs = Annotated[list[str] | None, typer.Option("-i", "--input", metavar="[NAME=]X.npy", help="Inputs; repeatable.")]
Memory = Annotated[str, typer.Option(help="The memory that is simulated behind the bus.")]
Seed = Annotated[int, typer.Option(help="Seed of random inputs and of the simulated memory.")]
Clock = Annotated[float | None, typer.Option("--clock", metavar="MHZ", help="Clock rate, for latency and images/s.")]


@app.command("targets")
def list_targets(
    markdown: Annotated[bool, typer.Option(help="As the page of the documentation.")] = False,
) -> None:
    """List the machines, their parameters and defaults, and what they support."""
    if markdown:
        print(support_page(targets()), end="")
    else:
        _print(render_targets(targets()))


@app.command("compile")
def compile_command(
    model: ModelFile,
    target: TargetName,
    config: ConfigFile = None,
    settings: Settings = None,
    output: Output = None,
    calibrate: Calibration = None,
    bits: Bits = None,
    scales: Scales = None,
    widths: Widths = None,
    max_loss: MostLoss = None,
    labels: Labels = None,
    held_out: HeldOutFiles = None,
    held_out_labels: HeldOutLabels = None,
    batch: Batch = None,
) -> None:
    """Compile a model and write the build folder."""
    choosing = _Choosing(max_loss, labels, held_out, held_out_labels)
    request = _Request(model, target, config, settings, calibrate, bits, scales, widths, choosing, batch)
    with _progress() as show:
        show("compiling", 0)
        build = request.compile()
        show("writing", 0.5)
        folder = emit(build, output or Path("build", f"{model.stem}-{target}"))
    _warn(build.warnings)
    if build.quantisation is not None:
        _print(build.quantisation.table())
    print(f"{build.program.name} for {target}: {build.program.instruction_count} instructions, in {folder}")


@app.command("run")
def run_command(
    folder: Folder,
    inputs: Annotated[list[str], typer.Option("-i", "--input", metavar="[NAME=]X.npy", help="Inputs; repeatable.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="Y.npy", help="The file to write outputs to.")],
    engine: Annotated[
        Engine, typer.Option(help="Simulated RTL, model of the machine, or meaning of the graph.")
    ] = "rtl",
    memory: Memory = DEFAULT_MEMORY,
    seed: Seed = 0,
    trace: Annotated[Path | None, typer.Option(metavar="FILE.vcd", help="Write a waveform of the RTL.")] = None,
) -> None:
    """Run a build on given inputs. Several outputs become files with their names appended."""
    if trace is not None and engine != "rtl":
        raise ConfigError(f"--trace must be given with --engine rtl, not {engine}")
    _check_files(output, trace)
    build, arrays = load_build(folder), read_inputs(inputs)
    with _progress() as show:
        limit = max(1, sum(layer.limit_cycles for layer in build.program.layers))
        options = RunOptions(memory, seed, trace, lambda cycles: show(engine, min(1.0, cycles / limit)))
        done = run_build(build, arrays, engine, options)
    for name, array in done.outputs.items():
        clean = re.sub(r"[^\w.-]", "_", name)
        path = output if len(done.outputs) == 1 else output.with_name(f"{output.stem}-{clean}.npy")
        with path.open("wb") as file:  # `np.save` would append its own ending to a path
            np.save(file, array)
    if engine != "evaluate":
        _remember(folder, build, engine, done.results[0])
        print(f"{done.cycles:,} cycles ({engine})")


@app.command("verify")
def verify_command(
    model: ModelFile,
    target: TargetName,
    config: ConfigFile = None,
    settings: Settings = None,
    output: Output = None,
    calibrate: Calibration = None,
    bits: Bits = None,
    scales: Scales = None,
    widths: Widths = None,
    max_loss: MostLoss = None,
    labels: Labels = None,
    held_out: HeldOutFiles = None,
    held_out_labels: HeldOutLabels = None,
    batch: Batch = None,
    inputs: Inputs = None,
    count: Annotated[int, typer.Option(min=1, help="Batches of random inputs, when none are given.")] = 1,
    memory: Memory = DEFAULT_MEMORY,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    clock: Clock = None,
) -> None:
    """Compile a model, run it on all three engines and in ONNX Runtime, and compare."""
    choosing = _Choosing(max_loss, labels, held_out, held_out_labels)
    request = _Request(model, target, config, settings, calibrate, bits, scales, widths, choosing, batch)
    arrays = read_inputs(inputs) if inputs else None
    _check_clock(clock)
    with _progress() as show:
        options = VerifyOptions(count, seed, RunOptions(memory, seed), show)
        show("compiling", 0)
        build = request.compile()
        found = verify_build(build, arrays, options)
        if output is not None:
            emit(build, output, found.report)
    _warn(found.warnings)
    if as_json:
        print(json.dumps(found.report, indent=2))
    else:
        _print(render_report(found.report, clock))
    if not found.equal:
        difference = found.comparison.max_abs_difference
        print(f"error: the engines differ, by up to {difference} steps of the output", file=sys.stderr)
        raise typer.Exit(1)


@app.command("report")
def report_command(folder: Folder, clock: Clock = None) -> None:
    """Show the report of a build folder."""
    _check_clock(clock)
    _print(render_report(read_report(folder), clock))


@app.command("emit-core")
def emit_core_command(
    target: TargetName,
    config: ConfigFile = None,
    settings: Settings = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.v", help="Default: print it.")] = None,
) -> None:
    """Write the compute array of a machine on its own, as Verilog."""
    _check_files(output)
    machine = get_target(target)
    verilog = machine.core(machine.parse_config(_read_config(config, settings)))
    if verilog is None:
        raise ConfigError(f"{target} has no compute array that is of use on its own")
    if output is None:
        print(verilog)
    else:
        output.write_text(verilog)


@bitfusion.command(
    "conv", context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
)
def bitfusion_conv_command(context: typer.Context) -> None:
    """Schedule a convolution: instructions, cycles, bricks and units used; --help lists the options."""
    for line in conv_command(context.args):
        print(line)


@bitfusion.command("simulate")
def bitfusion_simulate_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by `conv -o`.")],
) -> None:
    """Run the instructions of a file on the data in it."""
    for line in simulate_command(file):
        print(line)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 engines differ, 2 bad input or usage, 3 a machine or tool failed, 130
    interrupted.
    """
    try:
        with _interruptible():
            app(arguments if arguments is None else list(arguments))
    except _Interrupted:
        _fail("interrupted", _INTERRUPTED)
    except GatewrightError as error:
        _fail(str(error), error.exit_status)
    except OSError as error:
        _fail(file_reason(error), GatewrightError.exit_status)
    except Exception as error:
        if os.environ.get("GATEWRIGHT_TRACEBACK"):
            raise
        hint = "this is a fault of Gatewright; GATEWRIGHT_TRACEBACK=1 shows where"
        _fail(f"{type(error).__name__}: {error} ({hint})", _INTERNAL_ERROR)


class _Interrupted(BaseException):
    """Ctrl-C, under a name that the parser of options does not make an exit of its own of."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises `_Interrupted`, where signals can be caught: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise _Interrupted

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print(what: RenderableType) -> None:
    """In full width where there is no terminal that has one."""
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(what)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _fail(message: str, status: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


def _check_files(*paths: Path | None) -> None:
    """Refuse files that cannot be written, before the work whose results they are for."""
    for path in filter(None, paths):
        if path.is_dir():
            raise DataError(f"{path}: must be a file, not a folder")
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}")


def _check_clock(clock: float | None) -> None:
    if clock is not None and not 0 < clock < math.inf:
        raise ConfigError(f"--clock must be more than 0 MHz, not {clock:g}")


@dataclass(frozen=True)
class _Choosing:
    """The options that have widths chosen."""

    loss: float | None
    labels: Path | None
    held_out: list[str] | None
    held_out_labels: Path | None

    def check(self) -> None:
        """Refuse options that mean nothing without others."""
        if self.loss is not None and not 0 <= self.loss <= 1:
            raise ConfigError(f"--max-loss must be a share from 0 to 1, such as 0.01 for 1 %, not {self.loss:g}")
        given = {"--labels": self.labels, "--held-out": self.held_out, "--held-out-labels": self.held_out_labels}
        for name, value in given.items():
            if value is not None and self.loss is None:
                raise ConfigError(f"{name} must be given with --max-loss")
        if self.held_out_labels is not None and not self.held_out:
            raise ConfigError("--held-out-labels must be given with --held-out")

    def choose(
        self, path: Path, target: str, config: dict[str, Any], samples: Samples | None, options: QuantiseOptions | None
    ) -> WidthChoice:
        """Widths for each layer, which are shown beside the command's own output."""
        model, budget = read_model(path), WidthBudget(self.loss or 0.0)
        held_out = None
        if self.held_out and (arrays := _read_samples(self.held_out)) is not None:
            held_out = HeldOut(arrays, _read_labels(self.held_out_labels))
        cycles = cycle_price(model, target, config, samples, budget.candidates, options)
        if cycles is not None:
            budget = replace(budget, cost=cycles, unit="cycles")
        choice = choose_widths(model, samples, budget, options, _read_labels(self.labels), held_out)
        Console(stderr=True, width=None if sys.stderr.isatty() else _PIPE_WIDTH).print(choice.table())
        if not choice.confirmed:
            print(f"warning: {choice.caution}", file=sys.stderr)
        return choice


@dataclass(frozen=True)
class _Request:
    """What `compile` and `verify` take alike."""

    model: Path
    target: str
    config: Path | None
    settings: list[str] | None
    calibrate: list[str] | None
    bits: str | None
    scales: Literal["pow2", "float"] | None
    widths: list[str] | None
    choosing: _Choosing
    batch: int | None

    def compile(self) -> Build:
        values, samples = _read_config(self.config, self.settings), _read_samples(self.calibrate)
        options = self._options()
        choice = None
        if self.choosing.loss is not None:
            choice = self.choosing.choose(self.model, self.target, values, samples, options)
        return compile_model(self.model, self.target, values, samples, choice or options, self.batch)

    def _options(self) -> QuantiseOptions | None:
        self.choosing.check()
        if self.bits is None and self.scales is None and not self.widths:
            return None
        bits, layers = parse_bits(self.bits or "a8w8"), read_widths(self.widths or [])
        return QuantiseOptions(*bits, scales=self.scales or "float", layers=layers)


def _read_samples(items: list[str] | None) -> np.ndarray | dict[str, np.ndarray] | None:
    arrays = read_inputs(items) if items else None
    return arrays[0] if isinstance(arrays, list) else arrays


def _read_labels(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    arrays = read_inputs([str(path)])
    return next(iter(arrays.values())) if isinstance(arrays, dict) else arrays[0]


def _read_config(path: Path | None, settings: Sequence[str] | None) -> dict[str, Any]:
    """Values of the TOML file, then those of the command line, which win."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values.update(tomllib.loads(path.read_text()))
        except ValueError as error:
            raise ConfigError(f"{path} must be a TOML file: {error}") from None
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set must be given key=value, not {setting!r}")
        values[key.strip()] = value.strip()
    return values


def _remember(folder: Path, build: Build, engine: Engine, result: Any) -> None:
    """Put what a run measured into the folder's report, beside what it says already."""
    fresh, report = report_figures(build, **{engine: result}), read_report(folder)
    measured = ("efficiency", "counters") if engine == "rtl" else ()
    of_layer = ("cycles", "efficiency") if engine == "rtl" else ("model_cycles",)
    pairs = zip(report["layers"], fresh["layers"], strict=True)
    layers = [{**old, **{key: new[key] for key in of_layer}} for old, new in pairs]
    cycles = {**report["cycles"], engine: fresh["cycles"][engine]}
    write_report(folder, {**report, **{key: fresh[key] for key in measured}, "cycles": cycles, "layers": layers})


@contextmanager
def _progress() -> Iterator[Any]:
    """A function (text, share done) that moves a bar on a terminal, and does nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda text, share: None
        return
    elapsed = (*Progress.get_default_columns()[:3], TextColumn("{task.elapsed:.0f} s"))
    with Progress(*elapsed, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda text, share: progress.update(task, description=text, completed=share)
