"""Where tensors lie in memory: the address map of a define-and-run network, and the image of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gatewright.ng import memory
from gatewright.ng.config import NgConfig, parse_config
from gatewright.ng.draft import as_integers
from gatewright.ng.dtypes import int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.evaluation import as_outputs
from gatewright.ng.moves import reshape
from gatewright.ng.records import Numeric, Operator, View, closure
from gatewright.ng.shapes import aligned_size
from gatewright.ng.storage import Storage, constant, placeholder, variable

__all__ = ["AddressMap", "Placement", "Slot", "address_map", "export_ndarray", "make_ndarray", "to_storage_dict"]

FIRST_BASE_REGISTER = 132
"""Byte address of the base register of the temporaries, which has index 0; the others follow."""

Kind = Literal["output", "placeholder", "parameter"]


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
    """A tensor's place: `size` bytes, whole chunks."""

    record: Numeric
    kind: Kind
    placement: Placement
    size: int

    @property
    def alignment(self) -> int:
        """Elements that rows are aligned to."""
        return memory.word_alignment(self.record, self.placement.maxi_datawidth)

    @property
    def aligned_shape(self) -> tuple[int, ...]:
        return memory.aligned_shape(self.record, self.placement.maxi_datawidth)

    def __str__(self) -> str:
        record, place = self.record, self.placement
        words = f"{self.alignment} words ({self.alignment * memory.ram_width(record.dtype) // 8 or 1} bytes)"
        dtype = (record.dtype or int32).to_str()
        return (
            f"[{place.addr}-{place.addr + self.size - 1}] {self.kind} {record.title} (size: {self.size}, dtype: {dtype}"
            f", shape: {record.shape}, alignment: {words}, aligned shape: {self.aligned_shape})"
        )


@dataclass(frozen=True)
class AddressMap:
    """Outputs from address 0, then placeholders, then variables and constants in one stretch, then temporaries.

    Within each group in the order of creation. Each output and placeholder has a base register, all variables and
    constants together one (or each its own with `use_map_reg`).
    """

    slots: tuple[Slot, ...]
    temporaries: int
    records: tuple[Numeric, ...]
    maxi_datawidth: int

    def __str__(self) -> str:
        return "\n".join([*map(str, self.slots), f"[{self.temporaries}-] temporaries"]) + "\n"

    def slot(self, record: Numeric) -> Slot:
        """The place of an output, placeholder, variable or constant."""
        record = source(record, self.maxi_datawidth)
        found = [slot for slot in self.slots if slot.record is record]
        if not found:
            raise ArgumentError(f"{record.title} has no address: it must be an output, placeholder or parameter")
        return found[0]

    def registers(self) -> Mapping[int, int]:
        """The base registers: byte address and initial value."""
        bases = {0: self.temporaries}
        for slot in self.slots:
            assert slot.placement.global_index is not None
            bases.setdefault(slot.placement.global_index, slot.placement.global_addr or 0)
        return {FIRST_BASE_REGISTER + 4 * index: base for index, base in sorted(bases.items())}

    def assign(self) -> None:
        """Let the records know: from now on they have addresses and aligned shapes."""
        placements = {id(slot.record): slot.placement for slot in self.slots}
        for record in self.records:
            place = placements.get(id(source(record, self.maxi_datawidth)), Placement(self.maxi_datawidth))
            record.placement = place
        for slot in self.slots:
            slot.record.is_output = slot.kind == "output"


def address_map(objs: Numeric | Iterable[Numeric], config: NgConfig | Mapping[str, Any] | None = None) -> AddressMap:
    """The address map of a network with these outputs."""
    configuration = config if isinstance(config, NgConfig) else parse_config(config)
    width, chunk = configuration.maxi_datawidth, configuration.offchipram_chunk_bytes
    outputs = as_outputs(objs)
    records = closure(outputs)
    groups: dict[Kind, list[Numeric]] = {
        "output": closure_order(source(output, width) for output in outputs),
        "placeholder": [record for record in records if isinstance(record, placeholder)],
        "parameter": [record for record in records if isinstance(record, Storage) and _is_parameter(record)],
    }
    slots: list[Slot] = []
    address, index = 0, 1
    shared: Placement | None = None
    for kind, members in groups.items():
        if kind == "parameter" and not configuration.use_map_reg:
            shared = Placement(width, address, 0, index)
        for record in members:
            if any(slot.record is record for slot in slots):
                continue  # an input that is an output as well has the output's place
            place = Placement(width, address, 0, index)
            if shared is not None:
                place = replace(shared, local_addr=address - (shared.global_addr or 0))
            size = aligned_size(memory.memory_size(record, width), chunk)
            slots.append(Slot(record, kind, place, size))
            address, index = address + size, index + 1
    return AddressMap(tuple(slots), address, tuple(records), width)


def closure_order(records: Iterable[Numeric]) -> list[Numeric]:
    """These records alone, once each, in the order of creation."""
    return [each for _, each in sorted({record.object_id: record for record in records}.items())]


def source(record: Numeric, maxi_datawidth: int) -> Numeric:
    """The record whose memory this one is: behind views, and reshapes that leave every byte in its place."""
    while (isinstance(record, View) and record.is_view) or (
        isinstance(record, reshape) and record.is_alias(maxi_datawidth)
    ):
        record = record.args[0]
    return record


def export_ndarray(objs: Numeric | Iterable[Numeric], chunk_size: int = 64) -> np.ndarray:
    """The image of all variables and constants, from the first address to the last, as bytes.

    Where records have no addresses yet, they are those of the default configuration.
    """
    records = closure(as_outputs(objs))
    parameters = [record for record in records if isinstance(record, Storage) and _is_parameter(record)]
    if any(record.placement is None for record in parameters):
        slots = address_map(objs, {"offchipram_chunk_bytes": chunk_size}).slots
        places = {id(slot.record): slot.placement for slot in slots}
    else:
        places = {id(record): record.placement for record in parameters if record.placement is not None}
    return _image([(record, places[id(record)]) for record in parameters], chunk_size)


def make_ndarray(variables: Any, constants: Any, chunk_size: int = 64) -> np.ndarray:
    """As `export_ndarray`, of variables and constants (lists, or mappings as `from_onnx` gives them) with addresses."""
    groups = [list(group.values() if isinstance(group, Mapping) else group) for group in (variables, constants)]
    for group, kind in zip(groups, (variable, constant), strict=True):
        wrong = [record for record in group if not isinstance(record, kind)]
        if wrong:
            raise ArgumentError(f"{kind.__name__}s must be {kind.__name__}s, not {wrong[0]!r}")
    placed = [(record, record.placement) for record in (*groups[0], *groups[1]) if record.placement is not None]
    return _image(placed, chunk_size)


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


def _image(places: list[tuple[Any, Placement]], chunk_size: int) -> np.ndarray:
    """The bytes of tensors that have a value, at their addresses."""
    if not places:
        return np.zeros(0, np.uint8)
    sizes = [aligned_size(memory.memory_size(record, place.maxi_datawidth), chunk_size) for record, place in places]
    first = min(place.addr for _, place in places)
    last = max(place.addr + size for (_, place), size in zip(places, sizes, strict=True))
    image = np.zeros(last - first, np.uint8)
    for record, place in places:
        if record.value is not None:
            dtype = record.dtype or int32
            integers = as_integers(record.value, record, dtype)
            data = memory.pack(integers, dtype, memory.word_alignment(record, place.maxi_datawidth))
            image[place.addr - first : place.addr - first + data.size] = data
    return image


def _is_parameter(record: Numeric) -> bool:
    return not isinstance(record, placeholder | Operator)
