"""Where the products of windows go: into columns, several units for each window, or into units of their own.

Both ways of working through the windows of a convolution are compared by the same three figures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil

from gatewright.errors import ConfigError
from gatewright.ir.packing import group_of, packed_bytes
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.operands import BRICKS, bricks_per_product, products_per_unit
from gatewright.targets.bitfusion.slots import slots_of

__all__ = ["FusedMapping", "Mapping", "SeedMapping", "Usage", "mapping_of"]


@dataclass(frozen=True)
class Usage:
    """Cycles, and bricks and units in use summed over them, of those there are."""

    cycles: int
    bricks: int
    all_bricks: int
    units: int
    all_units: int

    def lines(self) -> list[str]:
        """As the scheduler prints it."""
        return [
            f"cycles used:{self.cycles}",
            f"total bitBricks used across all cycles:{_share(self.bricks, self.all_bricks)}",
            f"total fusionUnits used across all cycles:{_share(self.units, self.all_units)}",
        ]


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} = {round(100 * part / whole, 2)}%"


@dataclass(frozen=True)
class Mapping(ABC):
    """An array, a pair of operand widths, and the channels of the image."""

    rows: int
    columns: int
    input_width: int
    weight_width: int
    channels: int

    @abstractmethod
    def parts(self, runs: int, run: int) -> tuple[int, int]:
        """How many parts a window of `runs` x `run` products is computed in, and the most products of a part."""

    @abstractmethod
    def cycles(self, part: int) -> int:
        """Cycles that a part of `part` products takes where it is computed."""

    @abstractmethod
    def units(self, products: int) -> int:
        """Units in use, summed over the cycles of a part with this many products."""

    @abstractmethod
    def array_cycles(self, windows: tuple[int, int], steps: int) -> int:
        """Cycles of the array for (pixels of all images, kernels) windows of `steps` each."""

    def usage(self, windows: tuple[int, int], counts: tuple[int, int, int]) -> Usage:
        """From (steps of a window, products and unit-cycles of all windows)."""
        steps, products, units = counts
        cycles, size = self.array_cycles(windows, steps), self.rows * self.columns
        bricks = products * bricks_per_product(self.input_width, self.weight_width)
        return Usage(cycles, bricks, cycles * size * BRICKS, units, cycles * size)


# Products that one unit takes in a cycle; 6 x 6 is one, with a fourth one in what three units leave over.
_SEED_PRODUCTS = {(6, 6): 1, (6, 8): 1, (8, 6): 1, (8, 8): 1} | dict.fromkeys(
    ((8, 4), (4, 8), (8, 2), (2, 8), (6, 4), (4, 6)), 2
)
_SEED_MOST = 4


@dataclass(frozen=True)
class SeedMapping(Mapping):
    """A window takes a column for a cycle; what does not fit goes on in the next column, or the next cycle."""

    @property
    def _each(self) -> int:
        return _SEED_PRODUCTS.get((self.input_width, self.weight_width), _SEED_MOST)

    @property
    def _shares(self) -> bool:
        return (self.input_width, self.weight_width) == (6, 6)

    @property
    def capacity(self) -> int:
        """Products of a column in a cycle."""
        if self._shares:
            return 4 * (self.rows // 3) + self.rows % 3
        return self.rows * self._each

    def parts(self, runs: int, run: int) -> tuple[int, int]:
        return -(-runs * run // self.capacity), min(self.capacity, runs * run)

    def cycles(self, part: int) -> int:
        return 1

    def units(self, products: int) -> int:
        if not self._shares:
            return -(-products // self._each)
        shared = min(products, 4 * (self.rows // 3))
        return 3 * (shared // 4) + shared % 4 + products - shared

    def array_cycles(self, windows: tuple[int, int], steps: int) -> int:
        return -(-windows[0] * windows[1] * steps // self.columns)


@dataclass(frozen=True)
class FusedMapping(Mapping):
    """The machine's way: a window has a unit of its own, pixels in rows and kernels in columns, until its sum is done.

    A row of the kernel is a run of operands, in slots as the machine's feed has them; inputs whose channels do not fill
    whole bytes are kept at 8 bits.
    """

    @property
    def _config(self) -> FusionConfig:
        lanes = min(8, 1 << (self.columns - 1).bit_length())
        return FusionConfig(rows=self.rows, columns=self.columns, post_lanes=lanes)

    @property
    def _kept(self) -> int:
        return self.input_width if self.channels % group_of(self.input_width)[0] == 0 else 8

    def parts(self, runs: int, run: int) -> tuple[int, int]:
        return runs, run

    def cycles(self, part: int) -> int:
        slots = slots_of(packed_bytes(part, self._kept), self._kept, self.weight_width, self._config)
        return slots.words * slots.steps

    def units(self, products: int) -> int:
        return ceil(products / products_per_unit(self._kept, self.weight_width))

    def array_cycles(self, windows: tuple[int, int], steps: int) -> int:
        """Tiles follow each other without a gap, unless results of one would meet those of the next."""
        pixels, kernels = windows
        tiles = -(-pixels // self.rows) * -(-kernels // self.columns)
        return steps + (tiles - 1) * max(steps, drain_cycles(self._config.array()))


_KINDS: dict[str, type[Mapping]] = {"seed": SeedMapping, "fused": FusedMapping}


def mapping_of(name: str, array: tuple[int, int], widths: tuple[int, int], channels: int) -> Mapping:
    """The mapping of this name; raises `ConfigError` when there is none."""
    if name not in _KINDS:
        raise ConfigError(f"mapping must be {' or '.join(_KINDS)}, not {name!r}")
    return _KINDS[name](*array, *widths, channels)
