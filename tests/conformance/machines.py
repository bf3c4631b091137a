"""The configurations that the conformance suite runs on: few and small, since each is built once for its RTL."""

from __future__ import annotations

from gatewright.targets.array.config import ArrayConfig

__all__ = ["SYSTOLIC", "VECTOR", "WIDE"]

SYSTOLIC: dict[str, ArrayConfig] = {
    "8x8": ArrayConfig(),
    "4x16": ArrayConfig(rows=4, columns=16, post_lanes=8, bus_bits=128),
    # small scratchpads: most layers are cut into tiles
    "3x5_dyadic": ArrayConfig(
        rows=3,
        columns=5,
        post_lanes=2,
        bus_bits=32,
        multiplier_width=0,
        activation_bytes=4096,
        output_bytes=4096,
        weight_bytes=4096,
        parameter_bytes=1024,
    ),
}

VECTOR: dict[str, ArrayConfig] = {
    "8x8_v8": ArrayConfig(vector_lanes=8),
    # small scratchpads, and a post unit that leaves all but sums to the vector unit
    "3x5_v4": ArrayConfig(
        rows=3,
        columns=5,
        post_lanes=2,
        bus_bits=32,
        activation_bytes=4096,
        output_bytes=4096,
        weight_bytes=4096,
        parameter_bytes=1024,
        residual=False,
        pool=False,
        lut=False,
        vector_lanes=4,
    ),
}

WIDE: dict[str, ArrayConfig] = {
    "4x4_16x16": ArrayConfig(
        rows=4,
        columns=4,
        activation_width=16,
        weight_width=16,
        accumulator_width=48,
        result_width=32,
        post_lanes=2,
        bus_bits=32,
    ),
    "3x5_16x8_dyadic": ArrayConfig(
        rows=3,
        columns=5,
        feed_words=3,
        activation_width=16,
        result_width=16,
        multiplier_width=0,
        post_lanes=4,
        activation_bytes=4096,
        output_bytes=4096,
        weight_bytes=4096,
        parameter_bytes=1024,
    ),
}
"""Machines with operands of up to 16 bits; the second has narrow weights and sums, and small scratchpads."""
