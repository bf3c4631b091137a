"""The way to hardware: what a script described, compiled for the machine `generated`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.build import Build
from gatewright.compile import compile
from gatewright.errors import ConfigError
from gatewright.hdl.names import VERILOG_NAME, is_verilog_name
from gatewright.inputs import check_seed
from gatewright.ng.accelerator import Accelerator, Design
from gatewright.ng.addresses import AddressMap, is_parameter
from gatewright.ng.budget import machine_keys
from gatewright.ng.config import parse_config
from gatewright.ng.dtypes import dtype_int
from gatewright.ng.errors import ArgumentError
from gatewright.ng.evaluation import as_outputs, expect_names, given, lower
from gatewright.ng.records import Numeric, closure
from gatewright.ng.simulation import Simulation
from gatewright.ng.storage import Storage, placeholder
from gatewright.ng.timing import NNGEN
from gatewright.sim import MemoryOptions

__all__ = [
    "Simulated",
    "address_map",
    "build",
    "design",
    "simulate",
    "to_ipxact",
    "to_verilog",
    "to_veriloggen",
]

MACHINE = "generated"
_OPTIONS = ("config", "memory", "seed")

Objects = Numeric | Iterable[Numeric]
Config = Mapping[str, Any] | None


@dataclass(frozen=True)
class Simulated:
    """What a simulated run gave: the outputs in order, cycles in all and of each layer."""

    outputs: tuple[np.ndarray, ...]
    cycles: int
    layers: Mapping[str, int]


def design(objs: Objects, name: str, config: Config = None) -> Design:
    """The design of an accelerator that computes these tensors."""
    return _design(objs, name, config, {})


def build(objs: Objects, name: str, config: Config = None) -> Build:
    """These tensors compiled: what `gatewright.run`, `verify` and `emit` take.

    What the machine cannot run is an error that names the node.
    """
    return _build(design(objs, name, config))


def address_map(objs: Objects, config: Config = None, name: str = "accelerator") -> AddressMap:
    """The address map that an accelerator of these tensors would have; their records learn nothing."""
    described = design(objs, name, config)
    return _accelerator(described, assign=False).addresses


def to_veriloggen(objs: Objects, name: str, config: Config = None, silent: bool = False) -> Accelerator:
    """The accelerator that computes these tensors; prints its log unless `silent`."""
    accelerator = _accelerator(design(objs, name, config))
    if not silent:
        print(accelerator.log, end="")
    return accelerator


def to_verilog(
    objs: Objects, name: str, filename: str | Path | None = None, config: Config = None, silent: bool = False
) -> str:
    """The accelerator as Verilog, also written to `filename` if that is given; prints the log unless `silent`."""
    return to_veriloggen(objs, name, config, silent).to_verilog(filename)


def to_ipxact(
    objs: Objects, name: str, ipname: str | None = None, config: Config = None, silent: bool = False
) -> Accelerator:
    """The accelerator, and its IP-XACT package in the folder `<ipname>_v1_0`; prints the log unless `silent`."""
    accelerator = to_veriloggen(objs, name, config, silent)
    accelerator.to_ipxact(ipname)
    return accelerator


def simulate(
    objs: Objects, config: Config = None, memory: str | MemoryOptions = NNGEN, seed: int = 0, **inputs: Any
) -> Simulated:
    """Compile, write the Verilog and simulate one run. Further keywords are the values of placeholders, and replace
    those of variables, by name.

    `memory` is the simulated one: a name (`nngen`, `ideal`, `default`, `stalls`) or `ng.memory_options(...)`; what is
    random in it and what memories hold at first depends on `seed`.
    """
    stored = (record for record in closure(as_outputs(objs)) if isinstance(record, Storage))
    expect_names("keywords", inputs, stored)
    check_seed(seed)
    described = _design(objs, "simulated", config, inputs)
    records = [record for record in closure(described.outputs) if isinstance(record, placeholder)]
    if taken := sorted({record.name or "" for record in records} & set(_OPTIONS)):
        raise ArgumentError(f"placeholder {taken[0]!r} must have another name to be simulated")
    arrays = given(described.outputs, described.network, inputs)
    handle = _accelerator(described, assign=False)
    image = np.random.default_rng(seed).integers(0, 256, handle.addresses.size, np.uint8)
    with Simulation(handle, image, timing=memory, seed=seed) as simulation:
        simulation.place_parameters()
        for record in records:
            simulation.place(record, arrays[described.network.values[record.object_id]])
        simulation.start()
        simulation.wait()
        result = simulation.result()
    layers = zip(handle.program.layers, result.layer_cycles or (), strict=True)
    outputs = tuple(simulation.fetch(record) for record in described.outputs)
    return Simulated(outputs, result.cycles or 0, {layer.name: cycles for layer, cycles in layers})


def _design(objs: Objects, name: str, config: Config, known: Mapping[str, Any]) -> Design:
    outputs, configuration = tuple(as_outputs(objs)), parse_config(config)
    if not isinstance(name, str) or not is_verilog_name(name):
        raise ConfigError(f"name of the accelerator must be {VERILOG_NAME}, not {name!r}")
    if wrong := [each for each in outputs if is_parameter(each)]:
        raise ArgumentError(f"outputs of an accelerator must be computed or placeholders, not {wrong[0].title}")
    network = lower(outputs, name, known, default=dtype_int(configuration.default_datawidth))
    return Design(name, outputs, network, configuration)


def _build(described: Design) -> Build:
    keys = machine_keys(described.network, described.config)
    return compile(described.network.graph, MACHINE, {"module_name": described.name} | keys)


def _accelerator(described: Design, assign: bool = True) -> Accelerator:
    accelerator = Accelerator(described, _build(described))
    if assign:
        accelerator.assign()
    return accelerator
