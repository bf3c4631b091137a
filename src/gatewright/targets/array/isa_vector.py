"""Instructions of the vector unit: element-wise operators, pools, depthwise convolutions, reductions, moves.

They carry `unit` = `VECTOR_UNIT` in their header and share the opcodes of the array's instructions where they mean the
same. A lane is one element wide; `vector_lanes` of them take consecutive elements. One COMPUTE of this unit runs

    for each group of lanes                 (outermost: parameters of a group are fetched once)
      for each pixel                        (four levels, as `isa.CONFIG_PIXELS`)
        for each tap                        (three levels)
          a[lane] = element at base + Y * pitch + X + lane * a_bytes,  pad unless inside
          b[lane] = element of the output scratchpad at b_base + its own walk + lane * b_bytes
          accumulate
        result[lane] = tail(accumulated), written at the output's walk + lane * out_bytes

with Y = pixel.y + tap.y, X = pixel.x + tap.x + group * a_group_step, and *inside* meaning 0 <= Y < height and
0 <= X + lane * a_bytes < row_bytes. Lengths, steps and addresses are in bytes; deltas are as in `isa`.

Values fit what the configuration builds: elements of a and b, and `pad`, `vector_operand_bytes`; zero points of these
one bit more; results, `zero`, `low` and `high` `vector_result_bytes`; `mul` `vector_multiplier_width` bits. The number
of a tap, for ARG_MAX, is below 2^20.
"""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import signed, unsigned

from gatewright.hdl.instruction import Opcode, instruction_layout
from gatewright.targets.array.isa import CONFIG_PIXELS, Operation

__all__ = [
    "ELEMENT_BYTES",
    "VECTOR_COMPUTE",
    "VECTOR_LANES",
    "VECTOR_LAYOUTS",
    "VECTOR_MNEMONICS",
    "VECTOR_POST",
    "VECTOR_TAPS",
    "VECTOR_UNIT",
    "VECTOR_WALK",
    "LaneOperation",
    "VectorOperation",
]

VECTOR_UNIT = 1
"""Value of the header's `unit`."""

ELEMENT_BYTES = (1, 2, 4)
"""Bytes of an element by the code in a `size` field; elements are signed, little-endian."""


class VectorOperation:
    """Opcodes of the vector unit."""

    CONFIG_PIXELS = Operation.CONFIG_PIXELS
    CONFIG_TAPS = Operation.CONFIG_TAPS
    CONFIG_POST = Operation.CONFIG_POST
    COMPUTE = Operation.COMPUTE
    CONFIG_LANES = Opcode.CORE4
    CONFIG_WALK = Opcode.CORE5


class LaneOperation(IntEnum):
    """What a lane does with each tap; `da = a - a_zero`, `db = b - b_zero`, or 1 without `operand`."""

    MULTIPLY_ADD = 0  # sum += half_up(da * db / 2^product_shift), from 0
    MAX = 1  # the largest da
    ARG_MAX = 2  # the number of the first tap with the largest da
    AFFINE = 3  # da * mul_a + db * mul_b of the last tap
    SHIFT = 4  # da of the last tap; the tail's shift is min(max(db, 0), 63)


# Order in which taps are visited: level 0 is innermost.
VECTOR_TAPS = instruction_layout(
    {
        "count0": unsigned(14),
        "dx0": signed(20),
        "count1": unsigned(14),
        "dy1": signed(14),
        "dx1": signed(20),
        "count2": unsigned(14),
        "dy2": signed(14),
        "dx2": signed(20),
        "row_bytes": unsigned(20),
        "pitch": unsigned(20),
        "pad": signed(16),
    }
)

