"""Evaluation and instruction-set model agree on every case, at every pair of operand widths."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from tests.conformance.cases import CASES, Maker, inputs_of
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker

from gatewright import ir
from gatewright.errors import ConfigError, GraphError, ProgramError
from gatewright.ir.packing import packed_bytes
from gatewright.passes import run_passes
from gatewright.program import Program
from gatewright.targets.bitfusion import BitfusionTarget
from gatewright.targets.bitfusion.assembler import decode_steps, disassemble
from gatewright.targets.bitfusion.blocks import STATE, apply, carried, changes, initial_state, words_of
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.isa import Fusion, Op
from gatewright.targets.bitfusion.lower import lower
from gatewright.targets.bitfusion.model import execute
from gatewright.targets.bitfusion.operands import products_per_unit
from gatewright.targets.bitfusion.slots import slots_of

WIDTHS = (2, 4, 6, 8)

SMALLEST = FusionConfig(
    rows=2,
    columns=3,
    post_lanes=1,
    multiplier_width=0,
    ibuf_bytes=2048,
    wbuf_bytes=2048,
    obuf_bytes=2048,
    parameter_bytes=1024,
)


def check(graph, config: FusionConfig) -> None:
    target = BitfusionTarget()
    lowered = run_passes(graph, target.passes)
    target.check(lowered, config)
    inputs = inputs_of(lowered)
    outputs = execute(lower(lowered, config), config, inputs)
    for name, expected in lowered.evaluate(*inputs).items():
        np.testing.assert_array_equal(outputs[name], expected, err_msg=name)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("case", CASES)
def test_model_equals_evaluation(case, machine):
    config = MACHINES[machine]
    check(run_passes(CASES[case](Maker(case, dyadic=not config.multiplier_width))), config)


@pytest.mark.parametrize("widths", list(product(WIDTHS, WIDTHS)))
@pytest.mark.parametrize("case", CASES)
def test_model_equals_evaluation_at_every_pair(case, widths):
    check(run_passes(CASES[case](NarrowMaker(case, widths))), MACHINES["4x8"])


@pytest.mark.parametrize("widths", list(product((3, 5, 7), (1, 3, 5))))
def test_other_widths_take_the_next_one(widths):
    check(run_passes(CASES["conv_basic"](NarrowMaker("odd", widths))), MACHINES["4x8"])


@pytest.mark.parametrize("widths", list(product(WIDTHS, WIDTHS)))
def test_unsigned_weights(widths):
    check(run_passes(CASES["conv_stride_3"](NarrowMaker("unsigned", widths, unsigned=True))), MACHINES["4x8"])


@pytest.mark.parametrize("widths", [(4, 4), (6, 2), (2, 2)])
def test_arrays_that_cannot_pack_run_narrow_networks_all_the_same(widths):
    for machine in ("3x5_dyadic", "4x4_fixed"):
        config = MACHINES[machine]
        check(run_passes(CASES["classifier"](NarrowMaker("odd", widths, dyadic=not config.multiplier_width))), config)


def test_narrow_values_take_less_memory_and_fewer_steps():
    config = MACHINES["4x8"]
    sizes = {}
    for width in WIDTHS:
        maker = NarrowMaker("chain", (width, width))
        x = maker.layer(maker.layer(maker.layer(maker.input(1, 12, 12, 16), 16), 16), 16)
        program = lower(run_passes(maker.build(x)), config)
        loads = [step for step in decode_steps(program.regions[0].data) if step.fields.get("region") == 1]
        weights = sum(s.fields["length"] * s.fields["count0"] for s in loads if s.fields["memory"] == 1)
        sizes[width] = weights, program.regions[4].size
    assert sizes[6][0] <= 0.8 * sizes[8][0]
    assert sizes[4][0] <= 0.55 * sizes[8][0]
    assert sizes[2][0] <= 0.35 * sizes[8][0]
    assert packed_bytes(16, 6) == 12


def test_layers_say_what_units_finish_and_what_results_take(tmp_path):
    """Nine filters of 4 bits are no whole bytes."""
    maker = NarrowMaker("chain", (4, 2))
    x = maker.layer(maker.layer(maker.input(1, 5, 5, 8), 9), 8)
    pooled = maker.op(ir.MaxPool((3, 3), (3, 3)), maker.op(ir.Concat(3), x, x))
    program = lower(run_passes(maker.build(pooled)), MACHINES["4x8"])
    found = [(layer.widths, layer.products_per_unit, layer.kept) for layer in program.layers]
    assert found == [
        ("4 x 2", "8", "i4 in 8 bits"),
        ("4 x 2 as 8 x 2", "4", None),
        (None, None, None),
        (None, None, None),
    ]
    six = lower(run_passes(CASES["conv_basic"](NarrowMaker("six", (6, 6)))), MACHINES["4x4_fixed"])
    assert [(layer.products_per_unit, layer.kept) for layer in six.layers] == [("1", "i6 in 8 bits")]
    six.save(tmp_path)
    assert Program.load(tmp_path).layers == six.layers


def test_a_row_of_a_kernel_fills_its_slots():
    config = FusionConfig(bus_bits=256)
    slots = slots_of(packed_bytes(3 * 64, 4), 4, 2, config)
    assert (slots.words, slots.steps, slots.lanes) == (1, 24, 4)
    assert slots_of(packed_bytes(3 * 64, 2), 2, 2, config).steps == 16  # no shorter than there are rows
    assert slots_of(5, 8, 8, config).steps == 16
    assert slots_of(packed_bytes(64, 6), 6, 8, config).steps == 48


def test_words_carry_every_change_of_the_state():
    random = np.random.default_rng(0)
    state = initial_state()
    for _ in range(50):
        wanted = {}
        for name, (shape, _) in STATE.items():
            low, high = (-(1 << (shape.width - 1)), 1 << (shape.width - 1)) if shape.signed else (0, 1 << shape.width)
            wanted[name] = int(random.choice([low, high - 1, 0, random.integers(low, high)]))
        words = changes(state, wanted)
        for start in range(0, len(words), 7):
            for word in words_of(carried(words[start : start + 7])):
                apply(state, word)
        assert state == wanted
        assert changes(state, wanted) == []


def test_values_that_do_not_fit_and_words_that_set_nothing():
    with pytest.raises(ProgramError, match=r"slot must be in 0\.\.1023, not 1024"):
        changes(initial_state(), {"slot": 1024})
    with pytest.raises(ProgramError, match="this machine has nothing that 'setup 99, 3' could set"):
        apply(initial_state(), Fusion(Op.SETUP, 99, 0, 3))


def test_disassembly_reads_as_fusion_isa():
    program = lower(run_passes(CASES["conv_basic"](Maker("conv", dyadic=False))), MACHINES["4x8"])
    text = disassemble(decode_steps(program.regions[0].data))
    for line in ("ld-mem", "st-mem", "setup input, 264", "compute loop 31, 3", "gen-addr ibuf, loop 0, 3", "end"):
        assert line in text
    with pytest.raises(ProgramError, match="Instruction 0 has opcode 0, which is not one of"):
        decode_steps(bytes(32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": 0}, "rows must be a whole number from 1 to 64, not 0"),
        ({"ibuf_bytes": 1000}, "ibuf_bytes must be a power of two from 1024 to 1048576, not 1000"),
        ({"ibuf_bytes": 1024, "rows": 64}, "ibuf_bytes must be at least 2048 for this array, not 1024"),
        ({"feed_bytes": 32}, "feed_bytes must be 0 or a power of two from 64 to 512 for 16 rows, not 32"),
        ({"bus_bits": 48}, "bus_bits must be 32, 64, 128 or 256, not 48"),
    ],
)
def test_configurations_that_there_are_not(values, message):
    with pytest.raises(ConfigError, match=message):
        FusionConfig(**values)


def test_buffers_too_small_for_a_block():
    config = FusionConfig(
        rows=4, columns=4, post_lanes=4, bus_bits=32, obuf_bytes=1024, ibuf_bytes=1024, wbuf_bytes=1024
    )
    maker = Maker("wide", dyadic=False)
    graph = run_passes(maker.build(maker.layer(maker.input(1, 4, 4, 2048), 8, (1, 1))))
    with pytest.raises(ConfigError, match=r"ibuf_bytes must be at least 2048 for layer"):
        lower(graph, config)


def test_weights_that_no_unit_takes():
    maker = Maker("wide", dyadic=False)
    x = maker.input(1, 4, 4, 4)
    weights = maker.builder.constant(np.array([-1, 40000, 3, 4]).reshape(1, 1, 1, 4), ir.I32)
    graph = maker.build(maker.requantise(maker.builder.add(ir.Conv2d(), x, weights), depth=4))
    with pytest.raises(GraphError, match=r"weights must be within -32768\.\.32767, not -1\.\.40000"):
        BitfusionTarget().check(run_passes(graph), FusionConfig())


def sums_of(width: int) -> ir.Graph:
    """Two layers, the last one with results of `width` bits: plain sums, and requantised ones."""
    maker = NarrowMaker("sums", (4, 2))
    x = maker.layer(maker.input(1, 5, 5, 8), 8)
    kind = ir.IntType(width)
    constants = (maker.builder.constant([3], ir.U32), maker.builder.constant([1], ir.IntType(8, signed=False)))
    op = ir.Requantise(-5, kind.min, kind.max, ir.Rounding.HALF_EVEN, kind)
    scaled = maker.builder.add(op, maker.conv(x, 11, (3, 3)), *constants)
    return maker.build(*([scaled] if width == 16 else [scaled, maker.conv(x, 7, (1, 1))]))


@pytest.mark.parametrize("width", [16, 32])
def test_results_wider_than_what_the_array_reads(width):
    check(run_passes(sums_of(width)), MACHINES["4x8"])
    with pytest.raises(GraphError, match="result"):
        BitfusionTarget().check(run_passes(sums_of(width)), replace(MACHINES["4x8"], result_width=8))


def wide_inputs(weight_width: int, *, pads=(1, 1, 1, 1), width: int = 16) -> ir.Graph:
    """A convolution of 16-bit inputs, and a narrow one behind it."""
    maker = NarrowMaker("wide", (8, min(weight_width, 8)))
    x = maker.builder.input("x", ir.TensorType((1, 6, 5, 7), ir.IntType(width)))
    most = (1 << (weight_width - 1)) - 1
    values = maker.random.integers(-most - 1, most + 1, (9, 3, 3, 7))
    weights = maker.builder.constant(values, ir.IntType(weight_width))
    kind = ir.I8
    shift = width - 8 + weight_width + 2
    constants = (maker.builder.constant([1], ir.U32), maker.builder.constant([shift], ir.IntType(8, signed=False)))
    op = ir.Requantise(0, kind.min, kind.max, ir.Rounding.HALF_EVEN, kind)
    sums = maker.builder.add(ir.Conv2d(pads=pads), x, weights)
    return maker.build(maker.layer(maker.builder.add(op, sums, *constants), 5))


@pytest.mark.parametrize("weight_width", WIDTHS)
def test_inputs_of_16_bits_take_two_steps(weight_width):
    check(run_passes(wide_inputs(weight_width)), MACHINES["4x8"])
    assert products_per_unit(16, weight_width) == Fraction(1, 2)


@pytest.mark.parametrize("width", WIDTHS)
def test_weights_of_16_bits_take_two_passes(width):
    check(run_passes(wide_inputs(16, width=width)), MACHINES["4x8"])
    assert products_per_unit(8, 16) == Fraction(1, 2)


def widest() -> ir.Graph:
    """Products of 16 x 16 bits, one a sum: more would not fit 32 bits."""
    maker = NarrowMaker("widest", (8, 8))
    x = maker.builder.input("x", ir.TensorType((1, 6, 5, 1), ir.I16))
    weights = maker.builder.constant(np.array([-32768, 32767, -1, 255, 256]).reshape(5, 1, 1, 1), ir.I16)
    constants = (maker.builder.constant([1], ir.U32), maker.builder.constant([16], ir.IntType(8, signed=False)))
    op = ir.Requantise(0, -32768, 32767, ir.Rounding.HALF_EVEN, ir.I16)
    return maker.build(maker.builder.add(op, maker.builder.add(ir.Conv2d(), x, weights), *constants))


def test_products_of_16_x_16_bits():
    check(run_passes(widest()), MACHINES["4x8"])
    assert products_per_unit(16, 16) == Fraction(1, 4)


def test_rows_are_stored_as_they_are_done_only_where_tiles_have_whole_rows():
    """An image that the input buffer does not hold is computed in tiles of columns, its result kept on chip whole."""
    maker = Maker("columns", dyadic=True)
    x = maker.op(ir.MaxPool((2, 2), (1, 2), (1, 0, 1, 1)), maker.input(1, 9, 11, 32))
    check(run_passes(maker.build(maker.layer(x, 16, (1, 1), strides=(3, 3)))), SMALLEST)


def test_network_without_a_layer():
    """A transposition that moves nothing is no layer."""
    maker = NarrowMaker("same", (2, 2))
    check(run_passes(maker.build(maker.op(ir.Transpose((0, 2, 1, 3)), maker.input(1, 3, 1, 4)))), MACHINES["4x8"])
