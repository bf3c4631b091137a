"""From convolution, matrix product and average pool to jobs of the core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from gatewright.ir import Add, AveragePool, Clip, Conv2d, Graph, Lut, MatMul, MaxPool, Node, Requantise
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Image, Job, Level, Output, Tail, Taps, element_bytes

__all__ = [
    "Behind",
    "dense_image",
    "dense_output",
    "filter_tiles",
    "full_table",
    "identity_tiles",
    "map_average_pool",
    "map_conv2d",
    "map_matmul",
    "per_filter",
    "read_tail",
]


def filter_tiles(matrix: np.ndarray, config: ArrayConfig) -> np.ndarray:
    """Weights [filters, depth] as the array takes them: [filter tiles, depth, weights of a weight word]."""
    filters, depth = matrix.shape
    tiles = -(-filters // config.columns)
    dtype = np.dtype(f"<i{config.weight_element_bytes}")
    padded = np.zeros((tiles * config.columns, depth), dtype)
    padded[:filters] = matrix
    words = np.zeros((tiles, depth, config.weight_word_bytes // config.weight_element_bytes), dtype)
    words[:, :, : config.columns] = padded.reshape(tiles, config.columns, depth).transpose(0, 2, 1)
    return words


def identity_tiles(count: int, config: ArrayConfig) -> np.ndarray:
    """Weights of `count` filter tiles that each pass `columns` consecutive elements through."""
    depth = Taps(config.columns).depth(config.word_length)
    tile = filter_tiles(np.eye(config.columns, depth, dtype=np.int8), config)
    return np.repeat(tile, count, axis=0)


def dense_output(graph: Graph, value: str) -> Output:
    """The layout of a value [N, H, W, C] or [N, C], dense."""
    type = graph.type_of(value)
    size = element_bytes(type.dtype)
    *outer, channels = type.shape
    pixel = channels * size
    if len(outer) != 3:
        return Output(value, int(np.prod(outer)) * pixel, pixel, pixel, element_bytes=size)
    return Output(value, outer[1] * outer[2] * pixel, outer[2] * pixel, pixel, element_bytes=size)


def dense_image(graph: Graph, value: str) -> Image:
    """A value [N, H, W, C] to read."""
    type = graph.type_of(value)
    size = element_bytes(type.dtype)
    batch, height, width, channels = type.shape
    return Image(value, batch, height, width * channels * size, size)


@dataclass(frozen=True)
class Behind:
    """What follows a sum: bias, multipliers and shifts (one, or one a channel), the tail, the window of a pool."""

    tail: Tail
    bias: int
    mul: np.ndarray
    shift: np.ndarray
    pool: tuple[int, int] | None


def read_tail(graph: Graph, nodes: Sequence[Node], first: str) -> Behind:
    """What the post unit does with `first`, as these nodes say."""
    fields: dict[str, Any] = {}
    bias, mul, shift, pool = 0, np.ones(1, np.int64), np.zeros(1, np.int64), None
    for node in nodes:
        op = node.op
        if isinstance(op, Requantise):
            bias = -op.x_zero
            mul, shift = (graph.constant(name).array.astype(np.int64) for name in node.inputs[1:3])
            fields |= {"rounding": op.rounding, "zero": op.zero, "low": op.low, "high": op.high}
            fields |= {"negative_shift": op.negative_shift or 0}
        elif isinstance(op, Add):
            fields |= _read_add(graph, node, first) | {"rounding": op.rounding}
        elif isinstance(op, Lut):
            fields |= {"table": full_table(graph, node)}
        elif isinstance(op, MaxPool):
            pool = op.kernel
        elif isinstance(op, Clip):
            fields |= {"low": max(op.low, fields.get("low", op.low)), "high": min(op.high, fields.get("high", op.high))}
        first = node.name
    return Behind(Tail(**fields), bias, mul, shift, pool)


def full_table(graph: Graph, node: Node) -> np.ndarray:
    """The table of a Lut whose operand has up to 8 bits, as one for all operands of 8 bits."""
    full, half = np.zeros(256, np.int8), 1 << (graph.type_of(node.inputs[0]).dtype.width - 1)
    full[128 - half : 128 + half] = graph.constant(node.inputs[1]).array
    return full


def _read_add(graph: Graph, node: Node, first: str) -> dict[str, Any]:
    """Tail fields of a residual addition whose operand `first` comes out of the array; the other one is `residual`."""
    op = node.op
    assert isinstance(op, Add)
    swapped = node.inputs[0] != first
    residual = node.inputs[0] if swapped else node.inputs[1]
    mul_a, mul_b = (op.mul_b, op.mul_a) if swapped else (op.mul_a, op.mul_b)
    return {
        "residual": residual,
        "residual_bytes": element_bytes(graph.type_of(residual).dtype),
        "mul_a": mul_a,
        "mul_b": mul_b,
        "add_bias": -op.a_zero * op.mul_a - op.b_zero * op.mul_b,
        "add_shift": op.shift,
        "add_zero": op.zero,
        "add_low": op.low,
        "add_high": op.high,
    }


def per_filter(values: np.ndarray, filters: int) -> np.ndarray:
    """One number for each filter."""
    return np.broadcast_to(values.reshape(-1), filters) if values.size == 1 else values.reshape(filters)


def _bias(graph: Graph, node: Node, weights: np.ndarray, x_zero: int) -> np.ndarray:
    """Bias with the zero point of the activations folded in."""
    bias = -x_zero * weights.reshape(len(weights), -1).astype(np.int64).sum(axis=1)
    if len(node.inputs) > 2:
        bias = bias + graph.constant(node.inputs[2]).array.astype(np.int64)
    return bias


def map_conv2d(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    node = layer.nodes[0]
    op = node.op
    assert isinstance(op, Conv2d)
    weights = graph.constant(node.inputs[1]).array
    image = dense_image(graph, node.inputs[0])
    channels = graph.type_of(node.inputs[0]).shape[3]
    _, out_height, out_width, filters = node.type.shape
    behind = read_tail(graph, layer.nodes[1:], node.name)
    pool_height, pool_width = behind.pool or (1, 1)
    pixel = channels * image.element_bytes
    stride_y, stride_x = op.strides[0], op.strides[1] * pixel
    taps, matrix, tile_x = _convolution_taps(op, weights, (channels, image.element_bytes), config)
    return [
        Job(
            name=layer.name,
            image=image,
            y0=-op.pads[0],
            x0=-op.pads[1] * pixel,
            window=(Level(pool_width, dx=stride_x), Level(pool_height, dy=stride_y)) if behind.pool else (),
            columns=(Level(out_width // pool_width, dx=stride_x * pool_width),),
            rows=Level(out_height // pool_height, dy=stride_y * pool_height),
            taps=taps,
            weights=filter_tiles(matrix, config),
            bias=_bias(graph, node, weights, op.x_zero),
            mul=per_filter(behind.mul, filters),
            shift=per_filter(behind.shift, filters),
            pad=op.x_zero,
            tail=behind.tail,
            output=dense_output(graph, layer.output),
            tile_x=tile_x,
        )
    ]


def _convolution_taps(
    op: Conv2d, weights: np.ndarray, pixel: tuple[int, int], config: ArrayConfig
) -> tuple[Taps, np.ndarray, tuple[int, ...] | None]:
    """Taps, weights [filters, depth] in their order, and the x offset of each filter tile (grouped convolution only).

    A pixel is (channels, bytes of each). A row of the kernel is either one run of elements (dense in the image as in
    the kernel) or one run a tap; whichever needs fewer words.
    """
    channels, size = pixel
    filters, kernel_height, kernel_width, group_channels = weights.shape
    dilation_y, dilation_x = op.dilations
    starts, span = _channel_spans(filters, group_channels, op.groups, config.columns)
    spread = np.zeros((filters, kernel_height, kernel_width, span), np.int16)
    for filter_index in range(filters):
        first = filter_index // (filters // op.groups) * group_channels - starts[filter_index // config.columns]
        spread[filter_index, :, :, first : first + group_channels] = weights[filter_index]
    step = dilation_x * channels * size
    by_tap = Taps(span * size, kernel_width, step, kernel_height, dilation_y, size)
    by_row = Taps(((kernel_width - 1) * channels + span) * size, 1, 0, kernel_height, dilation_y, size)
    feed = config.word_length
    if dilation_x == 1 and by_row.depth(feed) <= by_tap.depth(feed):
        taps = by_row
        rows = np.zeros((filters, kernel_height, by_row.words(feed) * feed), np.int16)
        for tap in range(kernel_width):
            rows[:, :, tap * channels : tap * channels + span] += spread[:, :, tap]
        matrix = rows.reshape(filters, -1)
    else:
        taps = by_tap
        matrix = np.zeros((filters, kernel_height, kernel_width, by_tap.words(feed) * feed), np.int16)
        matrix[..., :span] = spread
        matrix = matrix.reshape(filters, -1)
    return taps, matrix, None if op.groups == 1 else tuple(start * size for start in starts)


def _channel_spans(filters: int, group_channels: int, groups: int, columns: int) -> tuple[list[int], int]:
    """First input channel that each filter tile reads, and how many channels the widest tile reads."""
    per_group = filters // groups
    starts, span = [], 0
    for first in range(0, filters, columns):
        last = min(first + columns, filters) - 1
        start, stop = first // per_group * group_channels, (last // per_group + 1) * group_channels
        starts.append(start)
        span = max(span, stop - start)
    return starts, span


def map_matmul(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """A matrix product: each row of x is a pixel, an image row of K elements."""
    node = layer.nodes[0]
    op = node.op
    assert isinstance(op, MatMul)
    weights = graph.constant(node.inputs[1]).array
    filters, depth = weights.shape
    x = graph.type_of(node.inputs[0])
    count, size = x.size // depth, element_bytes(x.dtype)
    behind = read_tail(graph, layer.nodes[1:], node.name)
    taps = Taps(depth * size, element_bytes=size)
    matrix = np.zeros((filters, taps.depth(config.word_length)), np.int16)
    matrix[:, :depth] = weights
    results = element_bytes(graph.type_of(layer.output).dtype)
    row = filters * results
    return [
        Job(
            name=layer.name,
            image=Image(node.inputs[0], 1, count, depth * size, size),
            y0=0,
            x0=0,
            window=(),
            columns=(Level(1),),
            rows=Level(count, dy=1),
            taps=taps,
            weights=filter_tiles(matrix, config),
            bias=_bias(graph, node, weights, op.x_zero),
            mul=per_filter(behind.mul, filters),
            shift=per_filter(behind.shift, filters),
            pad=op.x_zero,
            tail=behind.tail,
            output=Output(layer.output, count * row, row, row, element_bytes=results),
        )
    ]


def map_average_pool(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """An average pool as a sum by an identity block, one job for each rectangle of equal divisor."""
    node = layer.nodes[0]
    op = node.op
    assert isinstance(op, AveragePool)
    table = read_tail(graph, layer.nodes[1:], node.name).tail.table
    tail = Tail(rounding=op.rounding, zero=op.zero, low=op.low, high=op.high, table=table)
    parts = chain.from_iterable(op.rectangles(graph.type_of(node.inputs[0])))
    return [_sum_pool(graph, layer, config, part, mul, tail) for *part, mul in parts]


def _sum_pool(graph: Graph, layer: Layer, config: ArrayConfig, part: Sequence[int], mul: int, tail: Tail) -> Job:
    node = layer.nodes[0]
    op = node.op
    assert isinstance(op, AveragePool)
    image = dense_image(graph, node.inputs[0])
    channels, size = graph.type_of(node.inputs[0]).shape[3], image.element_bytes
    row, rows, column, columns = part
    taps = Taps(min(config.columns, channels) * size, op.kernel[1], channels * size, op.kernel[0], 1, size)
    words = taps.words(config.word_length) * config.word_length
    block = np.tile(np.eye(config.columns, words, dtype=np.int8), (1, op.kernel[0] * op.kernel[1]))
    resident = taps.depth(config.word_length) * config.weight_word_bytes <= config.weight_bytes
    # Blocks of weights leave partial sums in the array, which holds no more than `rows` pixels at a time.
    whole = channels % config.columns == 0 and (resident or channels // config.columns <= config.rows)
    tiles = 1 if whole else -(-channels // config.columns)
    filters = config.columns if whole else channels
    output = dense_output(graph, layer.output)
    offset = row * output.row_bytes + column * output.pixel_bytes
    inner = (Level(channels // config.columns, dx=config.columns * size),) if whole else ()
    pixel_bytes = filters * output.element_bytes if whole else output.pixel_bytes
    return Job(
        name=layer.name,
        image=image,
        y0=row * op.strides[0] - op.pads[0],
        x0=(column * op.strides[1] - op.pads[1]) * channels * size,
        window=(),
        columns=(*inner, Level(columns, dx=op.strides[1] * channels * size)),
        rows=Level(rows, dy=op.strides[0]),
        taps=taps,
        weights=np.repeat(filter_tiles(block, config), tiles, axis=0),
        bias=np.full(filters, -op.x_zero * op.kernel[0] * op.kernel[1], np.int64),
        mul=np.full(filters, mul, np.int64),
        shift=np.full(filters, op.shift, np.int64),
        pad=op.x_zero,
        tail=tail,
        output=replace(output, pixel_bytes=pixel_bytes, offset=offset),
        tile_x=None if whole else tuple(tile * config.columns * size for tile in range(tiles)),
    )
