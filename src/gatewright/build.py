"""What one compilation made: the graph it began with, the program it ended with, and the machine both are for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx

from gatewright.ir import Graph
from gatewright.program import Program
from gatewright.quantize import QuantisationReport, WidthChoice
from gatewright.targets import Target, get_target
from gatewright.verilog import machine_verilog

__all__ = ["Build"]


@dataclass(frozen=True)
class Build:
    """A network on a machine.

    `graph` is the network as it was imported, before any pass: what must come out. `model` is the quantised ONNX model
    that it was imported from, where there is one at hand; `quantisation` says how, if that was done here, and
    `choice` how the widths came about, if they were chosen.
    """

    graph: Graph
    program: Program
    target: Target[Any]
    config: Any
    model: onnx.ModelProto | None = field(default=None, repr=False)
    quantisation: QuantisationReport | None = field(default=None, repr=False)
    choice: WidthChoice | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()
    """What a user should look at although it compiles: what the machine's multipliers cannot do exactly."""
    emitted: str | None = field(default=None, repr=False)
    """The Verilog, where it has been written before; `verilog` gives it in every case."""

    @cached_property
    def verilog(self) -> str:
        """The machine, as Verilog."""
        return self.emitted or machine_verilog(self.target, self.config, self.program)

    @classmethod
    def of(cls, graph: Graph, program: Program, **rest: Any) -> Build:
        """A build whose target and configuration are those the program names."""
        target = get_target(program.target)
        return cls(graph, program, target, target.config_of(program), **rest)
