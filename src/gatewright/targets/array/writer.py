"""What emitting layers shares: instructions so far, transfers, the constants region, scratchpads used in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatewright.hdl.instruction import Memory, Opcode
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Job, Tile
from gatewright.targets.array.memory_map import MemoryMap, Place
from gatewright.targets.array.placement import LayerPlan
from gatewright.targets.array.tiling import extent
from gatewright.targets.array.transfers import transfers

__all__ = ["Ring", "Source", "Writer"]


@dataclass(frozen=True)
class Source:
    """Where a tile's image is found: `base` of row `y`, byte `x`; rows follow each other."""

    base: int
    y: int
    x: int
    height: int
    row_bytes: int


class Ring:
    """A scratchpad used in turn; what was put last and not yet overwritten can be used again.

    With `wrap`, an entry may go on at the start when it reaches the end.
    """

    def __init__(self, size: int, line: int, *, wrap: bool = False) -> None:
        self.size, self.line, self.wrap, self.head = size, line, wrap, 0
        self.entries: list[tuple[int, int, object]] = []

    def find(self, key: object) -> int | None:
        return next((start for start, _, entry in self.entries if entry == key), None)

    def put(self, key: object, size: int) -> int:
        size = -(-size // self.line) * self.line
        start = self.head if self.wrap or self.head + size <= self.size else 0
        stop = start + size
        taken = [(start, stop), (start - self.size, stop - self.size)]
        self.entries = [e for e in self.entries if all(e[1] <= low or e[0] >= high for low, high in taken)]
        self.entries.append((start, stop, key))
        self.head = stop % self.size
        return start


class Writer:
    """`steps` and `constants` are the result; `memory` says where values lie, `sizes` how many bytes they have."""

    def __init__(self, config: ArrayConfig, memory: MemoryMap, sizes: Callable[[str], int]) -> None:
        self.config, self.memory, self.sizes = config, memory.places, sizes
        self.constants_region, self._runs = memory.constants, memory.rom
        self.steps: list[Step] = []
        self.constants = bytearray()
        self.parameters = Ring(config.parameter_bytes, max(config.bus_bytes, config.parameter_word_bytes))
        self._packed: dict[object, int] = {}
        self._table: object = None
        self._set: dict[object, dict[str, int]] = {}
        self.loaded: dict[str, int] = {}  # bytes loaded so far of the values that this layer loads whole
        self.turn = 0  # which half of a room that tiles use in turn

    # Configuration.

    def configure(self, opcode: Opcode, fields: dict[str, int]) -> None:
        """Set configuration registers, unless they hold these values already."""
        key = opcode, fields.get("unit", 0)
        if self._set.get(key) != fields:
            self._set[key] = fields
            self.steps.append(Step(opcode, dict(fields)))

    def forget(self, opcode: Opcode) -> None:
        """Have a configuration written when it is set the next time, whatever it is."""
        self._set = {key: fields for key, fields in self._set.items() if key[0] != opcode}  # type: ignore[index]

    # Transfers.

    def transfer(
        self, opcode: Opcode, memory: Memory, place: Place, scratch: int, length: int, *nest: tuple[int, int]
    ) -> None:
        """Move `length` bytes, and a nest of (count, stride) around them, innermost first; all counts dense bytes."""
        for fields in transfers(place, length, nest, self.config.bus_bytes, runs=self._runs):
            self.steps.append(Step(opcode, {"memory": memory, "scratch": scratch, **fields}))
            scratch += fields["length"] * fields["count0"] * fields["count1"]

    def load(self, memory: Memory, place: Place, scratch: int, length: int, *nest: tuple[int, int]) -> None:
        self.transfer(Opcode.LOAD, memory, place, scratch, length, *nest)

    def load_rest(self, memory: Memory, value: str, base: int, stop: int) -> None:
        """Load a value that this layer loads whole up to byte `stop`, as far as that has not been done."""
        place, done = self.memory[value], self.loaded[value]
        if stop > done:
            self.load(memory, place.after(done), base + done, stop - done)
            self.loaded[value] = stop

    def source(self, job: Job, tile: Tile, plan: LayerPlan) -> Source:
        """Where a tile finds its image, which is loaded as far as it is not there."""
        image, part = job.image, extent(job, tile)
        place = self.memory.get(image.value)
        if image.value in plan.activation:
            base = plan.activation[image.value].start
            if image.value in self.loaded and place is not None:
                stop = tile.image * image.image_bytes + part.y_stop * image.row_bytes
                self.load_rest(Memory.ACTIVATION, image.value, base, stop)
            return Source(base + tile.image * image.image_bytes, 0, 0, image.height, image.row_bytes)
        assert place is not None, image.value
        half = plan.stream.size // 2
        base = plan.stream.start + (half if self.turn and part.size <= half else 0)
        if part.size:
            at = place.after(tile.image * image.image_bytes + part.y * image.row_bytes + part.x)
            self.load(Memory.ACTIVATION, at, base, part.row_bytes, (part.rows, image.row_bytes))
        return Source(base, part.y, part.x, part.rows, part.row_bytes)

    # Constants.

    def pack(self, key: object, data: bytes) -> int:
        """Offset of constants in their region, each set put there once."""
        if key not in self._packed:
            self.constants.extend(bytes(-len(self.constants) % 32))
            self._packed[key] = len(self.constants)
            self.constants.extend(data)
            self.constants.extend(bytes(-len(self.constants) % 32))
        return self._packed[key]

    def add_constant(self, value: str, data: bytes) -> None:
        """Let a constant be read as values in memory are."""
        self.memory[value] = Place(self.constants_region, self.pack(("value", value), data))

    def load_constants(self, memory: Memory, key: object, data: bytes, scratch: int) -> None:
        line = self.config.bus_bytes
        self.load(memory, Place(self.constants_region, self.pack(key, data)), scratch, -(-len(data) // line) * line)

    def load_around(self, offset: int, start: int, size: int, room: int) -> None:
        """Load constants from `offset` on into the weight scratchpad of `room` bytes, from `start` on, around its end.

        In pieces where they fill much of it: the first ones need not wait for all the room.
        """
        line = self.config.bus_bytes
        size = -(-size // line) * line
        piece = size if size <= room // 4 else room // 8
        done = 0
        while done < size:
            at = (start + done) % room
            length = min(piece, size - done, room - at)
            self.load(Memory.WEIGHT, Place(self.constants_region, offset + done), at, length)
            done += length

    def load_table(self, data: bytes) -> None:
        """Put a table of 256 bytes into its memory unless it is there."""
        if data != self._table:
            self.load_constants(Memory.TABLE, ("table", data), data, 0)
            self._table = data
