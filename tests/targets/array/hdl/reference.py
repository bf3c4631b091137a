"""What the core's commands mean, in NumPy: the instruction set's text, word for word."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gatewright.hdl.instruction import Memory
from gatewright.ir import Rounding
from gatewright.ir.numerics import requantise
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import PIXEL_LEVELS, ROUNDING_CODES, Operation

__all__ = ["CoreReference", "nest"]

SPACE = 1 << 20
_ROUNDINGS: Mapping[int, Rounding] = {code: rounding for rounding, code in ROUNDING_CODES.items()}


def nest(counts: Sequence[int], dy: Sequence[int], dx: Sequence[int], y: int, x: int) -> Iterator[tuple[int, int]]:
    """Points in order; level 0 is innermost, and a level's delta is added when it advances."""
    left = list(counts)
    while True:
        yield y, x
        for level in range(len(counts)):
            left[level] -= 1
            if left[level]:
                y, x = y + dy[level], x + dx[level]
                break
            left[level] = counts[level]
        else:
            return


class CoreReference:
    """Scratchpads and configuration; `run` executes one command."""

    def __init__(self, config: ArrayConfig, seed: int = 0) -> None:
        self.config = config
        noise = np.random.default_rng(seed)
        sizes = {
            Memory.ACTIVATION: config.activation_bytes,
            Memory.WEIGHT: config.weight_bytes,
            Memory.PARAMETER: config.parameter_bytes,
            Memory.OUTPUT: config.output_bytes,
            Memory.TABLE: 256,
        }
        self.memory = {memory: noise.integers(0, 256, size).astype(np.uint8) for memory, size in sizes.items()}
        self.settings: dict[int, Mapping[str, int]] = {}
        self.sums: Any = 0

    def run(self, opcode: int, fields: Mapping[str, int]) -> None:
        if opcode == Operation.COMPUTE:
            self._compute(fields)
        else:
            self.settings[opcode] = fields

    def pixel_count(self, compute: Mapping[str, int]) -> int:
        counts = [self.settings[Operation.CONFIG_PIXELS][f"count{level}"] for level in range(PIXEL_LEVELS - 1)]
        return int(np.prod([*counts, compute["outer_count"]]))

    def tap_words(self) -> int:
        taps = self.settings[Operation.CONFIG_TAPS]
        return taps["words"] * taps["count_s"] * taps["count_r"]

    def _compute(self, c: Mapping[str, int]) -> None:
        operands = self._gather(c)
        for tile in range(c["filter_tiles"]):
            sums = operands @ self._weights(c, tile, operands.shape[1])
            if not c["first"]:
                sums = sums + self.sums
            self.sums = sums
            if c["last"]:
                columns = c["last_columns"] if tile == c["filter_tiles"] - 1 else self.config.columns
                self._write(c, tile, sums[:, :columns])

    def _gather(self, c: Mapping[str, int]) -> np.ndarray:
        p, t = self.settings[Operation.CONFIG_PIXELS], self.settings[Operation.CONFIG_TAPS]
        word = self.config.word_length
        counts = [p[f"count{level}"] for level in range(PIXEL_LEVELS - 1)] + [c["outer_count"]]
        deltas = [[p[f"{d}{level}"] for level in range(PIXEL_LEVELS)] for d in ("dy", "dx")]
        pixels = np.array(list(nest(counts, *deltas, c["y0"], c["x0"])))
        tap_counts = (t["words"], t["count_s"], t["count_r"])
        size = 1 << t["wide"]
        taps = np.array(list(nest(tap_counts, (0, 0, t["dy_r"]), (word * size, t["dx_s"], t["dx_r"]), 0, 0)))
        y = (pixels[:, None, 0] + taps[None, :, 0])[:, :, None]
        x = (pixels[:, None, 1] + taps[None, :, 1])[:, :, None] + np.arange(word) * size
        read = self._elements(Memory.ACTIVATION, c["base"] + y * t["pitch"] + x, size)
        inside = (y >= 0) & (y < c["height"]) & (x >= 0) & (x < t["row_bytes"])
        values = np.where(inside, read, t["pad"]).astype(np.int64)
        return _narrow(values, self.config.activation_width).reshape(len(pixels), -1)

    def _weights(self, c: Mapping[str, int], tile: int, taps: int) -> np.ndarray:
        size = self.config.weight_word_bytes
        rows = self.memory[Memory.WEIGHT].view(f"<i{self.config.weight_element_bytes}")
        rows = rows.reshape(self.config.weight_bytes // size, -1)
        first = c["weight_base"] // size + tile * taps
        chosen = rows[(first + np.arange(taps)) % len(rows), : self.config.columns].astype(np.int64)
        return _narrow(chosen, self.config.weight_width)

    def _elements(self, memory: Memory, address: np.ndarray, size: int) -> np.ndarray:
        """Elements of `size` bytes, byte after byte."""
        contents = self.memory[memory]
        parts = [
            contents[(address + byte) % SPACE % contents.size].astype(np.int64) << 8 * byte for byte in range(size)
        ]
        return _narrow(sum(parts), 8 * size)

    @property
    def bounds(self) -> Mapping[str, int]:
        wide = self.config.result_width > 8
        return self.settings[Operation.CONFIG_RANGE if wide else Operation.CONFIG_POST]

    def _requantise(self, c: Mapping[str, int], tile: int, sums: np.ndarray) -> np.ndarray:
        s, bounds = self.settings[Operation.CONFIG_POST], self.bounds
        memory = self.memory[Memory.PARAMETER]
        filters = self.config.lane_groups * self.config.post_lanes
        size = self.config.parameter_entry_bytes
        first = c["parameter_base"] + size * (tile * filters + np.arange(sums.shape[1]))
        raw = memory[(first[:, None] + np.arange(size)) % memory.size].astype(np.int64)
        wide = size // 2  # bytes of the bias
        bias = (raw[:, :wide] << np.arange(0, 8 * wide, 8)).sum(1) << 64 - 8 * wide >> 64 - 8 * wide
        mul = (raw[:, wide : wide + 3] << np.arange(0, 24, 8)).sum(1) & ((1 << self.config.multiplier_width) - 1)
        total = _narrow(sums + bias, self.config.accumulator_width)
        shift = raw[:, wide + 3].astype(np.int8) + np.where(total < 0, s["negative_shift"], 0)
        if self.config.dyadic:
            mul = 1 << np.clip(-shift, 0, 20)
        rounding = _ROUNDINGS[s["rounding"]]
        return requantise(total, mul, np.clip(shift, 0, 63), bounds["zero"], bounds["low"], bounds["high"], rounding)

    def _write(self, c: Mapping[str, int], tile: int, sums: np.ndarray) -> None:
        s = self.settings[Operation.CONFIG_POST]
        values = self._requantise(c, tile, sums)
        pool = s["pool_count"] if self.config.pool else 1
        places = self._places(s, c["filter_tiles"], -(-len(values) // pool))[tile]
        size = 1 << s["result_size"]
        offsets = np.repeat(places, pool)[: len(values), None] + np.arange(values.shape[1]) * size
        if s["residual"]:
            distance = (offsets << s["residual_size"] >> s["result_size"]) + c["residual_base"]
            b = self._elements(Memory.OUTPUT, distance, 1 << s["residual_size"])
            total = values * s["mul_a"] + b * s["mul_b"] + self.bounds["add_bias"]
            bounds = tuple(self.bounds[name] for name in ("add_zero", "add_low", "add_high"))
            values = requantise(total, 1, s["add_shift"], *bounds, _ROUNDINGS[s["rounding"]])
        if s["table"]:
            values = self.memory[Memory.TABLE].view(np.int8)[(values + 128) % 256].astype(np.int64)
        for index, place in zip(range(len(values) // pool), places, strict=False):
            pixel = values[index * pool : (index + 1) * pool].max(0).astype(f"<i{size}").view(np.uint8)
            for memory, wanted, base in (
                (Memory.ACTIVATION, s["to_activation"], c["activation_base"]),
                (Memory.OUTPUT, s["to_output"], c["output_base"]),
            ):
                if wanted:
                    target = self.memory[memory]
                    target[(base + place + np.arange(len(pixel))) % SPACE % target.size] = pixel

    def _places(self, s: Mapping[str, int], tiles: int, pixels: int) -> np.ndarray:
        """Offsets of the written pixels of each filter tile, modulo 2^20."""
        offsets = [0]
        for index in range(1, pixels):
            offsets.append(offsets[-1] + (s["out_delta"] if index % s["out_count"] == 0 else s["out_step"]))
        return (np.arange(tiles)[:, None] * s["filter_step"] + np.array(offsets)) % SPACE


def _narrow(values: np.ndarray, width: int) -> np.ndarray:
    return values << 64 - width >> 64 - width
