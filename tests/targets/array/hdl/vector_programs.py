"""Random commands for the vector unit, within what its configuration builds."""

import random
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
from tests.targets.array.hdl.bench import Command
from tests.targets.array.hdl.reference import CoreReference
from tests.targets.array.hdl.vector_bench import VectorCommand

from gatewright.hdl.instruction import Memory
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import parameter_dtype
from gatewright.targets.array.isa_vector import ELEMENT_BYTES, LaneOperation, VectorOperation

__all__ = ["VectorLayer", "vector_parameters"]


def vector_parameters(reference: CoreReference, seed: int) -> None:
    """Parameters that bring sums of every size into the range of a result, more or less."""
    rng = np.random.default_rng(seed)
    width = reference.config.vector_multiplier_width
    records = reference.memory[Memory.PARAMETER].view(parameter_dtype(reference.config.bias_width))
    shifts = rng.integers(max(width - 6, 0), width + 12, len(records))
    records["bias"] = rng.integers(-3000, 3000, len(records))
    records["mul_shift"] = rng.integers(0, 1 << width, len(records)) | shifts << 24


class VectorLayer:
    """A random layer: settings once, then COMPUTEs over pixels of all shapes.

    Reads stay in the lower halves of the scratchpads, writes go to the upper ones: what comes of a race is nobody's
    business.
    """

    def __init__(self, config: ArrayConfig, seed: int, operation: LaneOperation, taps: int = 9) -> None:
        self.config = config
        self.chance = random.Random(seed)
        self.operation = operation
        self.half = config.activation_bytes // 2
        self.row_bytes = self.chance.randint(1, self.half // 8)
        self.height = self.chance.randint(1, 8)
        self.lanes = self._lanes()
        self.taps = self._taps(taps)
        self.post = self._post()
        self.walk = self._walk()
        self.pixels: Mapping[str, int] = {}

    def commands(self, computes: int, pixels: int = 9) -> Iterator[Command]:
        """Settings and COMPUTEs, these over at most `pixels` pixels in the innermost level."""
        settings = [
            VectorCommand(VectorOperation.CONFIG_TAPS, self.taps),
            VectorCommand(VectorOperation.CONFIG_LANES, self.lanes),
            VectorCommand(VectorOperation.CONFIG_POST, self.post),
            VectorCommand(VectorOperation.CONFIG_WALK, self.walk),
        ]
        self.chance.shuffle(settings)
        yield from settings
        while computes:
            points = self.pixels if self.pixels and self.chance.random() < 0.4 else self._pixels(pixels)
            compute = self._compute(points)
            if compute is None:
                continue
            if points is not self.pixels:
                yield VectorCommand(VectorOperation.CONFIG_PIXELS, points)
                self.pixels = points
            yield VectorCommand(VectorOperation.COMPUTE, compute)
            computes -= 1

    def _lanes(self) -> dict[str, int]:
        chance, config = self.chance, self.config
        bits = 8 * config.vector_operand_bytes
        sizes = range(config.vector_operand_bytes.bit_length())
        factor = (1 << 24) - 1
        both = self.operation in (LaneOperation.AFFINE, LaneOperation.SHIFT)
        return {
            "operation": self.operation,
            "operand": int(config.vector_operand and (chance.random() < (0.9 if both else 0.5))),
            "a_size": chance.choice(sizes),
            "b_size": chance.choice(sizes),
            "out_size": chance.randrange(config.vector_result_bytes.bit_length()),
            "a_repeat": int(chance.random() < 0.2),
            "b_repeat": int(chance.random() < 0.3),
            "a_zero": chance.choice((0, chance.randint(-(1 << bits), (1 << bits) - 1))),
            "b_zero": chance.choice((0, chance.randint(-(1 << bits), (1 << bits) - 1) >> chance.randrange(bits))),
            "mul_a": chance.randint(-factor - 1, factor) >> chance.randrange(20),
            "mul_b": chance.randint(-factor - 1, factor) >> chance.randrange(20),
            "product_shift": chance.choice((0, chance.randrange(64))) if config.vector_product_shift else 0,
        }

    def _taps(self, most: int) -> dict[str, int]:
        chance = self.chance
        taps = {f"count{level}": chance.randint(1, 4) for level in range(3)}
        while prod(taps.values()) > most:
            taps[chance.choice(list(taps))] = 1
        bits = 8 * self.config.vector_operand_bytes
        return taps | {
            "dx0": chance.randint(-self.row_bytes, self.row_bytes),
            "dx1": chance.randint(-self.row_bytes, self.row_bytes),
            "dy1": chance.randint(-2, 2),
            "dx2": chance.randint(-self.row_bytes, self.row_bytes),
            "dy2": chance.randint(-2, 2),
            "row_bytes": self.row_bytes,
            "pitch": self.row_bytes + chance.randint(0, 9),
            "pad": chance.randint(-(1 << bits - 1), (1 << bits - 1) - 1),
        }

    def _post(self) -> dict[str, int]:
        chance, config = self.chance, self.config
        table = int(config.vector_table and chance.random() < 0.3)
        bits = 8 if table else 8 * config.vector_result_bytes
        low, high = -(1 << bits - 1), (1 << bits - 1) - 1
        if chance.random() < 0.3:
            low, high = sorted((chance.randint(low, high), chance.randint(low, high)))
        width = config.vector_multiplier_width
        return {
            "per_channel": chance.randrange(2),
            "bias": chance.randint(-(1 << 47), (1 << 47) - 1) >> chance.randrange(48),
            "mul": chance.randrange(1 << width) >> chance.choice((0, 0, width - 1)),
            "shift": chance.randrange(64) >> chance.randrange(3),
            "negative_shift": chance.choice((0, 0, 3, 63)),
            "leaky": chance.randrange(2),
            "rounding": chance.randrange(4),
            "zero": chance.randint(-20, 20),
            "low": low,
            "high": high,
            "table": table,
        }

    def _walk(self) -> dict[str, int]:
        chance = self.chance
        window = self.config.vector_window_bytes
        to_activation = chance.randrange(2)
        reach = {name: chance.randint(-40, 40) for name in ("out_delta", "b_step", "b_delta", "b_tap_step")}
        return reach | {
            "to_activation": to_activation,
            "to_output": 1 if chance.random() < 0.3 else 1 - to_activation,
            "out_count": chance.randint(1, 6),
            "out_step": chance.randint(-2, window + 7),
            "a_group_step": chance.randint(-self.row_bytes, self.row_bytes),
            "b_group_step": chance.randint(-100, 100),
            "group_step": chance.randint(-100, 200),
        }

    def _pixels(self, most: int) -> dict[str, int]:
        chance = self.chance
        pixels = {f"count{level}": chance.choice((1, 1, 2, 3)) for level in range(4)}
        pixels["count0"] = chance.randint(1, most)
        for level in range(4):
            pixels[f"dy{level}"] = chance.randint(-2, 2)
            pixels[f"dx{level}"] = chance.randint(-(self.row_bytes // 2), self.row_bytes // 2 + 1)
        return pixels

    def _compute(self, pixels: Mapping[str, int]) -> dict[str, int] | None:
        """A COMPUTE, or None if its operands or results would not fit."""
        chance, config = self.chance, self.config
        groups, outer_count = chance.choice((1, 1, 2, 5)), chance.choice((1, 1, 2, 3))
        count = pixels["count0"] * pixels["count1"] * pixels["count2"] * outer_count
        taps = prod(self.taps[f"count{level}"] for level in range(3))
        out = self._reach(count, 1, groups, "out_step", "out_delta", "", "group_step", self.lanes["out_size"])
        b = self._reach(count, taps, groups, "b_step", "b_delta", "b_tap_step", "b_group_step", self.lanes["b_size"])
        if out[1] - out[0] > self.half or b[1] - b[0] > self.half:
            return None
        size = config.parameter_word_bytes // config.post_lanes * min(config.vector_lanes, config.post_lanes)
        return {
            "base": chance.randint(0, self.half - (self.height - 1) * self.taps["pitch"] - self.row_bytes - 1),
            "y0": chance.randint(-3, self.height),
            "x0": chance.randint(-2 * config.vector_window_bytes, self.row_bytes),
            "outer_count": outer_count,
            "height": self.height,
            "groups": groups,
            "last_lanes": chance.randint(1, config.vector_lanes),
            "parameter_base": chance.randrange(0, config.parameter_bytes, size),
            "activation_base": self.half + chance.randint(-out[0], self.half - out[1]),
            "output_base": self.half + chance.randint(-out[0], self.half - out[1]),
            "b_base": chance.randint(-b[0], self.half - b[1]),
        }

    def _reach(
        self, count: int, taps: int, groups: int, step: str, delta: str, tap: str, group: str, size: int
    ) -> tuple[int, int]:
        """First byte and the one after the last that a walk touches, relative to its base."""
        walk = {"": 0} | self.walk
        index = np.arange(count)
        row = walk[delta] + (walk["out_count"] - 1) * walk[step]
        places = index // walk["out_count"] * row + index % walk["out_count"] * walk[step]
        low, high = int(places.min()), int(places.max()) + self.config.vector_lanes * ELEMENT_BYTES[size]
        for far in ((taps - 1) * walk[tap], (groups - 1) * walk[group]):
            low, high = low + min(far, 0), high + max(far, 0)
        return low, high
