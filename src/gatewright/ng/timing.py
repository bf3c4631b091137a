"""How the memory of a simulation behaves, in NNgen's words or the project's."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from gatewright.errors import ConfigError
from gatewright.sim import MemoryOptions

__all__ = ["NNGEN", "memory_options"]

NNGEN = "nngen"
"""The memory of NNgen's test benches: the default of `Simulation` and `simulate`."""

_DELAYS = {"read_delay": ("read_latency", 3), "write_delay": ("write_wait", 2)}
"""What NNgen's delays are here, and the cycles that its model takes besides."""
_SLEEPS = ("sleep_interval", "keep_sleep")


def memory_options(timing: str | MemoryOptions = NNGEN, **changes: int | float | bool) -> MemoryOptions:
    """A memory by name (`nngen`, `ideal`, `default`, `stalls`), with changes.

    Changes are those of NNgen's memory model (`read_delay`, `write_delay`, `sleep_interval`: its counter lets one cycle
    less of data pass, `keep_sleep`: then it rests for so many; an interval of 0 is no rest), or fields of
    `gatewright.sim.MemoryOptions`.

    Raises
    ------
    ConfigError
        If an option is unknown or out of range.
    """
    options = MemoryOptions.named(timing) if isinstance(timing, str) else timing
    own = {field.name for field in fields(MemoryOptions)}
    legal = [*_DELAYS, *_SLEEPS, *sorted(own)]
    if unknown := [name for name in changes if name not in legal]:
        raise ConfigError(f"memory options must be among {', '.join(legal)}, not {', '.join(unknown)}")
    _expect_whole({name: changes[name] for name in _DELAYS if name in changes})
    values: dict[str, Any] = {name: value for name, value in changes.items() if name in own}
    values |= {_DELAYS[name][0]: value + _DELAYS[name][1] for name, value in changes.items() if name in _DELAYS}
    interval = changes.get("sleep_interval", options.run_cycles + 1 if options.pause_cycles else 0)
    rest = changes.get("keep_sleep", options.pause_cycles)
    if set(_SLEEPS) & set(changes):
        _expect_whole({"sleep_interval": interval, "keep_sleep": rest})
        pauses = interval > 1 and rest > 0
        values |= {"run_cycles": interval - 1 if pauses else 0, "pause_cycles": rest if pauses else 0}
    return replace(options, **values)


def _expect_whole(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or value < 0:
            raise ConfigError(f"{name} must be a whole number of at least 0, not {value!r}")
