"""What every machine offers the compiler, the engines and the reports."""

from __future__ import annotations

import ast
import inspect
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from itertools import pairwise
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_type_hints

import numpy as np

from gatewright.errors import ConfigError, GraphError
from gatewright.hdl.pins import Pins
from gatewright.ir import Graph, Node
from gatewright.program import Program, Result

__all__ = ["Parameter", "Predicate", "Rule", "Support", "Target", "accept"]


class Configuration(Protocol):
    """What the configurations of all machines have; a machine whose own does not says so in its methods."""

    @property
    def bus_bits(self) -> int: ...

    @property
    def multiplier_width(self) -> int: ...

    def digest(self) -> int: ...


Config = TypeVar("Config", bound=Configuration)
Pass = Callable[[Graph], Graph]
Predicate = Callable[[Node, Graph, Any], str | None]
"""Says why a node cannot run on a machine of this configuration, or None when it can."""


def accept(node: Node, graph: Graph, config: object) -> None:
    """The predicate of an operator that runs in every form."""


@dataclass(frozen=True)
class Rule:
    """One operator that a machine runs: how, and under which conditions.

    `conditions` is what the support table prints; `refuse` decides, and its reasons complete the sentence "X is not
    supported: ...".
    """

    operator: str
    runs: str
    conditions: tuple[str, ...] = ()
    refuse: Predicate = accept


@dataclass(frozen=True)
class Support:
    """All rules of a machine; read by `check`, by the support table in the docs and by the conformance suite."""

    rules: tuple[Rule, ...]

    def rule(self, operator: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.operator == operator), None)

    def reason(self, node: Node, graph: Graph, config: object) -> str | None:
        """Why this node cannot run, or None."""
        rule = self.rule(node.op.name)
        if rule is None:
            return f"the machine has no {node.op.name}; it runs {', '.join(r.operator for r in self.rules)}"
        return rule.refuse(node, graph, config)


@dataclass(frozen=True)
class Parameter:
    """One configuration parameter as `gatewright targets` shows it."""

    name: str
    type: type
    default: int | bool | str
    description: str = ""


