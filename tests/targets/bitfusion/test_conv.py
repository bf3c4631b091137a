"""One convolution on the array: the published example, the earlier tool's formula, and what blocks compute."""

from math import ceil

import numpy as np
import pytest

from gatewright import ir
from gatewright.errors import ConfigError, ProgramError
from gatewright.targets.array.layers import layers_of
from gatewright.targets.array.timing import drain_cycles
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.conv import Buffers, Convolution, closed_form, quantise, schedule
from gatewright.targets.bitfusion.formats import fused_jobs
from gatewright.targets.bitfusion.interpreter import interpret
from gatewright.targets.bitfusion.isa import Fusion, Op, Space, decode, encode, format_text, parse_text, stride_words
from gatewright.targets.bitfusion.listing import format_listing, parse_listing

LARGE = Buffers(1 << 12, 1 << 12, 1 << 12)
WIDTHS = (2, 4, 6, 8)
PAIRS = [(i, w) for i in WIDTHS for w in WIDTHS]


def problem(
    seed: int, widths: tuple[int, int], shape=(1, 1, 5, 5), kernel=(1, 1, 2, 2), *, signed=False, stride=(1, 1)
):
    random = np.random.default_rng(seed)
    images = random.integers(0, 1 << widths[0], shape)
    low = -(1 << (widths[1] - 1)) if signed else 0
    kernels = random.integers(low, low + (1 << widths[1]), (kernel[0], shape[1], *kernel[2:]))
    return Convolution(images, kernels, *widths, weights_signed=signed, stride=stride)


