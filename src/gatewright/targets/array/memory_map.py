"""Regions of a program, and the place of each value that lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import REGION_SPACE
from gatewright.ir import Graph, TensorType
from gatewright.program import Region, RegionKind
from gatewright.targets.array.job import element_bytes
from gatewright.targets.array.placement import Span

__all__ = ["MemoryMap", "Place", "Rows"]

LINE = 64
"""Alignment of tensors in memory, bytes."""


@dataclass(frozen=True)
class Rows:
    """A value whose rows of so many `bytes` lie `pitch` bytes apart."""

    bytes: int
    pitch: int

    @classmethod
    def of(cls, type: TensorType, alignment: int) -> Rows | None:
        """Those of a tensor whose rows are padded to `alignment` bytes; None if that leaves no gaps."""
        row = (type.shape[-1] if type.shape else 1) * element_bytes(type.dtype)
        pitch = -(-row // alignment) * alignment
        return cls(row, pitch) if pitch != row else None


@dataclass(frozen=True)
class Place:
    """Bytes of a value in memory: those from byte `start` on, of a value at an offset of a region.

    Without `rows` the value is dense there; `start` counts dense bytes in every case.
    """

    region: int
    offset: int
    rows: Rows | None = None
    start: int = 0

    def after(self, size: int) -> Place:
        """The bytes `size` further on."""
        return replace(self, start=self.start + size)


class MemoryMap:
    """Where values lie, and the regions they make up.

    `rows` are those of inputs and outputs, as the host has them, by value; others are dense.

    A machine that fetches its program has five regions: program, constants, inputs, outputs, scratch. One that holds it
    (`rom`) has NNgen's: temporaries (scratch), each output, each input, constants; the code, which is in no memory, is
    the last.

    Raises
    ------
    ConfigError
        If there are more inputs and outputs than instructions can name regions.
    """

    def __init__(
        self,
        graph: Graph,
        outputs: frozenset[str],
        scratch: Mapping[str, Span],
        size_of: Callable[[str], int],
        rows: Mapping[str, Rows | None] | None = None,
        *,
        rom: bool = False,
    ) -> None:
        self.rom = rom
        self._rows = rows or {}
        self.places: dict[str, Place] = {}
        self._sizes: list[tuple[str, RegionKind, int]] = []
        given = [value.name for value in graph.inputs]
        computed = [node.name for node in graph.nodes if node.name in outputs]
        sizes = {name: self._size(name, size_of(name)) for name in (*given, *computed)}
        if rom:
            self.scratch = self._add("scratch", "scratch")
            self._each("output", computed, sizes)
            self._each("input", given, sizes)
            self.constants = self._add("constants", "constants")
            self._check()
        else:
            self._add("program", "program")
            self.constants = self._add("constants", "constants")
            self._together("input", given, sizes)
            self._together("output", computed, sizes)
            self.scratch = self._add("scratch", "scratch")
        self.places |= {name: Place(self.scratch, span.start) for name, span in scratch.items() if name not in sizes}

    def regions(self, code: bytes, constants: bytes, scratch_bytes: int) -> tuple[Region, ...]:
        """All regions with their contents."""
        data: Mapping[RegionKind, bytes] = {"program": code, "constants": constants}
        room = {"program": len(code), "constants": len(constants), "scratch": scratch_bytes}
        sizes = [(name, kind, max(size, room.get(kind, 0), LINE)) for name, kind, size in self._sizes]
        regions = [Region(name, kind, size, data.get(kind, b"")) for name, kind, size in sizes if kind != "program"]
        if self.rom:
            return (*regions, Region("program", "rom", len(code), code))
        return (Region("program", "program", len(code), code), *regions)

    def _size(self, name: str, dense: int) -> int:
        """Bytes in memory, whole lines."""
        rows = self._rows.get(name)
        size = dense // rows.bytes * rows.pitch if rows else dense
        return -(-size // LINE) * LINE

    def _add(self, name: str, kind: RegionKind, size: int = 0) -> int:
        self._sizes.append((name, kind, size))
        return len(self._sizes) - 1

    def _each(self, kind: RegionKind, names: list[str], sizes: Mapping[str, int]) -> None:
        for name in names:
            self.places[name] = Place(self._add(f"{kind} {name}", kind, sizes[name]), 0, self._rows.get(name))

    def _together(self, kind: RegionKind, names: list[str], sizes: Mapping[str, int]) -> None:
        region, size = len(self._sizes), 0
        for name in names:
            self.places[name] = Place(region, size, self._rows.get(name))
            size += sizes[name]
        self._add(kind, kind, size)

    def _check(self) -> None:
        if len(self._sizes) > REGION_SPACE:
            most, have = REGION_SPACE - 2, len(self._sizes) - 2
            raise ConfigError(f"inputs and outputs must be at most {most} for a machine with its program, not {have}")
