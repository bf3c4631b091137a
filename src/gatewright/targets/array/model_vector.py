"""The vector unit, executed: what `isa_vector` says, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gatewright.hdl.instruction import Memory
from gatewright.ir import Rounding, numerics
from gatewright.targets.array.isa import ROUNDING_CODES, parameter_dtype
from gatewright.targets.array.isa_vector import ELEMENT_BYTES, LaneOperation, VectorOperation
from gatewright.targets.array.nest import pixels_of, vector_taps

__all__ = ["VectorMachine"]

_ROUNDINGS = {code: rounding for rounding, code in ROUNDING_CODES.items()}
_SPACE = 1 << 20  # scratchpad addresses wrap at this many bytes
_CHUNK = 1 << 20  # operands gathered at once, to bound memory


@dataclass
class VectorMachine:
    """Configuration registers of the unit, and the scratchpads (bytes) that it shares with everything else.

    Sums have `sum_width` bits and wrap; `parameter_bytes` is the size of an entry of the parameter scratchpad.
    """

    lanes: int
    sum_width: int
    scratch: Mapping[Memory, np.ndarray]
    parameter_bytes: int = 8
    registers: dict[int, Mapping[str, int]] = field(default_factory=dict)

    def step(self, opcode: int, fields: Mapping[str, int]) -> None:
        if opcode == VectorOperation.COMPUTE:
            self._compute(fields)
        else:
            self.registers[opcode] = fields

    def _compute(self, f: Mapping[str, int]) -> None:
        pixels = pixels_of(self.registers[VectorOperation.CONFIG_PIXELS], f).points(f["y0"], f["x0"])
        taps = vector_taps(self.registers[VectorOperation.CONFIG_TAPS]).points()
        results = []
        step = max(1, _CHUNK // (len(taps) * self.lanes))
        for group in range(f["groups"]):
            for first in range(0, len(pixels), step):
                index = np.arange(first, min(first + step, len(pixels)))
                results.append((group, index, self._results(f, group, index, pixels[index], taps)))
        for group, index, values in results:
            self._write(f, group, index, values)

    # Operands.

    def _elements(self, memory: Memory, address: np.ndarray, size: int) -> np.ndarray:
        """Signed elements of `ELEMENT_BYTES[size]` bytes."""
        data = self.scratch[memory]
        count = ELEMENT_BYTES[size]
        value = np.zeros(address.shape, np.int64)
        for byte in range(count):
            value |= data[(address + byte) % _SPACE % len(data)].astype(np.int64) << (8 * byte)
        sign = 1 << (8 * count - 1)
        return (value ^ sign) - sign

    def _a(self, f: Mapping[str, int], group: int, pixels: np.ndarray, taps: np.ndarray) -> np.ndarray:
        """a - a_zero, [pixels, taps, lanes]."""
        t = self.registers[VectorOperation.CONFIG_TAPS]
        use = self.registers[VectorOperation.CONFIG_LANES]
        shift = self.registers[VectorOperation.CONFIG_WALK]["a_group_step"] * group
        y = (pixels[:, None, 0] + taps[None, :, 0])[:, :, None]
        x = (pixels[:, None, 1] + taps[None, :, 1] + shift)[:, :, None] + self._lane_bytes(
            use["a_size"], use["a_repeat"]
        )
        inside = (y >= 0) & (y < f["height"]) & (x >= 0) & (x < t["row_bytes"])
        data = self._elements(Memory.ACTIVATION, f["base"] + y * t["pitch"] + x, use["a_size"])
        return np.where(inside, data, t["pad"]) - use["a_zero"]

    def _b(self, f: Mapping[str, int], group: int, index: np.ndarray, taps: int) -> np.ndarray:
        """b - b_zero, or 1, [pixels, taps, lanes]."""
        use = self.registers[VectorOperation.CONFIG_LANES]
        if not use["operand"]:
            return np.ones((len(index), taps, self.lanes), np.int64)
        walk = self.registers[VectorOperation.CONFIG_WALK]
        place = f["b_base"] + group * walk["b_group_step"] + self._walk(index, "b_step", "b_delta")
        address = place[:, None, None] + np.arange(taps)[:, None] * walk["b_tap_step"]
        address = address + self._lane_bytes(use["b_size"], use["b_repeat"])
        return self._elements(Memory.OUTPUT, address, use["b_size"]) - use["b_zero"]

    def _lane_bytes(self, size: int, repeat: int) -> np.ndarray:
        return np.arange(self.lanes) * (0 if repeat else ELEMENT_BYTES[size])

    def _walk(self, index: np.ndarray, step: str, delta: str) -> np.ndarray:
        """Offset of pixels by their number."""
        walk = self.registers[VectorOperation.CONFIG_WALK]
        count = walk["out_count"]
        row = walk[delta] + (count - 1) * walk[step]
        return index // count * row + index % count * walk[step]

    # Lanes.

    def _results(
        self, f: Mapping[str, int], group: int, index: np.ndarray, pixels: np.ndarray, taps: np.ndarray
    ) -> np.ndarray:
        """[pixels, lanes]"""
        use = self.registers[VectorOperation.CONFIG_LANES]
        a, b = self._a(f, group, pixels, taps), self._b(f, group, index, len(taps))
        operation, amount = LaneOperation(use["operation"]), None
        if operation == LaneOperation.MULTIPLY_ADD:
            value = numerics.rounding_shift(a * b, use["product_shift"], Rounding.HALF_UP).sum(axis=1)
        elif operation == LaneOperation.MAX:
            value = a.max(axis=1)
        elif operation == LaneOperation.ARG_MAX:
            value = a.argmax(axis=1)
        elif operation == LaneOperation.AFFINE:
            value = a[:, -1] * use["mul_a"] + b[:, -1] * use["mul_b"]
        else:
            value, amount = a[:, -1], np.clip(b[:, -1], 0, 63)
        return self._tail(f, group, value, amount)

    def _tail(self, f: Mapping[str, int], group: int, value: np.ndarray, amount: np.ndarray | None) -> np.ndarray:
        post = self.registers[VectorOperation.CONFIG_POST]
        bias, mul, shift = (
            self._parameters(f, group) if post["per_channel"] else (post["bias"], post["mul"], post["shift"])
        )
        wrap = 64 - self.sum_width
        sums = (value + bias) << wrap >> wrap
        shift = np.broadcast_to(np.asarray(shift if amount is None else amount, np.int64), sums.shape)
        mul = np.broadcast_to(np.asarray(mul, np.int64), sums.shape)
        if post["leaky"]:
            mul, shift = np.where(sums < 0, mul, 1), np.where(sums < 0, shift, 0)
        shift = np.where(sums < 0, np.minimum(shift + post["negative_shift"], 63), shift)
        rounding = _ROUNDINGS[post["rounding"]]
        q = numerics.requantise(sums, mul, shift, post["zero"], post["low"], post["high"], rounding)
        if post["table"]:
            q = self.scratch[Memory.TABLE].view(np.int8)[q + 128].astype(np.int64)
        return q

    def _parameters(self, f: Mapping[str, int], group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bias, multiplier and shift of each lane."""
        size = self.parameter_bytes
        start = f["parameter_base"] + group * self.lanes * size
        data = self.scratch[Memory.PARAMETER]
        entries = data[(start + np.arange(self.lanes * size)) % len(data)].view(
            parameter_dtype(32 if size == 8 else 64)
        )
        mul_shift = entries["mul_shift"].astype(np.int64)
        return entries["bias"].astype(np.int64), mul_shift & 0xFFFFFF, mul_shift >> 24

    def _write(self, f: Mapping[str, int], group: int, index: np.ndarray, values: np.ndarray) -> None:
        walk = self.registers[VectorOperation.CONFIG_WALK]
        size = ELEMENT_BYTES[self.registers[VectorOperation.CONFIG_LANES]["out_size"]]
        lanes = f["last_lanes"] if group == f["groups"] - 1 else self.lanes
        place = group * walk["group_step"] + self._walk(index, "out_step", "out_delta")
        offset = place[:, None] + np.arange(lanes * size)
        parts = (values[:, :lanes, None] >> (8 * np.arange(size))) & 0xFF
        for enabled, memory, base in (
            (walk["to_activation"], Memory.ACTIVATION, f["activation_base"]),
            (walk["to_output"], Memory.OUTPUT, f["output_base"]),
        ):
            if enabled:
                data = self.scratch[memory]
                data[(base + offset) % _SPACE % len(data)] = parts.reshape(offset.shape).astype(np.uint8)