def sheet(problem: Convolution, rows: int, columns: int) -> tuple[int, int, int]:
    """Cycles, bricks and units as the description of the earlier tool has them."""
    i, w = problem.input_width, problem.weight_width
    bricks = (i // 2) * (w // 2)
    if {i, w} <= {6, 8}:
        most = 1
    elif (i, w) in {(8, 4), (4, 8), (8, 2), (2, 8), (6, 4), (4, 6)}:
        most = 2
    else:
        most = 4
    capacity = 4 * (rows // 3) + rows % 3 if (i, w) == (6, 6) else rows * most
    windows, products = problem.windows, problem.products

    def used(count: int) -> int:
        if (i, w) != (6, 6):
            return ceil(count / most)
        if count <= 4 * (rows // 3):
            return 3 * (count // 4) + count % 4
        return 3 * (rows // 3) + count - 4 * (rows // 3)

    columns_of_a_window = ceil(products / capacity)
    cycles = ceil(windows * columns_of_a_window / columns)
    last = products - (columns_of_a_window - 1) * capacity
    units = windows * ((columns_of_a_window - 1) * used(capacity) + used(last))
    return cycles, windows * products * bricks, units


def direct(problem: Convolution) -> np.ndarray:
    _, _, rows, columns = problem.output_shape
    out = np.zeros(problem.output_shape, np.int64)
    (height, width), (down, right) = problem.kernels.shape[2:], problem.stride
    for y in range(rows):
        for x in range(columns):
            window = problem.images[:, :, y * down : y * down + height, x * right : x * right + width]
            out[:, :, y, x] = np.einsum("nchw,kchw->nk", window, problem.kernels)
    return out


@pytest.mark.parametrize(("how", "weight"), [("truncate", 127), ("saturate", 63)])
def test_the_published_example(how, weight):
    image = quantise(np.full((1, 1, 5, 5), 255), 6, how, weights=False)
    kernel = quantise(np.full((1, 1, 2, 2), weight), 6, how, weights=True)
    assert (image == 63).all()
    assert (kernel == 31).all()
    example = Convolution(image, kernel, 6, 6, weights_signed=how == "saturate")
    outputs, usage = interpret(schedule(example, "seed", (4, 4), Buffers(256, 128, 16384)))
    assert (outputs == 7812).all()
    assert usage.lines() == [
        "cycles used:4",
        "total bitBricks used across all cycles:576/1024 = 56.25%",
        "total fusionUnits used across all cycles:48/64 = 75.0%",
    ]


@pytest.mark.parametrize("widths", PAIRS)
def test_seed_mapping_is_the_sheets_formula(widths):
    random = np.random.default_rng(hash(widths) % 1000)
    for _ in range(12):
        kernel = (int(random.integers(1, 4)), 1, *(int(n) for n in random.integers(1, 6, 2)))
        shape = (int(random.integers(1, 4)), int(random.integers(1, 4)), kernel[2] + 2, kernel[3] + 3)
        mine = problem(1, widths, shape, kernel)
        rows, columns = (int(n) for n in random.integers(1, 8, 2))
        usage = closed_form(mine, "seed", (rows, columns))
        assert (usage.cycles, usage.bricks, usage.units) == sheet(mine, rows, columns)
        assert usage.all_units * 16 == usage.all_bricks == usage.cycles * rows * columns * 16
        assert usage.units <= usage.all_units


@pytest.mark.parametrize("mapping", ["seed", "fused"])
@pytest.mark.parametrize("widths", PAIRS)
def test_running_a_block_is_a_convolution_and_takes_what_the_closed_form_says(widths, mapping):
    for seed, (shape, kernel, stride) in enumerate(
        (
            ((2, 1, 6, 5), (3, 1, 2, 2), (1, 1)),
            ((1, 3, 5, 7), (2, 3, 3, 3), (2, 1)),
            ((1, 7, 4, 4), (1, 7, 4, 4), (1, 1)),
        )
    ):
        mine = problem(seed, widths, shape, kernel, signed=bool(seed % 2), stride=stride)
        made = schedule(mine, mapping, (3, 2), LARGE)
        outputs, usage = interpret(made)
        np.testing.assert_array_equal(outputs, direct(mine))
        assert usage == closed_form(mine, mapping, (3, 2))
        again, same = interpret(parse_listing(format_listing(made)))
        np.testing.assert_array_equal(again, outputs)
        assert same == usage


def test_fused_mapping_takes_the_machines_steps():
    """For a tile of pixels and one of filters, as the machine's compiler lays out the same convolution."""
    config = FusionConfig(rows=4, columns=4, post_lanes=4)
    for widths, shape in (
        ((4, 2), (1, 16, 9, 9)),
        ((6, 6), (2, 8, 6, 7)),
        ((8, 8), (1, 3, 8, 8)),
        ((2, 4), (1, 5, 7, 7)),
    ):
        mine = problem(1, widths, shape, (4, shape[1], 3, 3), signed=True)
        builder = ir.Builder("conv")
        x = builder.input("x", ir.TensorType((shape[0], *shape[2:], shape[1]), ir.IntType(widths[0])))
        weights = builder.constant(mine.kernels.transpose(0, 2, 3, 1), ir.IntType(widths[1]))
        scale = (builder.constant([1], ir.U32), builder.constant([4], ir.IntType(8, signed=False)))
        op = ir.Requantise(0, -128, 127, ir.Rounding.FLOOR, ir.I8)
        builder.output(builder.add(op, builder.add(ir.Conv2d(), x, weights), *scale))
        graph = builder.build()
        [[job]], _ = fused_jobs(graph, layers_of(graph, config.array()), config)
        tiles = -(-shape[0] * (shape[2] - 2) * (shape[3] - 2) // 4)
        distance = max(job.steps, drain_cycles(config.array()))
        assert closed_form(mine, "fused", (4, 4)).cycles == job.steps + (tiles - 1) * distance


def test_a_window_larger_than_a_column_is_summed():
    mine = problem(5, (8, 8), (1, 4, 9, 9), (2, 4, 5, 5))
    made = schedule(mine, "seed", (4, 4), LARGE)
    assert closed_form(mine, "seed", (4, 4)).cycles == -(-2 * 25 * 25 // 4)
    np.testing.assert_array_equal(interpret(made)[0], direct(mine))


def test_words_and_text_are_read_back():
    block = [
        *stride_words(Space.MEM_INPUT, 3, 70_000),
        Fusion(Op.SETUP, 1, 1, 65535),
        Fusion(Op.SETUP, 99, 0, 6),
        Fusion(Op.LOOP, 4, 30, 512),
        Fusion(Op.RD_BUF, Space.IBUF, 4, 9),
        Fusion(Op.COMPUTE, 0, 5, 2),
        Fusion(Op.BLOCK_END),
    ]
    assert decode(encode(block)) == block
    assert decode(encode(block) + bytes(8)) == block
    assert parse_text(format_text(block).splitlines()) == block
    assert Fusion(Op.LOOP, 4, 30, 512).word() == 2 << 28 | 4 << 21 | 30 << 16 | 512


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mapping": "other"}, "mapping must be seed or fused, not 'other'"),
        ({"dim": (0, 4)}, "bitfusion_dim must be at least 1 1, not 0 4"),
        ({"buffers": Buffers(1, 99, 99)}, "ibuf_size must be at least 2 bytes for 2 operands of a window, not 1"),
        ({"buffers": Buffers(99, 1, 99)}, "wbuf_size must be at least 2 bytes for 2 operands of a window, not 1"),
        ({"buffers": Buffers(99, 99, 3)}, "obuf_size must be at least 4 bytes for one sum, not 3"),
    ],
)
def test_what_cannot_be_scheduled(change, message):
    arguments = {"mapping": "seed", "dim": (2, 2), "buffers": LARGE} | change
    with pytest.raises(ConfigError, match=message):
        schedule(problem(0, (8, 8)), **arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_width": 5}, "input_quant must be one of 2, 4, 6, 8 bits, not 5"),
        ({"kernels": np.zeros((1, 2, 2, 2), int)}, "kernels must have the images' 1 channels, not 2"),
        ({"kernels": np.zeros((1, 1, 9, 2), int)}, "the kernel must fit the padded image of 5 x 5, not be 9 x 2"),
        ({"stride": (0, 1)}, "stride must be at least 1, not 0"),
    ],
)
def test_what_is_no_convolution(fields, message):
    given = {"images": np.zeros((1, 1, 5, 5), int), "kernels": np.zeros((1, 1, 2, 2), int), "weights_signed": False}
    with pytest.raises(ConfigError, match=message):
        Convolution(**({"input_width": 8, "weight_width": 8} | given | fields))


def test_what_cannot_be_quantised():
    with pytest.raises(ConfigError, match=r"kernel must lie within 0\.\.255 to truncate, not -1\.\.2"):
        quantise(np.array([-1, 2]), 4, "truncate", weights=True)
    with pytest.raises(ConfigError, match="image must hold whole numbers, not float64"):
        quantise(np.array([0.5]), 4, "saturate", weights=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense 3", "line 10 must be a Fusion-ISA instruction, not 'nonsense 3'"),
        (".input_data x", "line 10 must hold whole numbers"),
        (".input_data 1", ".input must have 25 operands, not 26"),
        (".", r"line 10 must begin with one of \.mapping, "),
        (".weight 3", r"line 10 must begin with one of \.mapping, .* not be '\.weight 3'"),
        (".input_data 99999999999999999999", "line 10 must hold numbers of 67108864 at most"),
        ("setup accumulator, 5", "line 10 must be a Fusion-ISA instruction"),
        ("block-end", "block-end must be the last instruction"),
        ("ld-mem obuf, loop 31, 1", "'ld-mem obuf, loop 31, 1' must name one of ibuf, wbuf"),
        ("st-mem ibuf, loop 31, 1", "'st-mem ibuf, loop 31, 1' must name one of obuf"),
        ("gen-addr 16, loop 0, 1", "must name one of mem.input, "),
        ("compute loop 31, 1", "every window must take as many cycles"),
        ("loop 9, level 7, 2", "loop 9 must be new, and at level"),
        ("compute loop 9, 2", "loop 9 of 'compute loop 9, 2' must be set up before it is used"),
        ("ld-mem ibuf, loop 31, 999", r"operands 0\.\.998 of ibuf must be within its"),
    ],
)
def test_a_broken_listing(text, message):
    lines = format_listing(schedule(problem(0, (8, 8)), "seed", (2, 2), LARGE)).splitlines()
    lines[9:9] = [text]
    with pytest.raises(ProgramError, match=message):
        interpret(parse_listing("\n".join(lines).replace("4096", "128")))


def test_a_listing_without_its_array():
    text = format_listing(schedule(problem(0, (8, 8)), "seed", (2, 2), LARGE))
    with pytest.raises(ProgramError, match=r"\.array must be given, with 2 numbers of at least 1"):
        parse_listing(text.replace(".array 2 2\n", ""))
    with pytest.raises(ProgramError, match="a block must end with block-end"):
        interpret(parse_listing(text.replace("block-end", "")))
    with pytest.raises(ProgramError, match="setup input must be 2, 4, 6, 8 bits, not 5"):
        interpret(parse_listing(text.replace("setup input, 8", "setup input, 5")))
    with pytest.raises(ProgramError, match="compute must have as many inputs as weights, not 2 and 1"):
        interpret(parse_listing(text.replace("rd-buf wbuf, loop 5, 2", "rd-buf wbuf, loop 5, 1")))
    with pytest.raises(ProgramError, match=r"\.array must multiply to 67108864 at most, not 10000000000"):
        parse_listing(text.replace(".array 2 2", ".array 100000 100000"))
