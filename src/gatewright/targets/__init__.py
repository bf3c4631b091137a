"""The machines. Each is a folder here and one line in `MACHINES`; nothing is imported before it is asked for."""

from importlib import import_module
from typing import Any

from gatewright.errors import ConfigError
from gatewright.targets.target import Parameter, Predicate, Rule, Support, Target, accept

__all__ = ["MACHINES", "Parameter", "Predicate", "Rule", "Support", "Target", "accept", "get_target", "targets"]

# Name of each machine, and where its Target is: module:class.
MACHINES: dict[str, str] = {
    "systolic": "gatewright.targets.systolic:SystolicTarget",
    "generated": "gatewright.targets.generated:GeneratedTarget",
    "bitfusion": "gatewright.targets.bitfusion:BitfusionTarget",
}


def get_target(name: str) -> Target[Any]:
    """The machine of this name; raises `ConfigError` listing all names when there is none."""
    if name not in MACHINES:
        raise ConfigError(f"target must be one of {', '.join(MACHINES)}, not {name!r}")
    module, _, kind = MACHINES[name].partition(":")
    machine: Target[Any] = getattr(import_module(module), kind)()
    return machine


def targets() -> tuple[Target[Any], ...]:
    """All machines, in the order of `MACHINES`."""
    return tuple(get_target(name) for name in MACHINES)
