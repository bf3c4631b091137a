"""One convolution on the array, as a Fusion-ISA block with its data: what `gatewright bitfusion conv` schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gatewright.errors import ConfigError
from gatewright.targets.bitfusion.isa import SIGNED, Fusion, Op, Register, Space, stride_words
from gatewright.targets.bitfusion.mapping import Mapping, Usage, mapping_of
from gatewright.targets.bitfusion.operands import WIDTHS

__all__ = ["Buffers", "Convolution", "Quantisation", "Schedule", "closed_form", "quantise", "schedule"]

Quantisation = Literal["truncate", "saturate"]

_SUM_BYTES = 4


@dataclass(frozen=True)
class Buffers:
    """Bytes: of input and weights for each unit, of sums for each column."""

    ibuf: int = 128
    wbuf: int = 128
    obuf: int = 1024


@dataclass(frozen=True)
class Convolution:
    """Quantised images [N, C, H, W], their border of zeros included, and kernels [K, C, R, S], both int64.

    Every image meets every kernel.
    """

    images: np.ndarray
    kernels: np.ndarray
    input_width: int
    weight_width: int
    weights_signed: bool
    stride: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name, width in (("input_quant", self.input_width), ("weight_quant", self.weight_width)):
            if width not in WIDTHS:
                raise ConfigError(f"{name} must be one of {', '.join(map(str, WIDTHS))} bits, not {width}")
        (_, channels, height, width), (_, depth, rows, columns) = self.images.shape, self.kernels.shape
        if min(self.stride) < 1:
            raise ConfigError(f"stride must be at least 1, not {min(self.stride)}")
        if channels != depth:
            raise ConfigError(f"kernels must have the images' {channels} channels, not {depth}")
        if rows > height or columns > width:
            raise ConfigError(f"the kernel must fit the padded image of {height} x {width}, not be {rows} x {columns}")

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """[N, K, rows, columns]"""
        (count, _, height, width), (kernels, _, rows, columns) = self.images.shape, self.kernels.shape
        return (count, kernels, (height - rows) // self.stride[0] + 1, (width - columns) // self.stride[1] + 1)

    @property
    def windows(self) -> int:
        return int(np.prod(self.output_shape))

    @property
    def products(self) -> int:
        """Products of one window."""
        return int(np.prod(self.kernels.shape[1:]))


@dataclass(frozen=True)
class Schedule:
    """A block, the memory it works on, and the array it is made for."""

    mapping: str
    rows: int
    columns: int
    buffers: Buffers
    inputs: np.ndarray
    weights: np.ndarray
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    block: tuple[Fusion, ...]


def quantise(values: np.ndarray, width: int, how: Quantisation, *, weights: bool) -> np.ndarray:
    """8-bit values at `width` bits.

    `truncate` keeps the upper bits of unsigned values; `saturate` clamps, inputs as unsigned numbers and weights as
    two's complement ones.

    Raises
    ------
    ConfigError
        If values are not whole numbers within 8 bits.
    """
    name = "kernel" if weights else "image"
    array = np.asarray(values)
    if array.dtype.kind not in "iub":
        raise ConfigError(f"{name} must hold whole numbers, not {array.dtype}")
    low, high = (-128, 127) if weights and how == "saturate" else (0, 255)
    if array.size and not low <= int(array.min()) <= int(array.max()) <= high:
        raise ConfigError(f"{name} must lie within {low}..{high} to {how}, not {int(array.min())}..{int(array.max())}")
    wide = array.astype(np.int64)
    if how == "truncate":
        return wide >> (8 - width)
    if weights:
        return np.clip(wide, -(1 << (width - 1)), (1 << (width - 1)) - 1)
    return np.clip(wide, 0, (1 << width) - 1)


def schedule(problem: Convolution, mapping: str, dim: Sequence[int], buffers: Buffers) -> Schedule:
    """The block of a convolution.

    Raises
    ------
    ConfigError
        If the array has no units, or a buffer does not hold what one window needs; the message says the minimum.
    """
    rows, columns = dim
    if rows < 1 or columns < 1:
        raise ConfigError(f"bitfusion_dim must be at least 1 1, not {rows} {columns}")
    plan = _plan(problem, mapping, dim)
    _check_buffers(problem, buffers, rows)
    # Channels last, as the machine has them: a row of a window is one run of operands.
    images = np.ascontiguousarray(problem.images.transpose(0, 2, 3, 1))
    kernels = np.ascontiguousarray(problem.kernels.transpose(0, 2, 3, 1))
    return Schedule(
        mapping=mapping,
        rows=rows,
        columns=columns,
        buffers=buffers,
        inputs=images.reshape(-1),
        weights=kernels.reshape(-1),
        input_shape=images.shape,
        weight_shape=kernels.shape,
        output_shape=problem.output_shape,
        block=tuple(_block(problem, plan)),
    )


def closed_form(problem: Convolution, mapping: str, dim: Sequence[int]) -> Usage:
    """What running the schedule takes, from its shape alone."""
    plan = _plan(problem, mapping, dim)
    count, kernels, rows, columns = problem.output_shape
    _, channels, kernel_rows, kernel_columns = problem.kernels.shape
    parts, part = plan.parts(kernel_rows, kernel_columns * channels)
    units = (parts - 1) * plan.units(part) + plan.units(problem.products - (parts - 1) * part)
    counts = (parts * plan.cycles(part), problem.windows * problem.products, problem.windows * units)
    return plan.usage((count * rows * columns, kernels), counts)


def _plan(problem: Convolution, mapping: str, dim: Sequence[int]) -> Mapping:
    widths = (problem.input_width, problem.weight_width)
    return mapping_of(mapping, (dim[0], dim[1]), widths, problem.images.shape[1])


def _check_buffers(problem: Convolution, buffers: Buffers, rows: int) -> None:
    """A window's operands are spread over the units of a column; its sum takes a place of the column's accumulators."""
    each = -(-problem.products // rows)
    for name, have, width in (
        ("ibuf_size", buffers.ibuf, problem.input_width),
        ("wbuf_size", buffers.wbuf, problem.weight_width),
    ):
        least = -(-each * width // 8)
        if have < least:
            raise ConfigError(f"{name} must be at least {least} bytes for {each} operands of a window, not {have}")
    if buffers.obuf < _SUM_BYTES:
        raise ConfigError(f"obuf_size must be at least {_SUM_BYTES} bytes for one sum, not {buffers.obuf}")


def _block(problem: Convolution, plan: Mapping) -> list[Fusion]:
    """Kernels, then images, then the windows' rows and columns; then the parts of a window."""
    count, kernels, out_rows, out_columns = problem.output_shape
    _, channels, height, width = problem.images.shape
    run = problem.kernels.shape[3] * channels
    kernel_rows, products = problem.kernels.shape[2], problem.products
    parts, part = plan.parts(kernel_rows, run)
    sign = SIGNED if problem.weights_signed else 0
    plane = out_rows * out_columns
    return [
        Fusion(Op.SETUP, Register.INPUT, 0, problem.input_width),
        Fusion(Op.SETUP, Register.WEIGHT, 0, problem.weight_width | sign),
        *_loop(0, 0, kernels, {Space.MEM_WEIGHT: products, Space.MEM_OUTPUT: plane}),
        Fusion(Op.LD_MEM, Space.WBUF, 0, products),
        *_loop(1, 1, count, {Space.MEM_INPUT: height * width * channels, Space.MEM_OUTPUT: kernels * plane}),
        *_loop(2, 2, out_rows, {Space.MEM_INPUT: problem.stride[0] * width * channels, Space.MEM_OUTPUT: out_columns}),
        *_loop(3, 3, out_columns, {Space.MEM_INPUT: problem.stride[1] * channels, Space.MEM_OUTPUT: 1}),
        *_loop(4, 4, kernel_rows, {Space.MEM_INPUT: width * channels, Space.IBUF: run}),
        Fusion(Op.LD_MEM, Space.IBUF, 4, run),
        *_loop(5, 4, parts, {Space.IBUF: part, Space.WBUF: part}),
        Fusion(Op.RD_BUF, Space.IBUF, 5, part),
        Fusion(Op.RD_BUF, Space.WBUF, 5, part),
        Fusion(Op.COMPUTE, 0, 5, plan.cycles(part)),
        Fusion(Op.WR_BUF, Space.OBUF, 5, 1),
        Fusion(Op.ST_MEM, Space.OBUF, 3, 1),
        Fusion(Op.BLOCK_END),
    ]


def _loop(number: int, level: int, iterations: int, strides: dict[Space, int]) -> list[Fusion]:
    words = [Fusion(Op.LOOP, level, number, iterations)]
    for space, stride in strides.items():
        words += stride_words(space, number, stride)
    return words
