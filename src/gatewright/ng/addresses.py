"""Where tensors lie in memory: the address map of an accelerator, as its program and its register map have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gatewright.build import Build
from gatewright.ng import memory
from gatewright.ng.draft import as_integers
from gatewright.ng.dtypes import int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.evaluation import Network
from gatewright.ng.moves import reshape
from gatewright.ng.records import Numeric, Operator, View, closure
from gatewright.ng.storage import Storage, placeholder
from gatewright.program import Binding
from gatewright.report import MemoryRow

__all__ = ["AddressMap", "Placement", "Slot", "Stretch", "map_addresses", "source", "to_storage_dict"]

Kind = Literal["output", "placeholder"]


@dataclass(frozen=True)
class Placement:
    """What a record knows of memory: the width of the bus, and its address in two parts if it has one.

    `global_addr` stands in base register `global_index`, `local_addr` is the offset from there.
    """

    maxi_datawidth: int
    global_addr: int | None = None
    local_addr: int | None = None
    global_index: int | None = None

    @property
    def addr(self) -> int:
        return (self.global_addr or 0) + (self.local_addr or 0)


@dataclass(frozen=True)
class Slot:
    """A tensor's place: `size` bytes, whole chunks; `binding` says how its elements lie in them."""

    record: Numeric
    kind: Kind
    placement: Placement
    size: int
    binding: Binding

    def pack(self, value: Any) -> np.ndarray:
        """The bytes of these integers, which must be of the record's type and size."""
        assert self.binding.port is not None
        integers = as_integers(value, self.record, self.record.dtype or int32)
        shaped = integers.reshape(self.binding.port.concrete_shape)
        return np.frombuffer(self.binding.pack(self.binding.port.encode(shaped)), np.uint8)

    def unpack(self, data: np.ndarray) -> np.ndarray:
        """The integers in these bytes, as int64."""
        assert self.binding.port is not None
        port = replace(self.binding.port, tail=(), scale=None, model_dtype="int64", model_zero_point=0)
        return port.decode(self.binding.unpack(data[: self.binding.size]))

    @property
    def alignment(self) -> int:
        """Elements that rows are aligned to."""
        return memory.word_alignment(self.record, self.placement.maxi_datawidth)

    @property
    def aligned_shape(self) -> tuple[int, ...]:
        return memory.aligned_shape(self.record, self.placement.maxi_datawidth)

    def row(self, base: str) -> MemoryRow:
        """The line of the synthesis log; `base` names the register."""
        record, first = self.record, self.placement.addr
        name, dtype = record.name or "unnamed", (record.dtype or int32).to_str()
        port = self.binding.port
        if port is not None and port.zero_point != port.model_zero_point and not self.binding.unsigned:
            dtype = f"{dtype} {port.zero_point - port.model_zero_point:+d}"
        return MemoryRow(
            first, first + self.size - 1, base, self.kind, name, dtype, record.shape, self.alignment, self.aligned_shape
        )

    def __str__(self) -> str:
        record, place = self.record, self.placement
        words = f"{self.alignment} words ({self.alignment * memory.ram_width(record.dtype) // 8 or 1} bytes)"
        dtype = (record.dtype or int32).to_str()
        return (
            f"[{place.addr}-{place.addr + self.size - 1}] {self.kind} {record.title} (size: {self.size}, dtype: {dtype}"
            f", shape: {record.shape}, alignment: {words}, aligned shape: {self.aligned_shape})"
        )


@dataclass(frozen=True)
class Stretch:
    """A part of memory that is no single tensor: all variables and constants in the machine's form, or temporaries."""

    what: Literal["variables and constants", "temporaries"]
    address: int
    size: int
    index: int

    def row(self, base: str) -> MemoryRow:
        return MemoryRow(self.address, self.address + self.size - 1, base, self.what, "")

    def __str__(self) -> str:
        return f"[{self.address}-{self.address + self.size - 1}] {self.what} (size: {self.size})"


