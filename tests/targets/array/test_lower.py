"""Lowering: what a program moves, and what is refused."""

import pytest
from tests.conformance.cases import CASES, Maker

from gatewright import ir
from gatewright.errors import ConfigError
from gatewright.hdl.instruction import Memory, Opcode
from gatewright.passes import run_passes
from gatewright.targets.array.assembler import decode
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.lower import lower
from gatewright.targets.array.placement import Arena
from gatewright.targets.array.supports import SUPPORT


def _loaded(program: object, memory: Memory) -> int:
    steps = decode(program.regions[0].data)  # type: ignore[attr-defined]
    loads = [step.fields for step in steps if step.opcode == Opcode.LOAD and step.fields["memory"] == memory]
    return sum(f["length"] * f["count0"] * f["count1"] for f in loads)


def test_each_activation_crosses_the_bus_once() -> None:
    """im2col happens in the machine: a 3 x 3 convolution loads its image, not nine copies of it."""
    graph = run_passes(CASES["conv_basic"](Maker("conv", dyadic=False)))
    program = lower(graph, ArrayConfig())
    assert _loaded(program, Memory.ACTIVATION) == graph.inputs[0].type.size


def test_activations_between_layers_stay_on_chip_when_they_fit() -> None:
    graph = run_passes(CASES["residual_chain"](Maker("chain", dyadic=False)))
    program = lower(graph, ArrayConfig())
    assert _loaded(program, Memory.ACTIVATION) == graph.inputs[0].type.size
    assert _loaded(program, Memory.OUTPUT) == 0
    stores = [step for step in decode(program.regions[0].data) if step.opcode == Opcode.STORE]
    assert len(stores) == 1


def test_small_scratchpads_spill_to_memory() -> None:
    graph = run_passes(CASES["residual_chain"](Maker("chain", dyadic=False)))
    program = lower(graph, ArrayConfig(activation_bytes=4096, output_bytes=4096))
    assert program.regions[4].size > 64
    assert _loaded(program, Memory.ACTIVATION) > graph.inputs[0].type.size


def test_constants_hold_each_weight_once() -> None:
    graph = run_passes(CASES["residual_chain"](Maker("chain", dyadic=False)))
    small = lower(graph, ArrayConfig(activation_bytes=4096, output_bytes=4096))
    assert len(small.regions[1].data) == len(lower(graph, ArrayConfig()).regions[1].data)


def test_a_scratchpad_too_small_for_one_tile_says_the_minimum() -> None:
    maker = Maker("wide", dyadic=False)
    graph = run_passes(maker.build(maker.layer(maker.input(1, 5, 5, 256), 8, (5, 5))))
    with pytest.raises(ConfigError, match=r"activation_bytes must be at least 8192 for layer 'conv2d', not 4096"):
        lower(graph, ArrayConfig(activation_bytes=4096))


def test_arena_allocates_first_fit_and_reuses() -> None:
    arena = Arena(256)
    assert [arena.take(key, 64).start for key in "abc"] == [0, 64, 128]  # type: ignore[union-attr]
    arena.release("b")
    assert arena.take("d", 128) is None
    assert arena.take("e", 10).start == 64  # type: ignore[union-attr]
    assert arena.largest().size == 64


def test_a_zero_point_may_lie_outside_the_result_but_not_the_post_unit() -> None:
    text = """graph "far"
input x: i8[1,4]
constant w: i8[2,4] = [[1, 2, 3, 4], [5, 6, 7, 8]]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
sums = matmul(x, w) -> i32[1,2]
y = requantise(sums, mul, shift, zero=ZERO, low=-2, high=1, rounding=half_even, dtype=i2) -> i2[1,2]
output y
"""
    near, far = (ir.parse(text.replace("ZERO", zero)) for zero in ("-256", "-257"))
    assert SUPPORT.reason(near.nodes[1], near, ArrayConfig()) is None
    assert SUPPORT.reason(far.nodes[1], far, ArrayConfig()) == "zero must be within -256..255, not -257"
    assert SUPPORT.reason(far.nodes[1], far, ArrayConfig(result_width=16)) is None
    wide = ir.parse(text.replace("ZERO", "-32768").replace("i2", "i16"))
    reason = "the result must be signed with 8 bits at most (result_width), not i16"
    assert SUPPORT.reason(wide.nodes[1], wide, ArrayConfig()) == reason
