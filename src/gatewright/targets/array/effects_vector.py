"""What an instruction of the vector unit reads and writes, from its fields and the configuration before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gatewright.hdl.instruction import Memory, Opcode
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import PIXEL_LEVELS
from gatewright.targets.array.isa_vector import ELEMENT_BYTES, VectorOperation

__all__ = ["VectorEffects", "vector_points"]

_SPACE = 1 << 20


def vector_points(pixels: Mapping[str, int], taps: Mapping[str, int], compute: Mapping[str, int]) -> tuple[int, int]:
    """Pixels and taps of a COMPUTE."""
    count = compute["outer_count"]
    for level in range(PIXEL_LEVELS - 1):
        count *= pixels[f"count{level}"]
    return count, taps["count0"] * taps["count1"] * taps["count2"]


class VectorEffects:
    """The configuration so far, and the ranges [start, stop) of the scratchpads that a COMPUTE reads and writes."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.registers: dict[Opcode, Mapping[str, int]] = {}

    def of(self, opcode: Opcode, fields: Mapping[str, int]) -> Iterator[tuple[Memory, int, int, bool]]:
        """(memory, start, stop, whether it writes)"""
        if opcode == VectorOperation.COMPUTE:
            yield from self._compute(fields)
        else:
            self.registers[opcode] = fields

    def _compute(self, f: Mapping[str, int]) -> Iterator[tuple[Memory, int, int, bool]]:
        pixels, taps = self.registers[VectorOperation.CONFIG_PIXELS], self.registers[VectorOperation.CONFIG_TAPS]
        walk, post = self.registers[VectorOperation.CONFIG_WALK], self.registers[VectorOperation.CONFIG_POST]
        use = self.registers[VectorOperation.CONFIG_LANES]
        config, lanes = self.config, self.config.vector_lanes
        counts = [pixels[f"count{level}"] for level in range(PIXEL_LEVELS - 1)] + [f["outer_count"]]
        count, tap_count = vector_points(pixels, taps, f)
        yield from self._a(f, counts)
        groups = f["groups"]
        if use["operand"]:
            low, high = _walked(count, walk["out_count"], walk["b_step"], walk["b_delta"])
            low, high = _widened(low, high, walk["b_tap_step"], tap_count)
            low, high = _widened(low, high, walk["b_group_step"], groups)
            high += (1 if use["b_repeat"] else lanes) * ELEMENT_BYTES[use["b_size"]]
            yield Memory.OUTPUT, f["b_base"] + low, f["b_base"] + high, False
        if post["per_channel"]:
            size = groups * lanes * config.parameter_entry_bytes
            yield Memory.PARAMETER, f["parameter_base"], f["parameter_base"] + size, False
        if post["table"]:
            yield Memory.TABLE, 0, 256, False
        size = ELEMENT_BYTES[use["out_size"]]
        low, high = _walked(count, walk["out_count"], walk["out_step"], walk["out_delta"])
        last = high + (groups - 1) * walk["group_step"] + f["last_lanes"] * size
        before = high + max(groups - 2, 0) * walk["group_step"] + lanes * size if groups > 1 else last
        for enabled, memory, base in (
            (walk["to_activation"], Memory.ACTIVATION, f["activation_base"]),
            (walk["to_output"], Memory.OUTPUT, f["output_base"]),
        ):
            if enabled:
                yield memory, base + low, base + max(last, before), True

    def _a(self, f: Mapping[str, int], counts: Sequence[int]) -> Iterator[tuple[Memory, int, int, bool]]:
        """The bounding range of the bytes inside the image that are read."""
        pixels, taps = self.registers[VectorOperation.CONFIG_PIXELS], self.registers[VectorOperation.CONFIG_TAPS]
        walk, use = self.registers[VectorOperation.CONFIG_WALK], self.registers[VectorOperation.CONFIG_LANES]
        size = ELEMENT_BYTES[use["a_size"]]
        tap_counts = [taps[f"count{level}"] for level in range(3)]
        tap_deltas = [(0, taps["dx0"]), (taps["dy1"], taps["dx1"]), (taps["dy2"], taps["dx2"])]
        y, x = _bounds(counts, [(pixels[f"dy{level}"], pixels[f"dx{level}"]) for level in range(PIXEL_LEVELS)])
        tap_y, tap_x = _bounds(tap_counts, tap_deltas)
        low, high = _widened(f["x0"] + x[0] + tap_x[0], f["x0"] + x[1] + tap_x[1], walk["a_group_step"], f["groups"])
        high += (1 if use["a_repeat"] else self.config.vector_lanes) * size - 1
        x_range = max(low, 0), min(high, taps["row_bytes"] - 1)
        y_range = max(f["y0"] + y[0] + tap_y[0], 0), min(f["y0"] + y[1] + tap_y[1], f["height"] - 1)
        if x_range[0] <= x_range[1] and y_range[0] <= y_range[1]:
            base = f["base"] if f["base"] < _SPACE // 2 else f["base"] - _SPACE
            pitch = taps["pitch"]
            yield (
                Memory.ACTIVATION,
                base + y_range[0] * pitch + x_range[0],
                base + y_range[1] * pitch + x_range[1] + 1,
                False,
            )


def _bounds(counts: Sequence[int], deltas: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Least and greatest y and x of a nest that begins at (0, 0)."""
    bounds, back = [[0, 0], [0, 0]], [0, 0]
    for count, delta in zip(counts, deltas, strict=True):
        for axis in range(2):
            way = (delta[axis] + back[axis]) * (count - 1)
            bounds[axis][way > 0] += way
            back[axis] += way
    return (bounds[0][0], bounds[0][1]), (bounds[1][0], bounds[1][1])


def _walked(count: int, inner: int, step: int, delta: int) -> tuple[int, int]:
    """Least and greatest offset of a walk over `count` pixels."""
    rows, across = -(-count // inner), (min(count, inner) - 1) * step
    low, high = min(across, 0), max(across, 0)
    return _widened(low, high, delta + (inner - 1) * step, rows)


def _widened(low: int, high: int, step: int, count: int) -> tuple[int, int]:
    way = step * (count - 1)
    return low + min(way, 0), high + max(way, 0)
