"""The configurations that the tests of the bitfusion machine run on: few and small, since each is built once."""

from __future__ import annotations

from gatewright.targets.bitfusion.config import FusionConfig

__all__ = ["MACHINES", "WIDE"]

MACHINES: dict[str, FusionConfig] = {
    # all widths can be packed; small buffers, so that most layers are cut into tiles
    "4x8": FusionConfig(
        rows=4,
        columns=8,
        post_lanes=4,
        bus_bits=128,
        ibuf_bytes=8192,
        wbuf_bytes=8192,
        obuf_bytes=8192,
        result_width=32,
    ),
    # only 8 bits can be packed; results of up to 16 bits
    "3x5_dyadic": FusionConfig(
        rows=3,
        columns=5,
        post_lanes=2,
        bus_bits=32,
        multiplier_width=0,
        ibuf_bytes=4096,
        wbuf_bytes=4096,
        obuf_bytes=4096,
        parameter_bytes=1024,
        result_width=16,
    ),
    "4x4_fixed": FusionConfig(rows=4, columns=4, post_lanes=4, composable=False, ibuf_bytes=16384, wbuf_bytes=16384),
}

WIDE: dict[str, FusionConfig] = {
    # sums of 16 x 16 bits, and everything as wide as it can be
    "4x4_wide": FusionConfig(
        rows=4,
        columns=4,
        post_lanes=4,
        accumulator_width=48,
        result_width=32,
        ibuf_bytes=8192,
        wbuf_bytes=8192,
        obuf_bytes=8192,
        parameter_bytes=2048,
    ),
    "3x5_dyadic": MACHINES["3x5_dyadic"],
}
"""Machines that take operands, residual operands and results of 16 bits; the second has sums of 32 bits."""
