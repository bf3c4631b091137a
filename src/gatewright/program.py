"""A program: one machine's code and memory image for one network, and how the network's tensors meet that memory.

In a file it is two: `program.json`, which describes itself and everything else, and `program.bin`, the initial contents
of the regions. Neither needs the graph or the compiler that made them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from gatewright.errors import DataError, ProgramError, file_reason
from gatewright.ir import Port, TensorType
from gatewright.ir.packing import pack, packed_bytes, unpack

__all__ = ["Arrays", "Binding", "LayerInfo", "Program", "Region", "RegionKind", "Result", "by_name"]

Arrays = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]
"""Inputs as a user may give them: the only one, all in order, or by the model's names."""

RegionKind = Literal["program", "rom", "constants", "input", "output", "scratch"]

FORMAT = "gatewright program"
FORMAT_VERSION = 2
IMAGE_ALIGNMENT = 64
"""Of each region's data within `program.bin`."""


@dataclass(frozen=True)
class Region:
    """A stretch of memory with a base-address register of its own: region i is reached through base register i.

    `data` is what its first bytes hold when a run begins; the bytes after them may hold anything. The kind `rom` is in
    no memory: it is the code that the machine holds, and the last region.
    """

    name: str
    kind: RegionKind
    size: int
    data: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(RegionKind):
            raise ProgramError(f"kind of region {self.name!r} must be one of {get_args(RegionKind)}, not {self.kind!r}")
        if len(self.data) > self.size:
            raise ProgramError(
                f"data of region {self.name!r} must fit its {self.size} bytes, not have {len(self.data)}"
            )


@dataclass(frozen=True)
class Binding:
    """Where one tensor of the graph lies: `offset` bytes into a region, row-major, little-endian.

    It is dense, or in rows of `row_bytes` that lie `row_pitch` bytes apart: what is between may hold anything. With a
    `packed_width` of 2, 4 or 6 elements have so many bits (`ir.packing`), otherwise whole bytes. `unsigned` bytes hold
    128 more than the graph's integers: the machine turns them around as it reads and writes them.
    `name` is the graph's name of the value; `port` says how it meets the model's own world (None: as it is).
    """

    name: str
    region: int
    offset: int
    type: TensorType
    port: Port | None = None
    row_bytes: int = 0
    row_pitch: int = 0
    packed_width: int = 0
    unsigned: bool = False

    @property
    def dense_size(self) -> int:
        """Bytes of the tensor alone."""
        if self.packed_width:
            return packed_bytes(self.type.size, self.packed_width)
        return self.type.size * self.type.dtype.storage.itemsize

    @property
    def size(self) -> int:
        """Bytes taken."""
        return self.dense_size // self.row_bytes * self.row_pitch if self.row_bytes else self.dense_size

    @property
    def title(self) -> str:
        """The name a user knows: the model's, where there is one."""
        return self.port.name if self.port else self.name

    def pack(self, array: np.ndarray) -> bytes:
        """Bytes of graph integers; raises `DataError` unless the array is of this type."""
        array = np.asarray(array)
        if array.shape != self.type.shape or array.dtype.kind not in "iu":
            raise DataError(f"{self.title!r} must be integers {self.type}, not {array.dtype}{list(array.shape)}")
        if array.size and not self.type.dtype.holds(int(array.min()), int(array.max())):
            raise DataError(f"{self.title!r} must be within {self.type.dtype}, not {array.min()}..{array.max()}")
        if self.packed_width:
            data = pack(array.reshape(-1), self.packed_width).tobytes()
        else:
            data = array.astype(self.type.dtype.storage.newbyteorder("<")).tobytes()
        if self.unsigned:
            data = _flipped(data)
        if not self.row_bytes:
            return data
        rows = np.frombuffer(data, np.uint8).reshape(-1, self.row_bytes)
        return np.pad(rows, ((0, 0), (0, self.row_pitch - self.row_bytes))).tobytes()

    def unpack(self, data: bytes | memoryview | np.ndarray) -> np.ndarray:
        """Inverse of `pack`."""
        if self.row_bytes:
            data = np.frombuffer(bytes(data), np.uint8).reshape(-1, self.row_pitch)[:, : self.row_bytes].tobytes()
        if self.unsigned:
            data = _flipped(bytes(data))
        if self.packed_width:
            raw, signed = np.frombuffer(bytes(data), np.uint8), self.type.dtype.signed
            array = unpack(raw, self.packed_width, self.type.size, signed=signed)
        else:
            array = np.frombuffer(bytes(data), self.type.dtype.storage.newbyteorder("<"))
        return array.astype(self.type.dtype.storage).reshape(self.type.shape)


