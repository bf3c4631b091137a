"""Random commands for the core, within what the instruction set allows."""

import random
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
from tests.targets.array.hdl.bench import Command
from tests.targets.array.hdl.reference import CoreReference

from gatewright.hdl.instruction import Memory
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import CONFIG_RANGE, Operation

__all__ = ["Layer", "random_parameters"]


def random_parameters(reference: CoreReference, seed: int) -> None:
    """Parameters that bring sums of every size into the range of an activation, more or less."""
    rng = np.random.default_rng(seed)
    config = reference.config
    size = config.bias_width // 8
    records = reference.memory[Memory.PARAMETER].reshape(-1, config.parameter_entry_bytes)
    bias = rng.integers(-3000, 3000, len(records)) << config.activation_width + config.weight_width - 16
    records[:, :size] = bias.astype(f"<i{size}").view(np.uint8).reshape(-1, size)
    width, more = config.multiplier_width, config.activation_width + config.weight_width - config.result_width - 8
    shifts = rng.integers(width, width + 13, len(records)) if width else rng.integers(-3, 13, len(records))
    records[:, size + 3] = (shifts + more).astype(np.int8).view(np.uint8)


class Layer:
    """A random layer: one CONFIG_TAPS and one CONFIG_POST, then COMPUTEs over pixels of all shapes.

    Reads stay in the lower half of the activation scratchpad and, as residual operands, of the output scratchpad;
    writes go to the upper halves: what comes of a race is nobody's business.
    """

    def __init__(self, config: ArrayConfig, seed: int, words: int = 9) -> None:
        self.config = config
        self.chance = random.Random(seed)
        self.half = config.activation_bytes // 2
        self.wide = self.chance.randrange(config.activation_element_bytes)
        self.size = self.chance.randrange(config.result_element_bytes.bit_length())
        self.row_bytes = self._length(1, self.half // 8)
        self.height = self.chance.randint(1, 8)
        self.taps = self._taps(words)
        self.post = self._post()
        self.pixels: Mapping[str, int] = {}

    def _length(self, low: int, high: int) -> int:
        """A number of bytes: whole elements."""
        return self.chance.randint(low, high >> self.wide) << self.wide

    def commands(self, computes: int) -> Iterator[Command]:
        yield Command(Operation.CONFIG_TAPS, self.taps)
        if self.bounds:
            yield Command(Operation.CONFIG_RANGE, self.bounds)
        yield Command(Operation.CONFIG_POST, self.post)
        while computes:
            pixels = self.pixels if self.pixels and self.chance.random() < 0.4 else self._pixels()
            compute = self._compute(pixels)
            if compute is None:
                continue
            if pixels is not self.pixels:
                yield Command(Operation.CONFIG_PIXELS, pixels)
                self.pixels = pixels
            yield Command(Operation.COMPUTE, compute)
            computes -= 1

    def _taps(self, words: int) -> dict[str, int]:
        chance, word = self.chance, self.config.word_length
        taps = {name: chance.randint(1, 3) for name in ("words", "count_s", "count_r")}
        while prod(taps.values()) > words:
            taps[chance.choice(list(taps))] = 1
        return taps | {
            "dx_s": self._length(-2 * word, 2 * word),
            "dx_r": self._length(-(self.row_bytes >> self.wide), self.row_bytes),
            "dy_r": chance.randint(-2, 2),
            "row_bytes": self.row_bytes,
            "pitch": self.row_bytes + chance.randint(0, 9),
            "pad": chance.randint(-128, 127) << (8 if self.wide and self.config.activation_width == 16 else 0),
            "wide": self.wide,
        }

    def _post(self) -> dict[str, int]:
        chance, config = self.chance, self.config
        fields = self._conversion("") | {
            "rounding": chance.randrange(4),
            "negative_shift": chance.choice((0, 0, 1, 3)),
            "pool_count": chance.choice((1, 1, 2, 4)) if config.pool else 1,
            "to_activation": chance.randrange(2),
            "out_count": chance.randint(1, 6),
            "out_step": chance.randint(config.columns, config.columns + 7) << self.size,
            "filter_step": chance.randint(0, 200 >> self.size) << self.size,
            "table": chance.randrange(2) if config.lut else 0,
            "result_size": self.size,
        }
        fields["to_output"] = 1 if chance.random() < 0.3 else 1 - fields["to_activation"]
        fields["out_delta"] = fields["out_step"] + (chance.randint(-5, 20) << self.size)
        if config.residual and self.size < 2 and chance.random() < 0.5:
            fields |= self._conversion("add_") | {
                "residual_size": chance.randrange(config.residual_width // 8),
                "residual": 1,
                "mul_a": chance.randint(-(1 << 17), (1 << 17) - 1) >> chance.randrange(10),
                "mul_b": chance.randint(-(1 << 17), (1 << 17) - 1) >> chance.randrange(10),
                "add_bias": chance.randint(-(1 << 20), 1 << 20),
                "add_shift": chance.randint(10, 20),
            }
        self.bounds = {}
        if config.result_width > 8:
            self.bounds = {name: fields.pop(name) for name in set(CONFIG_RANGE.members) & fields.keys()}
        return fields

    def _conversion(self, prefix: str) -> dict[str, int]:
        low, high = -128, 127
        if self.size and not prefix:
            width = min(8 << self.size, 16 if self.config.residual else 32)
            return {"low": -(1 << width - 1), "high": (1 << width - 1) - 1, "zero": self.chance.randint(-2000, 2000)}
        if self.size:
            return {"add_low": -30000, "add_high": 32767, "add_zero": self.chance.randint(-2000, 2000)}
        if self.chance.random() < 0.3:
            low, high = sorted((self.chance.randint(-256, 255), self.chance.randint(-256, 255)))
        return {f"{prefix}low": low, f"{prefix}high": high, f"{prefix}zero": self.chance.randint(-20, 20)}

    def _pixels(self) -> dict[str, int]:
        chance = self.chance
        pixels = {f"count{level}": chance.choice((1, 1, 2, 3)) for level in range(4)}
        pixels["count0"] = chance.randint(1, 2 * self.config.rows + 1)
        for level in range(4):
            pixels[f"dy{level}"] = chance.randint(-2, 2)
            pixels[f"dx{level}"] = self._length(-(self.row_bytes // 2 >> self.wide), self.row_bytes // 2 + 1)
        return pixels

    def _compute(self, pixels: Mapping[str, int]) -> dict[str, int] | None:
        """A COMPUTE, or None if its results would not fit."""
        chance, config = self.chance, self.config
        filter_tiles, outer_count = chance.choice((1, 1, 2, 3)), chance.choice((1, 1, 2, 3))
        written = pixels["count0"] * pixels["count1"] * pixels["count2"] * outer_count // self.post["pool_count"]
        whole, rest = divmod(max(written - 1, 0), self.post["out_count"])
        steps = self.post["out_count"] - 1
        reach = whole * (steps * self.post["out_step"] + self.post["out_delta"]) + rest * self.post["out_step"]
        room = self.half - (config.columns << self.size) - reach - (filter_tiles - 1) * self.post["filter_step"] - 20
        room -= reach if config.result_width > 8 else 0  # a residual operand of two bytes reaches further
        if room < 0:
            return None
        return {
            "base": chance.randint(0, self.half - (self.height - 1) * self.taps["pitch"] - self.row_bytes),
            "y0": chance.randint(-3, self.height),
            "x0": self._length(-2 * config.word_length, self.row_bytes),
            "outer_count": outer_count,
            "height": self.height,
            "weight_base": chance.randrange(0, config.weight_bytes, config.weight_word_bytes),
            "filter_tiles": filter_tiles,
            "last_columns": chance.randint(1, config.columns),
            "parameter_base": chance.randrange(0, config.parameter_bytes, config.parameter_word_bytes),
            "activation_base": self.half + chance.randint(0, room),
            "output_base": self.half + chance.randint(0, room),
            "residual_base": chance.randint(0, room),
            "first": 1,
            "last": 1,
        }