@dataclass(frozen=True)
class AddressMap:
    """Outputs from address 0, then placeholders, then variables and constants in one stretch, then temporaries.

    Within each group in the order of creation. Each output and placeholder has a base register, all variables and
    constants together have one. `base_registers` are the registers' addresses by index, 0 being that of temporaries.
    """

    slots: tuple[Slot, ...]
    parameters: Stretch
    temporaries: Stretch
    records: tuple[Numeric, ...]
    maxi_datawidth: int
    base_registers: tuple[int, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.slots, self.parameters, self.temporaries))) + "\n"

    @property
    def size(self) -> int:
        """Bytes from address 0 on that the accelerator may read or write."""
        stretches = (self.parameters, self.temporaries)
        ends = [slot.placement.addr + slot.size for slot in self.slots]
        return max([*ends, *(stretch.address + stretch.size for stretch in stretches)])

    def rows(self) -> tuple[MemoryRow, ...]:
        """The memory map of the synthesis log."""
        slots = [slot.row(self._register(slot.placement.global_index or 0)) for slot in self.slots]
        return (*slots, *(each.row(self._register(each.index)) for each in (self.parameters, self.temporaries)))

    def _register(self, index: int) -> str:
        return f"register {self.base_registers[index]}"

    def slot(self, record: Numeric) -> Slot:
        """The place of an output or placeholder."""
        record = source(record, self.maxi_datawidth)
        found = [slot for slot in self.slots if slot.record is record]
        if not found:
            raise ArgumentError(f"{record.title} has no place of its own: it must be an output or placeholder")
        return found[0]

    def registers(self) -> Mapping[int, int]:
        """The base registers: byte address and initial value."""
        bases = {stretch.index: stretch.address for stretch in (self.temporaries, self.parameters)}
        bases |= {slot.placement.global_index or 0: slot.placement.addr for slot in self.slots}
        return {self.base_registers[index]: base for index, base in sorted(bases.items())}

    def assign(self) -> None:
        """Let the records know: from now on they have addresses and aligned shapes.

        Variables and constants have the address of their stretch: where each lies in it is the machine's affair.
        """
        together = Placement(self.maxi_datawidth, self.parameters.address, 0, self.parameters.index)
        placements = {id(slot.record): slot.placement for slot in self.slots}
        for record in self.records:
            root = source(record, self.maxi_datawidth)
            other = together if is_parameter(root) else Placement(self.maxi_datawidth)
            record.placement = placements.get(id(root), other)
        for slot in self.slots:
            slot.record.is_output = slot.kind == "output"


def map_addresses(outputs: Sequence[Numeric], network: Network, build: Build) -> AddressMap:
    """The address map of a compiled network: where its program has its regions as long as no register is written."""
    program, config = build.program, build.config
    bases, _ = config.default_placement(program)
    chunk, width = config.offchipram_chunk_bytes, config.bus_bits
    regions = program.memory_regions
    sizes = [-(-region.size // chunk) * chunk for region in regions]
    slots: dict[int, Slot] = {}
    for record, kind, binding in _tensors(outputs, network, build):
        place = Placement(width, bases[binding.region], binding.offset, binding.region)
        root = source(record, width)
        slots.setdefault(id(root), Slot(root, kind, place, sizes[binding.region], binding))
    kinds = {region.kind: index for index, region in enumerate(regions)}
    parameters, temporaries = kinds["constants"], kinds["scratch"]
    registers = build.target.register_map_for(config, program)["BASE"]
    return AddressMap(
        tuple(sorted(slots.values(), key=lambda slot: slot.placement.addr)),
        Stretch("variables and constants", bases[parameters], sizes[parameters], parameters),
        Stretch("temporaries", bases[temporaries], sizes[temporaries], temporaries),
        tuple(closure(outputs)),
        width,
        tuple(registers.offsets()),
    )


def _tensors(outputs: Sequence[Numeric], network: Network, build: Build) -> Iterator[tuple[Numeric, Kind, Binding]]:
    """Each output and placeholder, and where the program has it."""
    ports = zip(network.graph.outputs, network.graph.output_ports, strict=True)
    titles = {name: port.name for name, port in ports}
    written = {binding.title: binding for binding in build.program.outputs}
    for record in outputs:
        yield record, "output", written[titles[network.values[record.object_id]]]
    given = dict(zip((value.name for value in network.graph.inputs), build.program.inputs, strict=True))
    for record in closure(outputs):
        if isinstance(record, placeholder):
            yield record, "placeholder", given[network.values[record.object_id]]


def source(record: Numeric, maxi_datawidth: int) -> Numeric:
    """The record whose memory this one is: behind views, and reshapes that leave every byte in its place."""
    while (isinstance(record, View) and record.is_view) or (
        isinstance(record, reshape) and record.is_alias(maxi_datawidth)
    ):
        record = record.args[0]
    return record


def to_storage_dict(*args: Numeric, **kwargs: Numeric) -> dict[str | None, Numeric]:
    """Storages and outputs by name, views replaced by what they show."""
    named = [*((None, record) for record in args), *kwargs.items()]
    found = {}
    for name, record in named:
        if not isinstance(record, Storage) and not record.is_output:
            raise ArgumentError(f"{record.title} must be an input, parameter or output")
        width = record.placement.maxi_datawidth if record.placement else 32
        root = source(record, width)
        found[root.name if name is None else name] = root
    return found


def is_parameter(record: Numeric) -> bool:
    """Whether a record is a variable or constant that lies in memory."""
    return isinstance(record, Storage) and not isinstance(record, placeholder | Operator)