@dataclass(frozen=True)
class LayerInfo:
    """One layer as the report shows it; its place in `Program.layers` is the index of its time stamp.

    `limit_cycles` is the least the machine's array would need: macs / macs_per_cycle, rounded up, with taps in the
    padding, though machines leave some of these out. `transfer_bytes` are the parameters that this layer's tiling
    brings in, as often as it does; None if the compiler does not say. `widths` are those of inputs and weights, where
    the machine's speed depends on them: `3 x 2 as 4 x 2` run at the second pair, of which a multiplier finishes
    `products_per_unit` a cycle (`4/3`). `kept` says that results take more bits in memory than their type needs:
    `i4 in 8 bits`.
    """

    name: str
    op: str
    macs: int
    limit_cycles: int
    transfer_bytes: int | None = None
    widths: str | None = None
    products_per_unit: str | None = None
    kept: str | None = None


@dataclass(frozen=True)
class Result:
    """What one engine computed for one set of inputs; None and empty mean "not measured".

    `outputs` are integers of the graph, by the graph's names; `layer_cycles` sum to `cycles`.
    """

    engine: str
    outputs: Mapping[str, np.ndarray]
    cycles: int | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    layer_cycles: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Program:
    """One machine's code and memory image for one network.

    The code, `instruction_count` instructions, is region 0, or, where the machine holds it, the last one.

    `config` is the configuration it was lowered for as plain values, `config_digest` what the machine's register says.
    """

    name: str
    target: str
    config: Mapping[str, int | bool | str]
    config_digest: int
    instruction_count: int
    regions: tuple[Region, ...]
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    layers: tuple[LayerInfo, ...]

    def __post_init__(self) -> None:
        kinds = [region.kind for region in self.regions]
        if kinds[:1] != ["program"] and kinds[-1:] != ["rom"]:
            raise ProgramError("region 0 must be of kind 'program', or the last one of kind 'rom'")
        for binding in (*self.inputs, *self.outputs):
            self._check_binding(binding)

    def _check_binding(self, binding: Binding) -> None:
        if not 0 <= binding.region < len(self.regions):
            raise ProgramError(
                f"{binding.name!r} must be in one of {len(self.regions)} regions, not in region {binding.region}"
            )
        region = self.regions[binding.region]
        if binding.offset < 0 or binding.offset + binding.size > region.size:
            raise ProgramError(
                f"{binding.name!r} must lie within the {region.size} bytes of region {region.name!r}, "
                f"not at {binding.offset}..{binding.offset + binding.size}"
            )

    @property
    def code(self) -> bytes:
        """The instructions."""
        return next(region.data for region in self.regions if region.kind in ("program", "rom"))

    @property
    def memory_regions(self) -> tuple[Region, ...]:
        """The regions that lie in memory: those with a base register."""
        return tuple(region for region in self.regions if region.kind != "rom")

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    def encode(self, arrays: Arrays) -> list[np.ndarray]:
        """Model inputs, by name or in order, as the graph's integers.

        Raises
        ------
        DataError
            If an input is missing, unknown, or does not fit; the message names it.
        """
        named = by_name([binding.title for binding in self.inputs], arrays)
        return [b.port.encode(named[b.title]) if b.port else np.asarray(named[b.title]) for b in self.inputs]

    def decode(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The graph's outputs in the model's own types and names, after the steps that stay on the host."""
        return {b.title: b.port.decode(outputs[b.name]) if b.port else outputs[b.name] for b in self.outputs}

    def image_offsets(self) -> tuple[int, ...]:
        """Where each region's data begins in `program.bin`."""
        sizes = [-(-len(region.data) // IMAGE_ALIGNMENT) * IMAGE_ALIGNMENT for region in self.regions]
        return tuple(accumulate(sizes, initial=0))[:-1]

    def save(self, folder: Path | str) -> None:
        """Write `program.json` and `program.bin` into an existing folder."""
        image = bytearray()
        regions = []
        for region, offset in zip(self.regions, self.image_offsets(), strict=True):
            place = {"offset": offset, "size": len(region.data)}
            regions.append({"name": region.name, "kind": region.kind, "size": region.size, "data": place})
            image.extend(bytes(offset - len(image)) + region.data)
        description = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "name": self.name,
            "target": self.target,
            "config": dict(self.config),
            "config_digest": self.config_digest,
            "instruction_count": self.instruction_count,
            "image": {"file": "program.bin", "size": len(image), "sha256": hashlib.sha256(image).hexdigest()},
            "regions": regions,
            "inputs": [_binding_to_json(binding) for binding in self.inputs],
            "outputs": [_binding_to_json(binding) for binding in self.outputs],
            "layers": [asdict(layer) for layer in self.layers],
        }
        (Path(folder) / "program.bin").write_bytes(image)
        (Path(folder) / "program.json").write_text(json.dumps(description, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> Program:
        """Inverse of `save`.

        Raises
        ------
        ProgramError
            If a file is missing, damaged, or of another format version.
        """
        path = Path(folder) / "program.json"
        try:
            description = json.loads(path.read_text())
            image = (path.parent / "program.bin").read_bytes()
        except (OSError, ValueError) as error:
            raise ProgramError(f"Cannot read the program in {folder}: {file_reason(error)}") from None
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise ProgramError(f"{path} must be a {FORMAT!r} file")
        if description["version"] != FORMAT_VERSION:
            raise ProgramError(f"{path} must be of version {FORMAT_VERSION}, not {description['version']!r}")
        try:
            return cls._from_json(description, image)
        except (KeyError, TypeError, AttributeError) as error:
            raise ProgramError(f"{path} is damaged: {type(error).__name__} {error}") from None

    @classmethod
    def _from_json(cls, description: dict[str, Any], image: bytes) -> Program:
        if hashlib.sha256(image).hexdigest() != description["image"]["sha256"]:
            raise ProgramError("program.bin is damaged: its contents are not those that program.json names")
        plain = ("name", "target", "config", "config_digest", "instruction_count")
        return cls(
            **{name: description[name] for name in plain},
            regions=tuple(_region_from_json(region, image) for region in description["regions"]),
            inputs=tuple(_binding_from_json(binding) for binding in description["inputs"]),
            outputs=tuple(_binding_from_json(binding) for binding in description["outputs"]),
            layers=tuple(LayerInfo(**layer) for layer in description["layers"]),
        )


def by_name(names: Sequence[str], arrays: Arrays) -> Mapping[str, np.ndarray]:
    """Inputs given as one array, in order, or by name, all by name; raises `DataError` unless they are these names."""
    if isinstance(arrays, np.ndarray):
        arrays = [arrays]
    if not isinstance(arrays, Mapping):
        if len(arrays) != len(names):
            raise DataError(f"{len(names)} inputs ({', '.join(names)}) must be given, not {len(arrays)}")
        return dict(zip(names, arrays, strict=True))
    if set(arrays) != set(names):
        raise DataError(f"inputs must be {', '.join(names)}, not {', '.join(arrays) or 'none'}")
    return arrays


def _region_from_json(region: dict[str, Any], image: bytes) -> Region:
    place = region["data"]
    data = image[place["offset"] : place["offset"] + place["size"]]
    return Region(region["name"], region["kind"], region["size"], data)


def _flipped(data: bytes) -> bytes:
    """Signed bytes as unsigned ones on a scale that begins at their least, and back."""
    return (np.frombuffer(data, np.uint8) ^ 0x80).tobytes()


def _binding_to_json(binding: Binding) -> dict[str, Any]:
    return {
        "name": binding.name,
        "region": binding.region,
        "offset": binding.offset,
        "type": str(binding.type),
        "row_bytes": binding.row_bytes,
        "row_pitch": binding.row_pitch,
        "packed_width": binding.packed_width,
        "unsigned": binding.unsigned,
        "port": binding.port.to_json() if binding.port else None,
    }


def _binding_from_json(binding: dict[str, Any]) -> Binding:
    port = Port.from_json(binding["port"]) if binding["port"] else None
    return Binding(**{**binding, "type": TensorType.parse(binding["type"]), "port": port})
