"""Executes a program bit-exactly, from its bytes and configuration alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gatewright.errors import ProgramError
from gatewright.hdl.instruction import Memory, Opcode
from gatewright.ir import numerics
from gatewright.program import Program
from gatewright.targets.array.assembler import Step, decode
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import ROUNDING_CODES, Operation, parameter_dtype
from gatewright.targets.array.isa_vector import VECTOR_UNIT
from gatewright.targets.array.model_vector import VectorMachine
from gatewright.targets.array.nest import array_taps, pixels_of

__all__ = ["Machine", "execute"]

_ROUNDINGS = {code: rounding for rounding, code in ROUNDING_CODES.items()}
_SPACE = 1 << 20  # scratchpad addresses wrap at this many bytes
_ELEMENTS = {size: np.dtype(f"<i{size}") for size in (1, 2, 4)}
_GATHER_LIMIT = 1 << 24  # operands gathered at once, to bound memory


class Machine:
    """Scratchpads, memory regions and configuration registers; `step` executes one instruction.

    Scratchpads start with noise, as those of the hardware do. `unsigned` regions hold bytes that the machine has less
    128.
    """

    def __init__(
        self,
        config: ArrayConfig,
        regions: Sequence[np.ndarray],
        unsigned: frozenset[int] = frozenset(),
        seed: int = 0,
    ) -> None:
        self.config, self.regions, self.unsigned = config, list(regions), unsigned
        noise = np.random.default_rng(seed)
        sizes = {
            Memory.ACTIVATION: config.activation_bytes,
            Memory.WEIGHT: config.weight_bytes,
            Memory.PARAMETER: config.parameter_bytes,
            Memory.OUTPUT: config.output_bytes,
            Memory.TABLE: 256,
        }
        self.scratch = {memory: noise.integers(0, 256, size, np.uint8) for memory, size in sizes.items()}
        self.pixels: Mapping[str, int] = {}
        self.taps: Mapping[str, int] = {}
        self.post: Mapping[str, int] = {}
        self.range: Mapping[str, int] = {}
        self.vector = VectorMachine(
            config.vector_lanes, config.vector_sum_width, self.scratch, config.parameter_entry_bytes
        )
        self.sums = np.zeros((1, 1), np.int64)  # partial sums [pixels, columns] kept in the array

    def step(self, step: Step) -> None:
        fields = step.fields
        if step.opcode in (Opcode.LOAD, Opcode.STORE):
            self._transfer(step)
        elif step.unit == VECTOR_UNIT:
            self.vector.step(step.opcode, fields)
        elif step.opcode == Operation.CONFIG_PIXELS:
            self.pixels = fields
        elif step.opcode == Operation.CONFIG_TAPS:
            self.taps = fields
        elif step.opcode == Operation.CONFIG_POST:
            self.post = fields
        elif step.opcode == Operation.CONFIG_RANGE:
            self.range = fields
        elif step.opcode == Operation.COMPUTE:
            self._compute(fields)

    @property
    def bounds(self) -> Mapping[str, int]:
        """The instruction that says the bounds of the tail."""
        return self.range if self.config.result_width > 8 else self.post

    # Transfers.

    def _transfer(self, step: Step) -> None:
        f = step.fields
        region, scratch = self.regions[f["region"]], self.scratch[Memory(f["memory"])]
        starts = f["offset"] + np.arange(f["count1"])[:, None] * f["stride1"] + np.arange(f["count0"]) * f["stride0"]
        size = f["length"] * f["count0"] * f["count1"]
        if f["scratch"] + size > len(scratch):
            raise ProgramError(
                f"transfer ends at byte {f['scratch'] + size} of the {Memory(f['memory']).name} scratchpad"
            )
        if starts.min() < 0 or starts.max() + f["length"] > len(region):
            raise ProgramError(f"transfer leaves region {f['region']}, which has {len(region)} bytes")
        index = (starts.reshape(-1, 1) + np.arange(f["length"])).reshape(-1)
        inside = slice(f["scratch"], f["scratch"] + size)
        flip = 0x80 if f["region"] in self.unsigned else 0
        if step.opcode == Opcode.LOAD:
            scratch[inside] = region[index] ^ flip
        else:
            region[index] = scratch[inside] ^ flip

    # The array.

    def _compute(self, f: Mapping[str, int]) -> None:
        config = self.config
        pixels = pixels_of(self.pixels, f).points(f["y0"], f["x0"])
        taps = array_taps(self.taps, config).points()
        weights = self._read_weights(f, len(taps) * config.word_length)
        step = max(1, _GATHER_LIMIT // weights.shape[1])
        sums = np.concatenate(
            [self._sums(f, pixels[i : i + step], taps, weights) for i in range(0, len(pixels), step)], axis=1
        )
        if not f["first"]:
            sums = sums + self.sums[:, : sums.shape[1]]
        self.sums = sums
        if f["last"]:
            self._finish(f, sums)

    def _read_weights(self, f: Mapping[str, int], depth: int) -> np.ndarray:
        """[filter tiles, depth, columns]"""
        config = self.config
        dtype = _ELEMENTS[config.weight_element_bytes]
        memory = self.scratch[Memory.WEIGHT].reshape(-1, config.weight_word_bytes)
        first = f["weight_base"] // config.weight_word_bytes
        rows = (first + np.arange(f["filter_tiles"] * depth)) % len(memory)
        words = memory[rows].view(dtype).reshape(f["filter_tiles"], depth, -1)
        return _sign_extend(words[:, :, : config.columns], config.weight_width)

    def _sums(self, f: Mapping[str, int], pixels: np.ndarray, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sums [filter tiles, pixels, columns] of the taps of some pixels."""
        t, size = self.taps, 1 << self.taps["wide"]
        y = pixels[:, None, 0] + taps[None, :, 0]
        x = (pixels[:, None, 1] + taps[None, :, 1])[:, :, None] + np.arange(self.config.word_length) * size
        inside = ((y >= 0) & (y < f["height"]))[:, :, None] & (x >= 0) & (x < t["row_bytes"])
        elements = self._at(Memory.ACTIVATION, f["base"] + (y * t["pitch"])[:, :, None] + x, size)
        data = np.where(inside, elements, _ELEMENTS[size].type(t["pad"])).reshape(len(pixels), -1)
        return _products(_sign_extend(data, self.config.activation_width), weights)

    # The post unit.

    def _finish(self, f: Mapping[str, int], sums: np.ndarray) -> None:
        config, post = self.config, self.post
        tiles = f["filter_tiles"]
        entries = config.lane_groups * config.post_lanes
        start = f["parameter_base"]
        raw = self.scratch[Memory.PARAMETER][start : start + tiles * entries * config.parameter_entry_bytes]
        words = raw.view(parameter_dtype(config.bias_width)).reshape(tiles, entries)[:, : config.columns]
        values = self._requantise(sums, words)
        pixel_count = sums.shape[1] // post["pool_count"]
        place = self._places(pixel_count)
        size, residual_size = 1 << post["result_size"], 1 << post["residual_size"]
        for tile in range(tiles):
            columns = f["last_columns"] if tile == tiles - 1 else config.columns
            offset = place[:, None] + tile * post["filter_step"] + np.arange(columns) * size
            result = values[tile, :, :columns]
            if post["residual"]:
                distance = offset * residual_size // size
                other = self._at(Memory.OUTPUT, f["residual_base"] + distance, residual_size)
                result = self._add(result, other)
            if post["table"]:
                result = self.scratch[Memory.TABLE].view(np.int8)[result + 128].astype(np.int64)
            result = result.reshape(pixel_count, post["pool_count"], columns).max(axis=1)
            if post["to_activation"]:
                self._put(Memory.ACTIVATION, f["activation_base"] + offset, result, size)
            if post["to_output"]:
                self._put(Memory.OUTPUT, f["output_base"] + offset, result, size)

    def _requantise(self, sums: np.ndarray, words: np.ndarray) -> np.ndarray:
        post, bounds, unused = self.post, self.bounds, 64 - self.config.accumulator_width
        bias = words["bias"].astype(np.int64)[:, None, :]
        mul = (words["mul_shift"] & 0xFFFFFF).astype(np.int64)[:, None, :]
        shift = (words["mul_shift"] >> 24).astype(np.int64)[:, None, :]
        if self.config.dyadic:
            shift = np.where(shift >= 128, shift - 256, shift)
            mul = np.where(shift < 0, 1 << np.clip(-shift, 0, 62), 1)
            shift = np.maximum(shift, 0)
        sums = (sums + bias) << unused >> unused
        return numerics.requantise(
            sums,
            mul,
            shift,
            bounds["zero"],
            bounds["low"],
            bounds["high"],
            _ROUNDINGS[post["rounding"]],
            negative_shift=shift + post["negative_shift"] if post["negative_shift"] else None,
        )

    def _add(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        post, bounds = self.post, self.bounds
        total = first * post["mul_a"] + second.astype(np.int64) * post["mul_b"] + bounds["add_bias"]
        rounded = numerics.rounding_shift(total, post["add_shift"], _ROUNDINGS[post["rounding"]])
        return np.clip(rounded + bounds["add_zero"], bounds["add_low"], bounds["add_high"])

    def _places(self, count: int) -> np.ndarray:
        """Offset of each written pixel."""
        post = self.post
        row = post["out_delta"] + (post["out_count"] - 1) * post["out_step"]
        index = np.arange(count)
        return index // post["out_count"] * row + index % post["out_count"] * post["out_step"]

    def _at(self, memory: Memory, address: np.ndarray, size: int) -> np.ndarray:
        """Elements of `size` bytes."""
        data = self.scratch[memory]
        if size == 1 or not (address % size).any():
            return data.view(_ELEMENTS[size])[address % _SPACE % len(data) // size]
        places = address[..., None] + np.arange(size)
        return data[places % _SPACE % len(data)].view(_ELEMENTS[size])[..., 0]

    def _put(self, memory: Memory, address: np.ndarray, values: np.ndarray, size: int) -> None:
        data = self.scratch[memory]
        places = address[..., None] + np.arange(size)
        written = np.ascontiguousarray(values.astype(_ELEMENTS[size])).view(np.uint8)
        data[places % _SPACE % len(data)] = written.reshape(places.shape)


def _sign_extend(values: np.ndarray, width: int) -> np.ndarray:
    """Operands as the array takes them: the low `width` bits, signed."""
    unused = 8 * values.dtype.itemsize - width
    return values if unused <= 0 else values << values.dtype.type(unused) >> values.dtype.type(unused)


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left @ right` in int64, by way of floating point, which is exact while sums stay below 2^53."""
    bits = 8 * left.dtype.itemsize + 8 * right.dtype.itemsize - 2 + left.shape[-1].bit_length()
    if bits > 53:
        return np.matmul(left.astype(np.int64), right.astype(np.int64))
    exact = np.float32 if bits <= 24 else np.float64
    return np.rint(np.matmul(left.astype(exact), right.astype(exact))).astype(np.int64)


def execute(program: Program, config: ArrayConfig, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a program for graph integers, by the graph's names."""
    regions = [np.zeros(region.size, np.uint8) for region in program.regions]
    for region, memory in zip(program.regions, regions, strict=True):
        memory[: len(region.data)] = np.frombuffer(region.data, np.uint8)
    for binding, array in zip(program.inputs, inputs, strict=True):
        data = np.frombuffer(binding.pack(array), np.uint8)
        regions[binding.region][binding.offset : binding.offset + len(data)] = data
    unsigned = frozenset(binding.region for binding in (*program.inputs, *program.outputs) if binding.unsigned)
    machine = Machine(config, regions, unsigned)
    for step in decode(program.code):
        machine.step(step)
    return {
        b.name: b.unpack(machine.regions[b.region][b.offset : b.offset + b.size].tobytes()) for b in program.outputs
    }
