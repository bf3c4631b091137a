"""Executes a program bit-exactly, from its bytes and configuration alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatewright.errors import ProgramError
from gatewright.hdl.instruction import Memory, Opcode
from gatewright.ir import numerics
from gatewright.ir.packing import group_of, pack, packed_bytes, unpack
from gatewright.program import Program
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.isa import ROUNDING_CODES, parameter_dtype
from gatewright.targets.bitfusion.assembler import decode_steps, filter_rows, nest, tap_words, word_bytes, word_weights
from gatewright.targets.bitfusion.blocks import (
    FILTER_LOOP,
    FIRST,
    LAST,
    PIXEL_LOOPS,
    TAP_LOOPS,
    apply,
    initial_state,
    words_of,
)
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.isa import SIGNED, Op
from gatewright.targets.bitfusion.packing import chunk_bytes, split_parts, unchunk, unsplit

__all__ = ["Machine", "execute"]

_ROUNDINGS = {code: rounding for rounding, code in ROUNDING_CODES.items()}
_SPACE = 1 << 20  # buffer addresses wrap at this many bytes
_GATHER_LIMIT = 1 << 23  # operands gathered at once, to bound memory


class Machine:
    """Buffers, memory regions and the core's state; `step` executes one instruction.

    Buffers start with noise, as those of the hardware do.
    """

    def __init__(self, config: FusionConfig, regions: Sequence[np.ndarray], seed: int = 0) -> None:
        self.config, self.array, self.regions = config, config.array(), list(regions)
        noise = np.random.default_rng(seed)
        sizes = {
            Memory.ACTIVATION: config.ibuf_bytes,
            Memory.WEIGHT: config.wbuf_bytes,
            Memory.PARAMETER: config.parameter_bytes,
            Memory.OUTPUT: config.obuf_bytes,
            Memory.TABLE: 256,
        }
        self.scratch = {memory: noise.integers(0, 256, size, np.uint8) for memory, size in sizes.items()}
        self.state = initial_state()
        self.sums = np.zeros((1, 1, 1), np.int64)  # partial sums [filter rows, pixels, columns] kept in the array

    def step(self, step: Step) -> None:
        if step.opcode in (Opcode.LOAD, Opcode.STORE):
            self._transfer(step)
        elif step.opcode != Opcode.END:
            for word in words_of(step.fields):
                apply(self.state, word)
                if word.op == Op.COMPUTE:
                    self._compute(word.immediate)

    def _transfer(self, step: Step) -> None:
        f = step.fields
        region, scratch = self.regions[f["region"]], self.scratch[Memory(f["memory"])]
        starts = f["offset"] + np.arange(f["count1"])[:, None] * f["stride1"] + np.arange(f["count0"]) * f["stride0"]
        size = f["length"] * f["count0"] * f["count1"]
        if f["scratch"] + size > len(scratch):
            name = Memory(f["memory"]).name
            raise ProgramError(f"a transfer must end within the {name} buffer, not at byte {f['scratch'] + size}")
        if starts.min() < 0 or starts.max() + f["length"] > len(region):
            raise ProgramError(f"a transfer must stay in region {f['region']}, which has {len(region)} bytes")
        index = (starts.reshape(-1, 1) + np.arange(f["length"])).reshape(-1)
        inside = slice(f["scratch"], f["scratch"] + size)
        if step.opcode == Opcode.LOAD:
            scratch[inside] = region[index]
        else:
            region[index] = scratch[inside]

    # The array.

    def _pixels(self) -> np.ndarray:
        """Points of the pixels, [pixels, 2]; with `share`, the loops have the first ones of each tile."""
        s = self.state
        points = nest(s, PIXEL_LOOPS).points(s["origin_row"], s["origin"])
        if not s["share"]:
            return points
        lines, each = s["count0"], s["rows"] // s["count0"]  # rows of the image, pixels of a tile in each
        behind = np.arange((s["count1"] - 1) * each + s["last_rows"] // lines)[:, None]
        heads = points.reshape(-1, s["count1"], lines, 2)[:, behind[:, 0] // each]
        distance = np.stack([0 * behind, behind % each * s["share"]], axis=-1)
        return (heads + distance).reshape(-1, 2)

    def _compute(self, flags: int) -> None:
        s = self.state
        pixels = self._pixels()
        taps = nest(s, TAP_LOOPS).points()
        weights = self._weights(len(pixels))
        step = 1 if s["split"] else max(1, _GATHER_LIMIT // weights.shape[1])
        parts = [
            self._sums(pixels[i : i + step], taps, weights[i :: len(pixels)] if s["split"] else weights)
            for i in range(0, len(pixels), step)
        ]
        sums = np.stack(parts, axis=1).reshape(len(weights), 1, -1) if s["split"] else np.concatenate(parts, axis=1)
        if not flags & FIRST:
            sums = sums + self.sums[:, : sums.shape[1]]
        self.sums = sums
        if flags & LAST:
            self._finish(sums)

    def _weights(self, pixels: int) -> np.ndarray:
        """[filter rows, operands of all words, columns]: a row for each tile, or where split for each of its pixels"""
        s, memory = self.state, self.scratch[Memory.WEIGHT]
        tiles, words, size = s[f"count{FILTER_LOOP}"], tap_words(s), word_weights(s)
        columns, width, weight = s["tile_columns"], s["input"] % SIGNED, s["weight"] % SIGNED
        raw = memory[(s["wbuf_base"] + np.arange(tiles * words * size)) % len(memory)]
        chunks = raw.reshape(tiles, words, -1, columns, chunk_bytes(weight)).transpose(0, 3, 1, 2, 4)
        if s["split"]:
            if pixels > min(split_parts(width), self.config.rows):
                raise ProgramError(f"chunks must be split among {split_parts(width)} rows at most, not {pixels}")
            operands = unsplit(chunks, width, weight, signed=bool(s["weight"] & SIGNED))[..., :pixels, :]
            operands = operands.transpose(0, 3, 1, 2, 4)
        else:
            operands = unchunk(chunks, width, weight, signed=bool(s["weight"] & SIGNED))[:, None]
        group, bytes_of = group_of(width)
        used = operands[..., : word_bytes(s) // bytes_of * group]
        used = used << 8 * s["weight_high"]
        return np.ascontiguousarray(used.reshape(-1, columns, used.shape[3] * used.shape[4]).transpose(0, 2, 1))

    def _sums(self, pixels: np.ndarray, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sums [filter rows, pixels, columns] of the taps of some pixels."""
        s, scratch = self.state, self.scratch[Memory.ACTIVATION]
        width = s["input"] % SIGNED
        size = word_bytes(s)
        y = pixels[:, None, 0] + taps[None, :, 0]
        x = (pixels[:, None, 1] + taps[None, :, 1])[:, :, None] + np.arange(size)
        inside = ((y >= 0) & (y < s["height"]))[:, :, None] & (x >= 0) & (x < s["row_bytes"])
        address = (s["ibuf_base"] + (y * s["pitch"])[:, :, None] + x) % _SPACE % len(scratch)
        pad = np.frombuffer(s["pad"].to_bytes(3, "little"), np.uint8)
        pad = np.resize(pad[:2] if width == 16 else pad, size)
        data = np.where(inside, scratch[address], pad)
        group, bytes_of = group_of(width)
        operands = unpack(data, width, size // bytes_of * group, signed=bool(s["input"] & SIGNED))
        flat = operands.reshape(len(pixels), -1)
        narrow = width <= 8 and not s["weight_high"]
        exact = np.float32 if narrow and flat.shape[1] << 16 < 1 << 24 else np.float64
        return np.rint(np.matmul(flat.astype(exact), weights.astype(exact))).astype(np.int64)

    # The post unit.

    def _finish(self, sums: np.ndarray) -> None:
        s, array = self.state, self.array
        rows, each = len(sums), filter_rows(s)
        entries = array.lane_groups * array.post_lanes
        start = s["parameter_base"]
        raw = self.scratch[Memory.PARAMETER][start : start + rows * entries * array.parameter_entry_bytes]
        words = raw.view(parameter_dtype(array.bias_width)).reshape(rows, entries)[:, : s["tile_columns"]]
        values = self._requantise(sums, words)
        count = sums.shape[1] // s["pool_count"]
        places = self._places(each * count)
        for row in range(rows):
            tile, place = divmod(row, each)
            columns = s["last_columns"] if row == rows - 1 else s["tile_columns"]
            where = places[place * count : (place + 1) * count] + tile * s["filter_step"]
            result = values[row, :, :columns]
            if s["add"]:
                result = self._add(result, self._get(s["residual_base"] + self._at_residual(where), columns))
            if s["table"]:
                result = self.scratch[Memory.TABLE].view(np.int8)[result + 128].astype(np.int64)
            result = result.reshape(count, s["pool_count"], columns).max(axis=1)
            for flag, memory, base in (
                ("to_next", Memory.ACTIVATION, "next_base"),
                ("to_obuf", Memory.OUTPUT, "obuf_base"),
            ):
                if s[flag]:
                    self._put(memory, s[base] + where, result)

    def _requantise(self, sums: np.ndarray, words: np.ndarray) -> np.ndarray:
        s, width = self.state, self.config.accumulator_width
        bias, mul_shift = (words[name].astype(np.int64)[:, None, :] for name in ("bias", "mul_shift"))
        mul, shift = mul_shift & 0xFFFFFF, mul_shift >> 24
        if self.array.dyadic:
            shift = np.where(shift >= 128, shift - 256, shift)
            mul = np.where(shift < 0, 1 << np.maximum(-shift, 0), 1)
            shift = np.maximum(shift, 0)
        wrapped = (sums + bias) << (64 - width) >> (64 - width)
        bounds = (s["zero"], s["low"], s["high"], _ROUNDINGS[s["rounding"]])
        negative = shift + s["negative_shift"] if s["negative_shift"] else None
        return numerics.requantise(wrapped, mul, shift, *bounds, negative_shift=negative)

    def _add(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        s = self.state
        bias = s["add_bias"]
        if self.config.result_width > 8:
            bias = bias & 0xFFFFFFFF | s["add_bias_high"] << 32
        total = first * s["mul_a"] + second * s["mul_b"] + bias
        rounded = numerics.rounding_shift(total, s["add_shift"], _ROUNDINGS[s["rounding"]])
        return np.clip(rounded + s["add_zero"], s["add_low"], s["add_high"])

    def _places(self, count: int) -> np.ndarray:
        """Offset of each written pixel."""
        s = self.state
        row = s["out_delta"] + (s["out_count"] - 1) * s["out_step"]
        index = np.arange(count)
        return index // s["out_count"] * row + index % s["out_count"] * s["out_step"]

    def _at_residual(self, distance: np.ndarray) -> np.ndarray:
        """Distance of a residual operand where the result has this one: it has as many bits, or 16 bits and 8."""
        s = self.state
        return distance * (1 + (s["residual"] % SIGNED == 16)) >> s["result_size"]

    def _get(self, places: np.ndarray, columns: int) -> np.ndarray:
        """Residual operands [pixels of all windows, columns] from pixels at these places."""
        s, data = self.state, self.scratch[Memory.OUTPUT]
        width = s["residual"] % SIGNED
        address = places[:, None] + np.arange(packed_bytes(columns, width))
        values = unpack(data[address % _SPACE % len(data)], width, columns, signed=bool(s["residual"] & SIGNED))
        return np.repeat(values, s["pool_count"], axis=0)

    def _put(self, memory: Memory, places: np.ndarray, values: np.ndarray) -> None:
        data = self.scratch[memory]
        packed = pack(values, self.state["output"] % SIGNED)
        address = places[:, None] + np.arange(packed.shape[1])
        data[address % _SPACE % len(data)] = packed


def execute(program: Program, config: FusionConfig, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a program for graph integers, by the graph's names."""
    regions = [np.zeros(region.size, np.uint8) for region in program.regions]
    for region, memory in zip(program.regions, regions, strict=True):
        memory[: len(region.data)] = np.frombuffer(region.data, np.uint8)
    for binding, array in zip(program.inputs, inputs, strict=True):
        data = np.frombuffer(binding.pack(array), np.uint8)
        regions[binding.region][binding.offset : binding.offset + len(data)] = data
    machine = Machine(config, regions)
    for step in decode_steps(program.regions[0].data):
        machine.step(step)
    return {
        b.name: b.unpack(machine.regions[b.region][b.offset : b.offset + b.size].tobytes()) for b in program.outputs
    }
