"""The synthesis log: what was built, in which order its layers run, and where a driver finds registers and tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gatewright.build import Build
from gatewright.hdl.csr_map import Register
from gatewright.hdl.outline import MemoryOutline, Outline
from gatewright.program import Binding, Program

__all__ = ["Engine", "MemoryRow", "Stage", "SynthesisLog", "synthesis_log"]


@dataclass(frozen=True)
class Stage:
    """One layer in the order of execution; `cycles` by the model of the machine, None if it has none."""

    layer: str
    operator: str
    engine: str
    macs: int
    cycles: int | None


@dataclass(frozen=True)
class Engine:
    """A part of the datapath."""

    name: str
    description: str


@dataclass(frozen=True)
class MemoryRow:
    """A stretch of the memory that host and machine share: bytes `first`..`last`, counted from `base`.

    Tensors have a type, a shape and the shape with padded rows; `alignment` is what their rows are padded to, in
    elements.
    """

    first: int
    last: int
    base: str
    kind: str
    name: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    alignment: int | None = None
    aligned_shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class SynthesisLog:
    """What the user of a machine needs to know of it, and what a driver is written from."""

    name: str
    target: str
    configuration: Mapping[str, Any]
    stages: tuple[Stage, ...]
    memories: tuple[MemoryOutline, ...]
    engines: tuple[Engine, ...]
    control: Mapping[str, int]
    registers: tuple[Register, ...]
    memory_map: tuple[MemoryRow, ...]

    def __str__(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def save(self, path: Path | str) -> None:
        Path(path).write_text(str(self))

    def _lines(self) -> Iterator[str]:
        yield f"{self.name} on the machine {self.target!r}"
        yield from _section("Configuration", ("key", "value"), self.configuration.items())
        yield from self._schedule()
        yield from _section(
            "Memories",
            ("instance", "words", "bits", "bits in all"),
            [*((m.path, m.depth, m.width, m.bits) for m in self.memories), ("total", "", "", self.memory_bits)],
        )
        yield from _section("Engines", ("engine", "what it is"), ((e.name, e.description) for e in self.engines))
        yield from _section("Control", ("what", "count"), self.control.items())
        yield from _section(
            "Register map",
            ("byte address", "access", "name", "meaning"),
            (
                (_place(register), register.access.value, register.name, _meaning(register))
                for register in self.registers
            ),
        )
        yield from _section(
            "Memory map",
            ("bytes", "from", "what", "name", "type", "shape", "rows padded to", "aligned shape"),
            map(_memory_row, self.memory_map),
        )

    def _schedule(self) -> Iterator[str]:
        rows = [
            (n, s.layer, s.operator, s.engine, s.macs, "-" if s.cycles is None else s.cycles)
            for n, s in enumerate(self.stages)
        ]
        known = [stage.cycles for stage in self.stages if stage.cycles is not None]
        total = ("", "total", "", "", sum(s.macs for s in self.stages), sum(known) if known else "-")
        yield from _section(
            "Schedule", ("stage", "layer", "operator", "engine", "MACs", "cycles (model)"), [*rows, total]
        )

    @property
    def memory_bits(self) -> int:
        """Bits of all memories."""
        return sum(memory.bits for memory in self.memories)


def synthesis_log(build: Build, memory_map: Iterable[MemoryRow] | None = None) -> SynthesisLog:
    """The log of a build; its memory map is that of the program's regions unless another one is given."""
    machine, program = build.target, build.program
    cycles = machine.schedule(program) or (None,) * len(program.layers)
    stages = [
        Stage(layer.name, layer.op, _engine(build, layer.op), layer.macs, count)
        for layer, count in zip(program.layers, cycles, strict=True)
    ]
    return SynthesisLog(
        program.name,
        program.target,
        {name: value for name, value in program.config.items() if value != ""},
        tuple(stages),
        Outline(build.verilog).memories(machine.top_module(build.config)),
        tuple(Engine(name, text) for name, text in machine.engines(build.config)),
        {
            "instructions": program.instruction_count,
            "program, bytes": len(program.code),
            "layers": len(program.layers),
        },
        tuple(machine.register_map_for(build.config, program)),
        tuple(memory_map if memory_map is not None else _regions(program)),
    )


def _engine(build: Build, operator: str) -> str:
    rule = build.target.supports.rule(operator)
    return rule.runs.partition(";")[0] if rule else ""


def _regions(program: Program) -> Iterator[MemoryRow]:
    """Each region, and the tensors in it by their offsets."""
    for index, region in enumerate(program.memory_regions):
        if region.size:
            yield MemoryRow(0, region.size - 1, f"region {index}", region.kind, region.name)
            for kind, bindings in (("input", program.inputs), ("output", program.outputs)):
                yield from (_tensor(f"region {index}", kind, b) for b in bindings if b.region == index)


def _tensor(base: str, kind: str, binding: Binding) -> MemoryRow:
    first, last = binding.offset, binding.offset + binding.size - 1
    row = MemoryRow(first, last, base, f"  {kind}", binding.title, str(binding.type.dtype), binding.type.shape)
    if not binding.row_bytes or binding.row_bytes != binding.type.shape[-1] * binding.type.dtype.storage.itemsize:
        return row
    words = binding.row_pitch // binding.type.dtype.storage.itemsize
    return replace(row, alignment=words, aligned_shape=(*binding.type.shape[:-1], words))


def _memory_row(row: MemoryRow) -> tuple[str, ...]:
    shape, aligned = (str(list(each)) if each else "" for each in (row.shape, row.aligned_shape))
    padded = f"{row.alignment} elements" if row.alignment else ""
    return f"{row.first}-{row.last}", row.base, row.kind, row.name, row.dtype, shape, padded, aligned


def _place(register: Register) -> str:
    if register.count == 1:
        return str(register.offset)
    return f"{register.offset}-{register.offset + (register.count - 1) * register.stride} by {register.stride}"


def _meaning(register: Register) -> str:
    fields = "; ".join(
        f"{field.name} {_bits(field.low, field.width)}: {field.description}" for field in register.fields
    )
    return f"{register.description} {fields}".rstrip()


def _bits(low: int, width: int) -> str:
    return f"bit {low}" if width == 1 else f"bits {low + width - 1}..{low}"


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A title and a table: numbers to the right, the last column as long as it is."""
    rows = [tuple(row) for row in rows]
    texts = [[f"{cell:,}" if type(cell) is int else str(cell) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(header, *texts, strict=True)]
    yield ""
    yield title
    yield "  ".join(text.ljust(width) for text, width in zip(header, widths, strict=True)).rstrip()
    for row, cells in zip(rows, texts, strict=True):
        columns = zip(row, cells, widths, strict=True)
        padded = (text.rjust(width) if type(cell) is int else text.ljust(width) for cell, text, width in columns)
        yield "  ".join(padded).rstrip()
