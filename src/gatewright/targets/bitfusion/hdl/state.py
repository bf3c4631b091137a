"""The core's state in hardware, and what the datapath reads off it."""

from amaranth.hdl import *
from amaranth.lib import data

from gatewright.targets.bitfusion.blocks import POST_FIELDS, STATE
from gatewright.targets.bitfusion.hdl.unit import PAIR, InputCode, WeightCode
from gatewright.targets.bitfusion.slots import SHARED_DISTANCES

__all__ = ["POST_LAYOUT", "STATE_LAYOUT", "STEP_INFO", "pair_of", "width_is"]

STATE_LAYOUT = data.StructLayout({name: shape for name, (shape, _) in STATE.items()})

POST_LAYOUT = data.StructLayout({name: STATE[name][0] for name in STATE if name in POST_FIELDS})
"""What the post unit has settings of its own for."""

STEP_INFO = data.StructLayout(
    {
        "pair": PAIR,
        "chunk_step": 3,  # which step of a chunk of weights it is
        "packed_weights": 1,  # weights have 6 bits
        "two_bytes": 1,  # inputs have 16
        "weight_high": 1,  # weights are the upper bytes of 16-bit ones
        "split": 1,  # chunks are split among rows
        "shared": 1,  # pixels share a word
        "distance": range(len(SHARED_DISTANCES)),  # ... and lie so far apart
        "in_turn": 1,  # ... in two rows of the image, every other one in each
    }
)
"""What goes along with a step."""

_SIGNED_BIT = 8


def width_is(register: Value, width: int) -> Value:
    """Whether a format register says this width."""
    return register[:_SIGNED_BIT] == width


def pair_of(m: Module, state: data.View, composable: bool) -> data.View:
    """The operand pair of the state's formats; always signed 8 x 8 where there is nothing to compose."""
    pair = Signal(PAIR)
    if not composable:
        m.d.comb += [pair.input_signed.eq(1), pair.weight_signed.eq(1)]
        return pair
    m.d.comb += [pair.input_signed.eq(state.input[_SIGNED_BIT]), pair.weight_signed.eq(state.weight[_SIGNED_BIT])]
    for width, code in ((4, InputCode.WIDTH_4), (2, InputCode.WIDTH_2), (6, InputCode.WIDTH_6)):
        with m.If(width_is(state.input, width)):
            m.d.comb += pair.input.eq(code)
    for width, weight_code in ((4, WeightCode.WIDTH_4), (2, WeightCode.WIDTH_2)):
        with m.If(width_is(state.weight, width)):
            m.d.comb += pair.weight.eq(weight_code)
    return pair
