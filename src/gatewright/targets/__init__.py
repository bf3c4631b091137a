"""The machines. Each is a folder here and one line in `MODULES`; nothing is imported before it is asked for."""

from importlib import import_module

from gatewright.errors import ConfigError
from gatewright.targets.target import Parameter, Predicate, Rule, Support, Target, accept

__all__ = ["MODULES", "Parameter", "Predicate", "Rule", "Support", "Target", "accept", "get_target", "targets"]

# Name of the machine, and the module whose `TARGET` is its Target.
MODULES: dict[str, str] = {
    "systolic": "gatewright.targets.systolic",
}


def get_target(name: str) -> Target:
    """The machine of this name; raises `ConfigError` listing all names when there is none."""
    if name not in MODULES:
        raise ConfigError(f"target must be one of {', '.join(MODULES)}, not {name!r}")
    return import_module(MODULES[name]).TARGET  # type: ignore[no-any-return]


def targets() -> tuple[Target, ...]:
    """All machines, in the order of `MODULES`."""
    return tuple(get_target(name) for name in MODULES)
