"""Scratchpads of the machine: the split of the budget that is fastest for the network, then as little as costs no time.

The cycle model judges, behind a memory that rests as DRAM does, so that no scratchpad becomes so small that the bus
must be perfect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import INSTRUCTION_BYTES
from gatewright.hdl.shell_model import MemoryTiming
from gatewright.ir import Graph
from gatewright.targets.array.cycles import count_steps
from gatewright.targets.array.lower import sketch
from gatewright.targets.generated.config import GeneratedConfig

__all__ = ["SCRATCHPADS", "choose_scratchpads"]

SCRATCHPADS = ("activation_bytes", "output_bytes", "weight_bytes", "parameter_bytes")

_LEAST, _MOST = 1 << 10, 1 << 19
_PARAMETER_SHARE = 5  # budget / 2^share, before it shrinks
_TOLERANCE = 1.005  # cycles that a smaller scratchpad may cost
_SHORT = 2_000  # instructions: a program that is no longer is counted, however short another one is
_LONG = 4_000  # instructions: of a program that is longer, all scratchpads stay as large as the budget allows
_MEMORY = MemoryTiming(run_cycles=15, pause_cycles=4)


class _Judge:
    """Cycles and bytes of the machine with some scratchpads, its program included."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.fewest: int | None = None  # instructions of any program so far

    def __call__(self, config: GeneratedConfig) -> tuple[int, int]:
        """Raises `ConfigError` where a scratchpad is too small for the network, or for a short program."""
        most = None if self.fewest is None else max(_SHORT, self.fewest * 5 // 4)
        array = config.array()
        steps, layers = sketch(self.graph, array, rom=True, most=most)
        self.fewest = min(self.fewest or len(steps), len(steps))
        return count_steps(steps, layers, array, _MEMORY, rom=True).cycles, _size(len(steps), config)


def choose_scratchpads(graph: Graph, wish: GeneratedConfig) -> GeneratedConfig:
    """Every scratchpad that the wish leaves open.

    Raises
    ------
    ConfigError
        If the budget is too small for the network; the message says which scratchpad needs how much.
    """
    judge = _Judge(graph)
    best, cycles, size = _fastest(judge, wish)
    if (judge.fewest or 0) > _LONG:
        return best
    for name in SCRATCHPADS:
        while not getattr(wish, name) and getattr(best, name) > _LEAST:
            smaller = replace(best, **{name: getattr(best, name) // 2})
            try:
                found = judge(smaller)
            except ConfigError:
                break
            if found[1] >= size or found[0] > cycles * _TOLERANCE:
                break
            best, size = smaller, found[1]
    return best


def _fastest(judge: _Judge, wish: GeneratedConfig) -> tuple[GeneratedConfig, int, int]:
    """The best split of the budget, its cycles and its size."""
    found, refused = [], None
    for place, config in enumerate(_splits(wish)):
        try:
            cycles, size = judge(config)
        except ConfigError as error:
            refused = refused or error
        else:
            found.append((cycles, size, place, config))
    if not found:
        raise refused or ConfigError(f"memory_bytes must be at least {4 * _LEAST}, not {wish.memory_bytes}")
    cycles, size, _, config = min(found)
    return config, cycles, size


def _splits(wish: GeneratedConfig) -> Iterator[GeneratedConfig]:
    """Powers of two within the budget of which none can grow by itself; what the user gave stays."""
    parameters = wish.parameter_bytes or _power_of_two(max(_LEAST, wish.memory_bytes >> _PARAMETER_SHARE))
    room = max(wish.memory_bytes - parameters, 3 * _LEAST)
    sizes = [1 << bit for bit in range(_LEAST.bit_length() - 1, _MOST.bit_length()) if 1 << bit <= room]
    given = [[getattr(wish, name)] if getattr(wish, name) else sizes for name in SCRATCHPADS[:3]]
    fitting = {split for split in product(*given) if sum(split) <= room} or {next(product(*given))}
    least = parameters + min(map(sum, fitting))
    if not all(getattr(wish, name) for name in SCRATCHPADS) and least > wish.memory_bytes:
        raise ConfigError(f"memory_bytes must be at least {least}, not {wish.memory_bytes}")
    for split in sorted(fitting, key=lambda split: (max(split), split)):
        grown = (tuple(2 * size if at == place else size for at, size in enumerate(split)) for place in range(3))
        if not any(other in fitting for other in grown):
            activation, output, weight = split
            yield replace(
                wish,
                activation_bytes=activation,
                output_bytes=output,
                weight_bytes=weight,
                parameter_bytes=parameters,
            )


def _power_of_two(size: int) -> int:
    """The greatest that is at most so much."""
    return 1 << (size.bit_length() - 1)


def _size(instructions: int, config: GeneratedConfig) -> int:
    """Bytes of scratchpads and ROM."""
    return instructions * INSTRUCTION_BYTES + sum(getattr(config, name) for name in SCRATCHPADS)
