"""What an instruction of the vector unit reads and writes, from its fields and the configuration before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gatewright.hdl.instruction import Memory, Opcode
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.conflicts import Access
from gatewright.targets.array.isa_vector import ELEMENT_BYTES, VectorOperation
from gatewright.targets.array.nest import image_range, pixels_of, reach, vector_taps

__all__ = ["VectorEffects"]


class VectorEffects:
    """The configuration so far, and the ranges [start, stop) of the scratchpads that a COMPUTE reads and writes."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.registers: dict[Opcode, Mapping[str, int]] = {}

    def of(self, opcode: Opcode, fields: Mapping[str, int]) -> Iterator[Access]:
        if opcode == VectorOperation.COMPUTE:
            yield from self._compute(fields)
        else:
            self.registers[opcode] = fields

    def _compute(self, f: Mapping[str, int]) -> Iterator[Access]:
        pixels, taps = self.registers[VectorOperation.CONFIG_PIXELS], self.registers[VectorOperation.CONFIG_TAPS]
        walk, post = self.registers[VectorOperation.CONFIG_WALK], self.registers[VectorOperation.CONFIG_POST]
        use = self.registers[VectorOperation.CONFIG_LANES]
        config, lanes = self.config, self.config.vector_lanes
        groups, nest, kernel = f["groups"], pixels_of(pixels, f), vector_taps(taps)
        count = nest.size
        y, x = reach(nest, kernel)
        low, high = _widened(*x, walk["a_group_step"], groups)
        high += (1 if use["a_repeat"] else lanes) * ELEMENT_BYTES[use["a_size"]] - 1
        yield Access(Memory.ACTIVATION, *image_range(f, taps, y, (low, high)), False)
        if use["operand"]:
            low, high = _walked(count, walk["out_count"], walk["b_step"], walk["b_delta"])
            low, high = _widened(low, high, walk["b_tap_step"], kernel.size)
            low, high = _widened(low, high, walk["b_group_step"], groups)
            high += (1 if use["b_repeat"] else lanes) * ELEMENT_BYTES[use["b_size"]]
            yield Access(Memory.OUTPUT, f["b_base"] + low, f["b_base"] + high, False)
        if post["per_channel"]:
            size = groups * lanes * config.parameter_entry_bytes
            yield Access(Memory.PARAMETER, f["parameter_base"], f["parameter_base"] + size, False)
        if post["table"]:
            yield Access(Memory.TABLE, 0, 256, False)
        size = ELEMENT_BYTES[use["out_size"]]
        low, high = _walked(count, walk["out_count"], walk["out_step"], walk["out_delta"])
        last = high + (groups - 1) * walk["group_step"] + f["last_lanes"] * size
        before = high + max(groups - 2, 0) * walk["group_step"] + lanes * size if groups > 1 else last
        for enabled, memory, base in (
            (walk["to_activation"], Memory.ACTIVATION, f["activation_base"]),
            (walk["to_output"], Memory.OUTPUT, f["output_base"]),
        ):
            if enabled:
                yield Access(memory, base + low, base + max(last, before), True)


def _walked(count: int, inner: int, step: int, delta: int) -> tuple[int, int]:
    """Least and greatest offset of a walk over `count` pixels."""
    rows, across = -(-count // inner), (min(count, inner) - 1) * step
    low, high = min(across, 0), max(across, 0)
    return _widened(low, high, delta + (inner - 1) * step, rows)


def _widened(low: int, high: int, step: int, count: int) -> tuple[int, int]:
    way = step * (count - 1)
    return low + min(way, 0), high + max(way, 0)
