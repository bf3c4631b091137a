"""Ports of scratchpads that the post unit takes from the DMA while the results of a COMPUTE leave the array."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction

from gatewright.hdl.instruction import Memory
from gatewright.hdl.requantise import Requantiser
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.hdl.shell_model import Taken
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.timing import SUM_LATENCY, drain_delay, post_latency

__all__ = ["Results", "post_ports"]


@dataclass(frozen=True)
class Results:
    """Tiles of `rows` pixels that end in `first`, `first` + `distance`, .. `last`, which is one of `last_rows`."""

    first: int
    last: int
    distance: int
    rows: int
    last_rows: int

    def steps(self, config: ArrayConfig) -> tuple[int, int]:
        """Cycles [start, stop) in which the drain takes them."""
        delay = drain_delay(config)
        return self.first + delay, self.last + delay + self.last_rows * config.lane_groups


def post_ports(
    config: ArrayConfig, results: Results, written: Collection[Memory], pool_count: int, *, residual: bool
) -> Iterator[Taken]:
    """What is taken for results that go to the memories `written`, the maximum of `pool_count` pixels each.

    In a share of the cycles; that these come in runs, a tile's after the other's, is left out.
    """
    start, stop = results.steps(config)
    every = Fraction(results.distance, results.rows * config.lane_groups)
    if residual:
        request = SUM_LATENCY + 1 + Requantiser.LATENCY - READ_LATENCY
        yield Taken(Memory.OUTPUT, False, start + request, stop + request, every)
    for memory in written:
        latency = post_latency(config)
        yield Taken(memory, True, start + latency, stop + latency, every * pool_count)