# What lanes do. With `a_repeat` (`b_repeat`) all lanes take the element of lane 0. Operands have 1 or 2 bytes
# (`a_size`, `b_size` 0 or 1), results 1, 2 or 4.
VECTOR_LANES = instruction_layout(
    {
        "operation": unsigned(3),
        "operand": unsigned(1),  # b is read; else db is 1
        "a_size": unsigned(2),
        "b_size": unsigned(2),
        "out_size": unsigned(2),
        "a_repeat": unsigned(1),
        "b_repeat": unsigned(1),
        "a_zero": signed(17),
        "b_zero": signed(17),
        "mul_a": signed(25),
        "mul_b": signed(25),
        "product_shift": unsigned(6),
    }
)

# The tail: with s the accumulated value plus bias,
#   q = clip(round(s * mul / 2^shift) + zero, low, high)
# where a negative s is shifted by shift + negative_shift; with `leaky`, an s of at least 0 has mul 1 and shift 0.
# With `per_channel`, bias, mul and shift are the lane's entry in the parameter scratchpad (`isa.PARAMETER`).
# With `table`, table[q + 128] is the result. It is taken once every COMPUTE of this unit before it has completed: a
# COMPUTE behind it may read what one before it wrote. COMPUTEs of the two units never overlap.
VECTOR_POST = instruction_layout(
    {
        "per_channel": unsigned(1),
        "bias": signed(48),
        "mul": unsigned(24),
        "shift": unsigned(6),
        "negative_shift": unsigned(6),
        "leaky": unsigned(1),
        "rounding": unsigned(2),
        "zero": signed(32),
        "low": signed(32),
        "high": signed(32),
        "table": unsigned(1),
    }
)

# Places. Results of consecutive pixels lie `out_step` bytes apart, after `out_count` of them `out_delta` follows; b is
# read at a walk with the same counts, `b_tap_step` further for each tap of a pixel. Groups add their own steps.
VECTOR_WALK = instruction_layout(
    {
        "to_activation": unsigned(1),  # results go to the activation scratchpad, at VECTOR_COMPUTE.activation_base
        "to_output": unsigned(1),  # results go to the output scratchpad, at VECTOR_COMPUTE.output_base
        "out_count": unsigned(14),
        "out_step": signed(20),
        "out_delta": signed(20),
        "b_step": signed(20),
        "b_delta": signed(20),
        "b_tap_step": signed(20),
        "a_group_step": signed(20),
        "b_group_step": signed(20),
        "group_step": signed(20),
    }
)

VECTOR_COMPUTE = instruction_layout(
    {
        "base": unsigned(20),  # may point before the tile: addresses wrap modulo 2^20
        "y0": signed(14),
        "x0": signed(20),
        "outer_count": unsigned(14),
        "height": unsigned(14),
        "groups": unsigned(12),
        "last_lanes": unsigned(7),  # elements written in the last group
        # Entries of lane 0, 1, ... of group 0, then group 1, ...; all lanes have one. A multiple of the bytes that
        # min(vector_lanes, post_lanes) entries take; mul has vector_multiplier_width bits, shift is 0..63.
        "parameter_base": unsigned(20),
        "activation_base": unsigned(20),
        "output_base": unsigned(20),
        "b_base": unsigned(20),
    }
)

VECTOR_LAYOUTS = {
    VectorOperation.CONFIG_PIXELS: CONFIG_PIXELS,
    VectorOperation.CONFIG_TAPS: VECTOR_TAPS,
    VectorOperation.CONFIG_POST: VECTOR_POST,
    VectorOperation.COMPUTE: VECTOR_COMPUTE,
    VectorOperation.CONFIG_LANES: VECTOR_LANES,
    VectorOperation.CONFIG_WALK: VECTOR_WALK,
}

VECTOR_MNEMONICS = {
    VectorOperation.CONFIG_PIXELS: "v.pixels",
    VectorOperation.CONFIG_TAPS: "v.taps",
    VectorOperation.CONFIG_POST: "v.post",
    VectorOperation.COMPUTE: "v.compute",
    VectorOperation.CONFIG_LANES: "v.lanes",
    VectorOperation.CONFIG_WALK: "v.walk",
}
