"""The way to hardware: what a script described, handed to the machine `generated`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gatewright.build import Build
from gatewright.compile import compile
from gatewright.engines import RunOptions, plain_outputs, run_once
from gatewright.errors import ConfigError
from gatewright.ng.addresses import AddressMap, address_map
from gatewright.ng.budget import machine_keys
from gatewright.ng.config import NgConfig, parse_config
from gatewright.ng.dtypes import dtype_int
from gatewright.ng.errors import NotThereError
from gatewright.ng.evaluation import Network, as_outputs, given, lower
from gatewright.ng.records import Numeric
from gatewright.ng.timing import NNGEN, memory_options
from gatewright.sim import MemoryOptions

__all__ = [
    "Design",
    "Simulated",
    "Simulation",
    "build",
    "design",
    "simulate",
    "to_ipxact",
    "to_verilog",
    "to_veriloggen",
]

MACHINE = "generated"


@dataclass(frozen=True)
class Design:
    """All that a machine needs to know of a script.

    The network as a graph, with the wishes that concern each node; the addresses that drivers and images use; the
    configuration.
    """

    name: str
    network: Network
    addresses: AddressMap
    config: NgConfig


@dataclass(frozen=True)
class Simulated:
    """What a simulated run gave: the outputs in order, cycles in all and of each layer."""

    outputs: tuple[np.ndarray, ...]
    cycles: int
    layers: Mapping[str, int]


def design(objs: Numeric | Iterable[Numeric], name: str, config: Mapping[str, Any] | None = None) -> Design:
    """The design of an accelerator that computes these tensors."""
    return _design(as_outputs(objs), name, config, {})


def build(objs: Numeric | Iterable[Numeric], name: str, config: Mapping[str, Any] | None = None) -> Build:
    """These tensors compiled for the machine `generated`: what `gatewright.run`, `verify` and `emit` take.

    What it cannot run is an error that names the node.
    """
    return _build(design(objs, name, config))


def simulate(
    objs: Numeric | Iterable[Numeric],
    config: Mapping[str, Any] | None = None,
    memory: str | MemoryOptions = NNGEN,
    seed: int = 0,
    **inputs: Any,
) -> Simulated:
    """Compile, write the Verilog and simulate one run. Further keywords are the values of placeholders, and replace
    those of variables, by name.

    `memory` is the simulated one: a name (`nngen`, `ideal`, `default`, `stalls`) or `ng.memory_options(...)`; what is
    random in it and what memories hold at first depends on `seed`.
    """
    outputs = as_outputs(objs)
    described = _design(outputs, "simulated", config, inputs)
    network, built = described.network, _build(described)
    arrays = given(outputs, network, inputs)
    ends = zip(network.graph.inputs, network.graph.input_ports, strict=True)
    options = RunOptions(memory_options(memory), seed)
    result = run_once(built, {port.name: arrays[value.name] for value, port in ends}, "rtl", options)
    found = plain_outputs(built, result)
    titles = dict(zip(network.graph.outputs, (port.name for port in network.graph.output_ports), strict=True))
    layers = zip(built.program.layers, result.layer_cycles or (), strict=False)
    return Simulated(
        tuple(found[titles[network.values[record.object_id]]] for record in outputs),
        result.cycles or 0,
        {layer.name: cycles for layer, cycles in layers},
    )


def _design(outputs: list[Numeric], name: str, config: Mapping[str, Any] | None, known: Mapping[str, Any]) -> Design:
    configuration = parse_config(config)
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigError(f"name of the accelerator must be letters, digits and '_', not {name!r}")
    network = lower(outputs, name, known, default=dtype_int(configuration.default_datawidth))
    return Design(name, network, address_map(outputs, configuration), configuration)


def _build(described: Design) -> Build:
    return compile(described.network.graph, MACHINE, machine_keys(described.network, described.config))


def to_veriloggen(
    objs: Numeric | Iterable[Numeric], name: str, config: Mapping[str, Any] | None = None, silent: bool = False
) -> NoReturn:
    """A handle of the accelerator."""
    _refuse("to_veriloggen", design(objs, name, config))


def to_verilog(
    objs: Numeric | Iterable[Numeric],
    name: str,
    filename: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
    silent: bool = False,
) -> NoReturn:
    """The accelerator as Verilog, also written to `filename` if that is given."""
    _refuse("to_verilog", design(objs, name, config))


def to_ipxact(
    objs: Numeric | Iterable[Numeric],
    name: str,
    ipname: str | None = None,
    config: Mapping[str, Any] | None = None,
    silent: bool = False,
) -> NoReturn:
    """The accelerator as an IP-XACT package in the folder `<ipname>_v1_0`."""
    _refuse("to_ipxact", design(objs, name, config))


class Simulation:
    """The simulated Verilog of a handle over a memory image."""

    def __init__(self, handle: Any, memory: Any, **memory_options: Any) -> None:
        _refuse("Simulation", handle)


def _refuse(what: str, described: object) -> NoReturn:
    """Say that the machine is not there, once everything that the script said has been found to make sense."""
    reason = f"a machine {MACHINE!r} with NNgen's ports, registers and memory map, which is not there yet"
    there = "ng.eval, simulate, build, export_ndarray and address_map work without it"
    raise NotThereError(f"ng.{what} needs {reason}; {there}")
