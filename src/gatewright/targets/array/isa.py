"""Compute instructions of the array datapath.

The core works on *pixels* (rows of the array) and *filters* (columns). A pixel is a point (y, x) in a tile of
activations held in the activation scratchpad: y counts rows of `pitch` bytes, x counts *bytes* within a row. A *tap*
word is an offset (dy, dx) from the pixel; it names `word_length` consecutive elements of 1 byte, or 2 where a machine
takes such. So for each pixel and tap word

    Y = pixel.y + tap.dy        X = pixel.x + tap.dx        address = base + Y * pitch + X

and element j of the word reads `pad` instead of memory unless 0 <= Y < height and 0 <= X + j * size < row_bytes. With
elements of 2 bytes X, steps and lengths of rows are even; addresses are of any alignment. Elements are little-endian.

Nests are given as counts and *deltas*: a delta is added when its level advances, after all levels inside it have
wrapped; it therefore already includes the way back over the inner levels.
"""

from __future__ import annotations

import numpy as np
from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from gatewright.hdl.instruction import HEADER, TRANSFER, Opcode, instruction_layout
from gatewright.hdl.requantise import ROUNDING_CODES

__all__ = [
    "COMPUTE",
    "CONFIG_PIXELS",
    "CONFIG_POST",
    "CONFIG_RANGE",
    "CONFIG_TAPS",
    "LAYOUTS",
    "MNEMONICS",
    "PARAMETER",
    "PIXEL_LEVELS",
    "ROUNDING_CODES",
    "Operation",
    "parameter_dtype",
    "parameter_layout",
]

PIXEL_LEVELS = 4


class Operation:
    """Opcodes of the core."""

    CONFIG_PIXELS = Opcode.CORE0
    CONFIG_TAPS = Opcode.CORE1
    CONFIG_POST = Opcode.CORE2
    COMPUTE = Opcode.CORE3
    CONFIG_RANGE = Opcode.CORE7


# Order in which pixels are visited: level 0 is innermost. The count of the outermost level is `COMPUTE.outer_count`.
CONFIG_PIXELS = instruction_layout(
    {
        name: shape
        for level in range(PIXEL_LEVELS)
        for name, shape in (
            (f"count{level}", unsigned(14)),
            (f"dy{level}", signed(14)),
            (f"dx{level}", signed(20)),
        )
    }
)

# Order in which the taps of a pixel are visited: `words` words of a segment (x advances by word_length elements),
# `count_s` segments, `count_r` rows of segments. `wide`: elements have 2 bytes (only where activation_width > 8).
CONFIG_TAPS = instruction_layout(
    {
        "words": unsigned(14),
        "count_s": unsigned(10),
        "dx_s": signed(20),
        "count_r": unsigned(10),
        "dy_r": signed(10),
        "dx_r": signed(20),
        "row_bytes": unsigned(20),
        "pitch": unsigned(20),
        "pad": signed(16),
        "wide": unsigned(1),
    }
)

# The tail. For each sum, in this order:
#   q = clip(round((sum + bias) * mul / 2^shift) + zero, low, high)        negative sums: shift + negative_shift
#   if residual:  q = clip(round((q * mul_a + b * mul_b + add_bias) / 2^add_shift) + add_zero, add_low, add_high)
#   if table:     q = table[q + 128]
#   the maximum of each `pool_count` consecutive pixels is written.
# Written pixels are laid out by a nest of two levels: `out_count` pixels `out_step` bytes apart, then `out_delta`;
# consecutive filter tiles lie `filter_step` bytes apart. b is read at the same place relative to `residual_base`, and
# where its elements have another size than the results, at this multiple of the distance. Sizes are 2^`..._size` bytes.
# Machines with a `result_width` above 8 take zero, low, high, add_bias, add_zero, add_low and add_high not from here,
# but from the CONFIG_RANGE before it.
CONFIG_POST = instruction_layout(
    {
        "rounding": unsigned(2),
        "zero": signed(9),
        "low": signed(9),
        "high": signed(9),
        "negative_shift": unsigned(5),
        "residual": unsigned(1),
        "mul_a": signed(18),
        "mul_b": signed(18),
        "add_bias": signed(28),
        "add_shift": unsigned(6),
        "add_zero": signed(9),
        "add_low": signed(9),
        "add_high": signed(9),
        "table": unsigned(1),
        "pool_count": unsigned(10),
        "to_activation": unsigned(1),  # results go to the activation scratchpad, at COMPUTE.activation_base
        "to_output": unsigned(1),  # results go to the output scratchpad, at COMPUTE.output_base
        "out_count": unsigned(14),
        "out_step": unsigned(20),
        "out_delta": signed(20),
        "filter_step": unsigned(20),
        "result_size": unsigned(2),
        "residual_size": unsigned(1),
    }
)