class Target(ABC, Generic[Config]):
    """A machine: its configuration, what it supports, and the way from a graph to program, model and hardware.

    A target is stateless. It never sees the simulator: `run` computes results and cycles from the program alone.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `gatewright targets`."""
    config_type: ClassVar[type]
    """A frozen dataclass of int, bool and str fields, all with defaults, that raises `ConfigError`."""
    supports: ClassVar[Support]
    passes: ClassVar[tuple[Pass, ...]]
    """Legalisations that this machine needs, run in order after the shared passes."""
    top: ClassVar[str]
    """Name of the top module in the emitted Verilog."""

    # The way down.

    @abstractmethod
    def lower(self, graph: Graph, config: Config) -> Program:
        """The program of a checked graph; `ConfigError` when a memory is too small, saying the minimum."""

    @abstractmethod
    def run(self, program: Program, inputs: Sequence[np.ndarray]) -> Result:
        """Execute a program bit-exactly on graph integers, in the order of `program.inputs`, and count cycles."""

    @abstractmethod
    def hardware(self, config: Config) -> str:
        """The machine's Verilog; depends on the configuration alone."""

    def hardware_for(self, config: Config, program: Program) -> str:
        """The Verilog of the machine for this program; another one only where a machine is made for one network."""
        return self.hardware(config)

    def top_module(self, config: Config) -> str:
        """Name of the top module of this configuration's Verilog."""
        return self.top

    @abstractmethod
    def register_map(self, config: Config) -> Any:
        """The register table that generates hardware, C header and docs, as the driver reads it."""

    def register_map_for(self, config: Config, program: Program) -> Any:
        """The register table of the machine for this program; see `hardware_for`."""
        return self.register_map(config)

    def pins(self, config: Config) -> Pins | None:
        """The ports of the top module that are no bus; None of a machine that is no hardware."""
        return None

    def core(self, config: Config) -> str | None:
        """Verilog of the compute array on its own, for users who want just that; None when there is no such part."""
        return None

    # Figures for the report: no hidden resources.

    def digest(self, config: Config) -> int:
        """32-bit hash of the configuration that the machine's register and its programs carry."""
        return config.digest()

    def data_width(self, config: Config) -> int:
        """Data bits of the AXI4 master."""
        return config.bus_bits

    @abstractmethod
    def multipliers(self, config: Config) -> int:
        """Multipliers of the MAC array."""

    @abstractmethod
    def multipliers_outside_array(self, config: Config) -> int:
        """Multipliers of post unit, address generators and everything else."""

    @abstractmethod
    def memory_bytes(self, config: Config) -> int:
        """On-chip memory in all: scratchpads, queues, tables."""

    def engines(self, config: Config) -> tuple[tuple[str, str], ...]:
        """The parts of the datapath: name and description."""
        outside = self.multipliers_outside_array(config)
        return (("array", f"{self.multipliers(config)} multipliers"), ("others", f"{outside} multipliers"))

    def schedule(self, program: Program) -> tuple[int, ...] | None:
        """Cycles of each layer by the model, whatever the data; None where there is no such model."""
        return None

    def multiplier_bits(self, config: Config) -> int:
        """Width that the importer may use for the multipliers that stand for real scales."""
        return config.multiplier_width or 17

    # What follows is the same for every machine.

    def parameters(self) -> tuple[Parameter, ...]:
        """Names, types, defaults and docstrings of the configuration's fields."""
        types, texts = get_type_hints(self.config_type), _field_docstrings(self.config_type)
        defaults = self.config_values(self.config_type())
        return tuple(Parameter(name, types[name], default, texts.get(name, "")) for name, default in defaults.items())

    def parse_config(self, values: Mapping[str, object]) -> Config:
        """A configuration from values of a TOML file or of `key=value` texts; what is not named has its default.

        Raises
        ------
        ConfigError
            If a key is unknown or a value is not of its type; the message names the key and what would be right.
        """
        known = {parameter.name: parameter for parameter in self.parameters()}
        for key in values:
            if key not in known:
                raise ConfigError(f"{self.name} has no parameter {key!r}; it has {', '.join(known)}")
        return self.config_type(**{key: _convert(known[key], value) for key, value in values.items()})

    def fitted(self, graph: Graph, config: Config, given: Collection[str]) -> Config:
        """The configuration for this network, with parameters chosen that were not `given`; as it is where none are."""
        return config

    def config_of(self, program: Program) -> Config:
        """The configuration a program was lowered for."""
        return self.parse_config(program.config)

    def config_values(self, config: Config) -> dict[str, int | bool | str]:
        """The configuration as plain values, as programs and reports carry it."""
        return asdict(config)  # type: ignore[call-overload]

    def refused(self, graph: Graph, config: Config) -> list[tuple[Node, str]]:
        """The nodes that the machine cannot run, each with the reason."""
        reasons = [(node, self.supports.reason(node, graph, config)) for node in graph.nodes]
        return [(node, reason) for node, reason in reasons if reason is not None]

    def check(self, graph: Graph, config: Config) -> None:
        """Raise one `GraphError` that lists every node the machine cannot run, with its reason."""
        refused = [
            f"  {node.name} ({node.op.name}, {node.type}): {reason}" for node, reason in self.refused(graph, config)
        ]
        if refused:
            count = f"{len(refused)} operator{'s' if len(refused) > 1 else ''}"
            raise GraphError("\n".join([f"{self.name} cannot run {count} of {graph.name!r}:", *refused]))


def _field_docstrings(record: type) -> dict[str, str]:
    """The text that stands below each field of a class."""
    inherited = [_field_docstrings(base) for base in reversed(record.__bases__) if is_dataclass(base)]
    definition = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0]
    assert isinstance(definition, ast.ClassDef)
    return {
        **{name: text for texts in inherited for name, text in texts.items()},
        **{
            field.target.id: " ".join(below.value.value.split())
            for field, below in pairwise(definition.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        },
    }


def _convert(parameter: Parameter, value: object) -> int | bool | str:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    wanted = {int: "a whole number", bool: "true or false", str: "text"}[parameter.type]
    if parameter.type is bool and isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    if parameter.type is int and isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            pass
    if type(value) is parameter.type:
        return value  # type: ignore[return-value]
    raise ConfigError(f"{parameter.name} must be {wanted}, not {value!r}")
