"""An accelerator: a script's network, compiled; its Verilog, log, addresses and the image of its parameters."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.build import Build
from gatewright.errors import reason
from gatewright.hdl.csr_map import RegisterMap
from gatewright.ipxact import IpCore, write_ipxact
from gatewright.ng.addresses import AddressMap, is_parameter, map_addresses
from gatewright.ng.config import NgConfig
from gatewright.ng.errors import ArgumentError
from gatewright.ng.evaluation import Network, as_outputs
from gatewright.ng.records import Numeric
from gatewright.ng.shapes import aligned_size
from gatewright.ng.storage import constant, variable
from gatewright.program import Program
from gatewright.report import SynthesisLog, synthesis_log

__all__ = ["Accelerator", "Design", "export_ndarray", "make_ndarray"]

_VERSION = "v1_0"


@dataclass(frozen=True)
class Design:
    """What a script said: the network as a graph, with the wishes that concern each node, and the configuration."""

    name: str
    outputs: tuple[Numeric, ...]
    network: Network
    config: NgConfig


class Accelerator:
    """A compiled design."""

    def __init__(self, design: Design, build: Build) -> None:
        self.design, self.build = design, build
        self.addresses: AddressMap = map_addresses(design.outputs, design.network, build)
        self._parameters = {id(record): _digest(record) for record in self.addresses.records if is_parameter(record)}

    def __repr__(self) -> str:
        return f"<Accelerator {self.name}>"

    @property
    def name(self) -> str:
        """The name of the top module."""
        return self.design.name

    @property
    def program(self) -> Program:
        return self.build.program

    @property
    def verilog(self) -> str:
        """All modules."""
        return self.build.verilog

    @property
    def registers(self) -> RegisterMap:
        """The registers behind `saxi`."""
        return self.build.target.register_map_for(self.build.config, self.program)

    @cached_property
    def log(self) -> SynthesisLog:
        """What was built, and what a driver needs to know."""
        return synthesis_log(self.build, self.addresses.rows())

    def assign(self) -> None:
        """Let the records know: from now on they have addresses and aligned shapes, and `export_ndarray` an image."""
        self.addresses.assign()
        for record in self.addresses.records:
            record.accelerator = self

    def to_verilog(self, filename: str | Path | None = None) -> str:
        """All modules, also written to a file if one is given."""
        if filename is not None:
            try:
                Path(filename).write_text(self.verilog)
            except OSError as error:
                raise ArgumentError(f"filename must be one that can be written: {filename}: {reason(error)}") from error
        return self.verilog

    def to_ipxact(self, ipname: str | None = None, folder: Path | str = ".") -> Path:
        """Write the package into `<ipname>_v1_0` in a folder; its path."""
        name = self.name if ipname is None else ipname
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ArgumentError(f"ipname must be letters, digits, '_', '.' and '-', not {name!r}")
        description = f"accelerator {self.name}, by Gatewright"
        core = IpCore(name, self.name, self.verilog, self.registers, self.build.config.pins(), description)
        return write_ipxact(core, Path(folder) / f"{name}_{_VERSION}")

    def image(self, chunk_size: int = 64) -> np.ndarray:
        """The bytes of all variables and constants, in the machine's own form, whole chunks; they lie at
        `addresses.parameters`.

        Raises
        ------
        ArgumentError
            If a value has changed since.
        """
        changed = [
            record.title
            for record in self.addresses.records
            if id(record) in self._parameters and self._parameters[id(record)] != _digest(record)
        ]
        if changed:
            raise ArgumentError(f"values of {', '.join(changed)} must be those of {self.name}: make it again")
        region = self.program.memory_regions[self.addresses.parameters.index]
        image = np.zeros(aligned_size(region.size, chunk_size), np.uint8)
        image[: len(region.data)] = np.frombuffer(region.data, np.uint8)
        return image


def export_ndarray(objs: Numeric | Iterable[Numeric], chunk_size: int = 64) -> np.ndarray:
    """The image of all variables and constants as the accelerator of these tensors reads them, as bytes.

    Raises
    ------
    ArgumentError
        If they have no accelerator yet, or several, or if a value has changed since.
    """
    return _accelerator_of(as_outputs(objs)).image(chunk_size)


def make_ndarray(variables: Any, constants: Any, chunk_size: int = 64) -> np.ndarray:
    """As `export_ndarray`, of variables and constants (lists, or mappings as `from_onnx` gives them)."""
    groups = [list(group.values() if isinstance(group, Mapping) else group) for group in (variables, constants)]
    for group, kind in zip(groups, (variable, constant), strict=True):
        wrong = [record for record in group if not isinstance(record, kind)]
        if wrong:
            raise ArgumentError(f"{kind.__name__}s must be {kind.__name__}s, not {wrong[0]!r}")
    placed = [record for group in groups for record in group if record.accelerator is not None]
    return _accelerator_of(placed).image(chunk_size) if placed else np.zeros(0, np.uint8)


def _accelerator_of(records: Iterable[Numeric]) -> Accelerator:
    """The one accelerator that was made last of all of these."""
    found: dict[int, Accelerator] = {}
    for record in records:
        if record.accelerator is None:
            raise ArgumentError(f"{record.title} must be part of an accelerator: call to_verilog or to_ipxact first")
        found[id(record.accelerator)] = record.accelerator
    if len(found) > 1:
        names = ", ".join(each.name for each in found.values())
        raise ArgumentError(f"tensors must be of one accelerator, not of {names}")
    return next(iter(found.values()))


def _digest(record: Numeric) -> int:
    return 0 if record.value is None else zlib.crc32(np.ascontiguousarray(record.value).tobytes())