# The bounds of the tail where CONFIG_POST has no room for them. Takes effect with everything before it written.
CONFIG_RANGE = instruction_layout(
    {
        "zero": signed(33),
        "low": signed(33),
        "high": signed(33),
        "add_bias": signed(36),
        "add_zero": signed(17),
        "add_low": signed(17),
        "add_high": signed(17),
    }
)

# For each of `filter_tiles` tiles of `columns` filters, for each tile of `rows` pixels, for each tap: multiply and add.
# Partial sums stay in the array from a COMPUTE without `last` to the next one without `first` (one tile only).
COMPUTE = instruction_layout(
    {
        "base": unsigned(
            20
        ),  # of the tile, in the activation scratchpad; may point before it: address wraps modulo 2^20
        "y0": signed(14),
        "x0": signed(20),
        "outer_count": unsigned(14),
        "height": unsigned(14),
        "weight_base": unsigned(20),  # bytes; a tap word needs word_length rows of weight_word_bytes each
        "filter_tiles": unsigned(12),
        "last_columns": unsigned(7),  # filters in the last filter tile
        "parameter_base": unsigned(20),  # bytes; a filter tile needs lane_groups words of parameter_word_bytes
        "activation_base": unsigned(20),
        "output_base": unsigned(20),
        "residual_base": unsigned(20),
        "first": unsigned(1),
        "last": unsigned(1),
    }
)


def parameter_layout(bias_width: int) -> data.StructLayout:
    """Parameters of one filter, 8 or 16 bytes; there are lane_groups * post_lanes of them for each filter tile.

    On a dyadic machine `mul` is ignored and `shift` is signed: negative shifts left.
    """
    padding = {"padding": unsigned(32)} if bias_width > 32 else {}
    return data.StructLayout({"bias": signed(bias_width), "mul": unsigned(24), "shift": signed(8), **padding})


PARAMETER = parameter_layout(32)
"""On machines whose sums have at most 32 bits."""


def parameter_dtype(bias_width: int) -> np.dtype[np.void]:
    """`parameter_layout` for NumPy, with `mul` and `shift` as one number, `mul_shift`."""
    layout = parameter_layout(bias_width)
    offsets = [layout[name].offset // 8 for name in ("bias", "mul")]
    formats = [f"<i{bias_width // 8}", "<u4"]
    size = layout.size // 8
    return np.dtype({"names": ["bias", "mul_shift"], "formats": formats, "offsets": offsets, "itemsize": size})


LAYOUTS = {
    Opcode.LOAD: TRANSFER,
    Opcode.STORE: TRANSFER,
    Opcode.END: HEADER,
    Operation.CONFIG_PIXELS: CONFIG_PIXELS,
    Operation.CONFIG_TAPS: CONFIG_TAPS,
    Operation.CONFIG_POST: CONFIG_POST,
    Operation.COMPUTE: COMPUTE,
    Operation.CONFIG_RANGE: CONFIG_RANGE,
}

MNEMONICS = {
    Opcode.LOAD: "load",
    Opcode.STORE: "store",
    Opcode.END: "end",
    Operation.CONFIG_PIXELS: "pixels",
    Operation.CONFIG_TAPS: "taps",
    Operation.CONFIG_POST: "post",
    Operation.COMPUTE: "compute",
    Operation.CONFIG_RANGE: "range",
}
