"""From data movement to passes of the vector unit: runs of consecutive elements read here and written there."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from gatewright.ir import Broadcast, Concat, Graph, Pad, Slice, TensorType, Transpose, Upsample
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Image, Level, Output, as_image, element_bytes
from gatewright.targets.array.vector_job import ONCE, VectorJob, VectorPass

__all__ = [
    "Strided",
    "map_vector_broadcast",
    "map_vector_concat",
    "map_vector_pad",
    "map_vector_slice",
    "map_vector_transpose",
    "map_vector_upsample",
    "strided",
]

LEVELS = 4
_FEW_RUNS = 4  # copied one after the other when they are long
_LONG_RUN = 64  # groups of lanes


def unit_bytes(type: TensorType) -> int:
    """Bytes of what is moved as one: an element, or half of one of 4 bytes."""
    return min(element_bytes(type.dtype), 2)


@dataclass(frozen=True)
class Strided:
    """A result whose index i, outer to inner, is read `Σ i_k · strides[k]` elements into the operand.

    `run` consecutive elements follow each other; with `repeat`, one element is read for all of them.
    """

    counts: tuple[int, ...]
    strides: tuple[int, ...]
    run: int
    repeat: bool = False


def strided(counts: tuple[int, ...], strides: tuple[int, ...]) -> Strided:
    """With neighbouring axes made one where one stride serves both."""
    axes: list[tuple[int, int]] = []
    for count, stride in zip(counts, strides, strict=True):
        if count == 1:
            continue
        if axes and axes[-1][1] == stride * count:
            axes[-1] = (axes[-1][0] * count, stride)
        else:
            axes.append((count, stride))
    run, repeat = 1, False
    if axes and axes[-1][1] in (0, 1):
        run, stride = axes.pop()
        repeat = stride == 0
    return Strided(tuple(count for count, _ in axes), tuple(stride for _, stride in axes), run, repeat)


def _strided_pass(graph: Graph, layer: Layer, move: Strided) -> VectorPass:
    """One job whose rows are the outermost axis; the operand must be at hand whole."""
    value = layer.main.inputs[0]
    x, size = graph.type_of(value), unit_bytes(graph.type_of(value))
    wide = element_bytes(x.dtype) // size
    move = _narrowed(move, wide)
    (rows, row_stride), *inner = list(zip(move.counts, move.strides, strict=True)) or [(1, 0)]
    columns = tuple(Level(count, dx=stride * size) for count, stride in reversed(inner)) or (ONCE,)
    pixel = move.run * size
    row = pixel * prod(level.count for level in columns)
    job = VectorJob(
        layer.name,
        Image(value, 1, 1, x.size * wide * size, size),
        Output(layer.output, rows * row, row, pixel, 0, size),
        move.run,
        Level(rows, dx=row_stride * size),
        columns,
        repeat=move.repeat,
        gathers=True,
    )
    return VectorPass((job,))


def _narrowed(move: Strided, wide: int) -> Strided:
    """The same move of elements `wide` times as small."""
    if wide == 1:
        return move
    strides = tuple(stride * wide for stride in move.strides)
    if move.run > 1 and not move.repeat:
        return Strided(move.counts, strides, move.run * wide)
    return (
        Strided((*move.counts, move.run), (*strides, 0), wide) if move.run > 1 else Strided(move.counts, strides, wide)
    )


def map_vector_transpose(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    op = layer.main.op
    assert isinstance(op, Transpose)
    return [_strided_pass(graph, layer, transposed(graph.type_of(layer.main.inputs[0]), op))]


def transposed(x: TensorType, op: Transpose) -> Strided:
    strides = _strides(x.shape)
    return strided(tuple(x.shape[axis] for axis in op.permutation), tuple(strides[axis] for axis in op.permutation))


def map_vector_broadcast(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    op = layer.main.op
    assert isinstance(op, Broadcast)
    return [_strided_pass(graph, layer, repeated(graph.type_of(layer.main.inputs[0]), op))]


def repeated(x: TensorType, op: Broadcast) -> Strided:
    strides = [0 if size == 1 else stride for size, stride in zip(x.shape, _strides(x.shape), strict=True)]
    return strided(op.shape, tuple(strides))


def _strides(shape: tuple[int, ...]) -> list[int]:
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def map_vector_concat(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """Each operand is copied to its place; a row of the result is one index of the axes before the concatenated one."""
    node = layer.main
    op = node.op
    assert isinstance(op, Concat)
    size = unit_bytes(node.type)
    wide = element_bytes(node.type.dtype) // size
    outer = prod(node.type.shape[: op.axis])
    total = node.type.size // outer * wide
    runs = [graph.type_of(name).size // outer * wide for name in node.inputs]
    offsets = [0, *np.cumsum(runs).tolist()]
    long = max(runs) >= _LONG_RUN * config.vector_lanes
    if (
        outer == 1
        or (outer <= _FEW_RUNS and long)
        or 4 * total * size > min(config.activation_bytes, config.output_bytes)
    ):
        return [
            pass_
            for row in range(outer)
            for name, run, offset in zip(node.inputs, runs, offsets, strict=False)
            for pass_ in _copy(config, layer, name, (row * run, run, row * total + offset), size)
        ]
    jobs = [
        VectorJob(
            layer.name,
            Image(name, 1, outer, run * size, size),
            Output(layer.output, outer * total * size, total * size, run * size, offset * size, size),
            run,
            Level(outer, dy=1),
        )
        for name, run, offset in zip(node.inputs, runs, offsets, strict=False)
    ]
    return [VectorPass(tuple(jobs))]


def _copy(config: ArrayConfig, layer: Layer, value: str, part: tuple[int, int, int], size: int) -> list[VectorPass]:
    """Copy units from a place in a value to one in the result, (from, how many, to); nothing beyond is written."""
    start, count, place = part
    lanes, passes = config.vector_lanes, []
    whole, rest = divmod(count, lanes)
    for first, rows, elements in ((0, whole, lanes), (whole * lanes, 1, rest)):
        if rows and elements:
            row = elements * size
            output = Output(layer.output, rows * row, row, row, (place + first) * size, size)
            image = Image(value, 1, rows, row, size)
            job = VectorJob(layer.name, image, output, elements, Level(rows, dy=1), start=(start + first) * size)
            passes.append(VectorPass((job,)))
    return passes


def map_vector_slice(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """A regular part of [N, H, W, C] (or fewer axes): a pass for each image."""
    node = layer.main
    op = node.op
    assert isinstance(op, Slice)
    x, size = graph.type_of(node.inputs[0]), unit_bytes(node.type)
    wide = element_bytes(node.type.dtype) // size
    _, height, width, channels = as_image(x.shape)
    starts, steps, out = as_image(op.starts, 0), as_image(op.steps), as_image(node.type.shape)
    unit = wide * size
    columns, run = _slice_row(out, steps, channels, (wide, size))
    row, passes = out[2] * out[3] * unit, []
    for index in range(out[0]):
        job = VectorJob(
            layer.name,
            Image(node.inputs[0], 1, height, width * channels * unit, size),
            Output(layer.output, out[1] * row, row, run * size, index * out[1] * row, size),
            run,
            Level(out[1], dy=steps[1]),
            columns,
            y0=starts[1],
            x0=(starts[2] * channels + starts[3]) * unit,
            start=(starts[0] + index * steps[0]) * height * width * channels * unit,
        )
        passes.append(VectorPass((job,)))
    return passes


def _slice_row(
    out: tuple[int, ...], steps: tuple[int, ...], channels: int, unit: tuple[int, int]
) -> tuple[tuple[Level, ...], int]:
    """Levels within a row of the result, and how many units of `unit[1]` bytes follow each other."""
    wide, size = unit
    if steps[3] > 1:
        return (Level(out[3], dx=steps[3] * wide * size), Level(out[2], dx=steps[2] * channels * wide * size)), wide
    if out[3] == channels and steps[2] == 1:
        return (ONCE,), out[2] * out[3] * wide
    return (Level(out[2], dx=steps[2] * channels * wide * size),), out[3] * wide


def map_vector_pad(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """A border in H and W: a row of the result is one run that begins before its row of the operand."""
    op, value = layer.main.op, layer.main.inputs[0]
    assert isinstance(op, Pad)
    batch, height, width, channels = graph.type_of(value).shape
    _, out_height, out_width, _ = layer.main.type.shape
    size = element_bytes(layer.main.type.dtype)
    row, run = width * channels * size, out_width * channels
    job = VectorJob(
        layer.name,
        Image(value, batch, height, row, size),
        Output(layer.output, out_height * run * size, run * size, run * size, 0, size),
        run,
        Level(out_height, dy=1),
        y0=-op.pads[1][0],
        x0=-op.pads[2][0] * channels * size,
        pad=op.value,
    )
    return [VectorPass((job,))]


def map_vector_upsample(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """Each pixel `fw` times, each row `fh` times: a row of the pass is the `fh` rows of the result."""
    op, value = layer.main.op, layer.main.inputs[0]
    assert isinstance(op, Upsample)
    x = graph.type_of(value)
    batch, height, width, channels = x.shape
    size = unit_bytes(x)
    run = channels * (element_bytes(x.dtype) // size)
    pixel = run * size
    row = pixel * width * op.factors[0] * op.factors[1]
    job = VectorJob(
        layer.name,
        Image(value, batch, height, width * pixel, size),
        Output(layer.output, height * row, row, pixel, 0, size),
        run,
        Level(height, dy=1),
        (Level(op.factors[1]), Level(width, dx=pixel), Level(op.factors[0])),
    )
    return [VectorPass((job,))]
