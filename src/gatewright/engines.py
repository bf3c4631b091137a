"""Three ways to run a build, one result: the graph's meaning, the model of the machine, the emitted Verilog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from gatewright.build import Build
from gatewright.errors import ConfigError
from gatewright.hdl.pins import Pins
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.inputs import InputSet, check_seed, join_outputs, split_inputs
from gatewright.ir import Port
from gatewright.program import Arrays, Result
from gatewright.sim import MemoryOptions, SimulatedBus

__all__ = [
    "DEFAULT_MEMORY",
    "ENGINES",
    "Engine",
    "Run",
    "RunOptions",
    "decode_outputs",
    "plain_outputs",
    "run",
    "run_once",
]

Engine = Literal["rtl", "model", "evaluate"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
DEFAULT_MEMORY = "default"


@dataclass(frozen=True)
class RunOptions:
    """How the RTL is simulated: the memory behind the bus (or its name), the seed it draws from, the VCD file to write
    if any, and whom to tell the cycles so far.
    """

    memory: str | MemoryOptions = DEFAULT_MEMORY
    seed: int = 0
    trace: Path | None = None
    progress: Callable[[int], None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.memory, str):
            MemoryOptions.named(self.memory)
        check_seed(self.seed)

    @property
    def timing(self) -> MemoryOptions:
        """The memory, whether it was named or given."""
        return MemoryOptions.named(self.memory) if isinstance(self.memory, str) else self.memory


@dataclass(frozen=True)
class Run:
    """What came out of one or several runs: outputs of the model, batches joined, and what was measured of each."""

    outputs: Mapping[str, np.ndarray]
    results: tuple[Result, ...]

    @property
    def cycles(self) -> int | None:
        """Cycles of the first run."""
        return self.results[0].cycles

    @property
    def counters(self) -> Mapping[str, int]:
        return self.results[0].counters


def run(build: Build, inputs: Arrays, engine: Engine = "rtl", options: RunOptions | None = None) -> Run:
    """Run a build on inputs in the model's own types and layout, and give its outputs likewise, after the host's steps.

    Inputs that hold several batches are run one batch after another.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    batches = split_inputs(build.graph.input_ports, inputs)
    results = tuple(run_once(build, batch, engine, options or RunOptions()) for batch in batches)
    decoded = [decode_outputs(build, result) for result in results]
    return Run(join_outputs(decoded), results)


def run_once(build: Build, inputs: InputSet, engine: Engine, options: RunOptions) -> Result:
    """One batch on one engine; outputs are integers, of the graph (`evaluate`) or of the program."""
    if engine == "evaluate":
        ports = build.graph.input_ports
        return Result("evaluate", build.graph.evaluate(*(port.encode(inputs[port.name]) for port in ports)))
    integers = build.program.encode(inputs)
    if engine == "model":
        return build.target.run(build.program, integers)
    return _simulate(build, integers, options)


def plain_outputs(build: Build, result: Result) -> InputSet:
    """Output integers in the model's layout and offset but before the host's steps: the same from every engine."""
    found = {}
    for port, values in _ports(build, result):
        plain = replace(port, tail=(), scale=None, model_dtype="int64", model_zero_point=0)
        found[port.name] = plain.decode(values)
    return found


def decode_outputs(build: Build, result: Result) -> InputSet:
    return {port.name: port.decode(values) for port, values in _ports(build, result)}


def _ports(build: Build, result: Result) -> list[tuple[Port, np.ndarray]]:
    if result.engine == "evaluate":
        return [(p, result.outputs[n]) for p, n in zip(build.graph.output_ports, build.graph.outputs, strict=True)]
    return [(binding.port, result.outputs[binding.name]) for binding in build.program.outputs if binding.port]


def _simulate(build: Build, integers: list[np.ndarray], options: RunOptions) -> Result:
    machine, program = build.target, build.program
    with SimulatedBus(
        build.verilog,
        machine.top_module(build.config),
        memory_bytes=memory_size(program),
        data_width=machine.data_width(build.config),
        options=options.timing,
        seed=options.seed,
        trace=options.trace,
        pins=machine.pins(build.config) or Pins(),
    ) as bus:
        driver = Driver(bus, registers_of(machine.register_map_for(build.config, program)), program)
        return driver.run(integers, options.progress)
