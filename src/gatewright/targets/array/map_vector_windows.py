"""From pools, depthwise convolutions, convolutions of rounded products and reductions to passes of the vector unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewright.ir import ArgMax, AveragePool, Conv2d, Graph, MaxPool, ReduceMax, RoundedConv2d
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa_vector import LaneOperation
from gatewright.targets.array.job import Image, Level, Output, element_bytes
from gatewright.targets.array.map_vector import lane_groups, with_tail
from gatewright.targets.array.vector_job import ONCE, Operand, Parameters, VectorJob, VectorPass, VectorTail

__all__ = [
    "map_vector_average_pool",
    "map_vector_depthwise",
    "map_vector_max_pool",
    "map_vector_reduction",
    "map_vector_rounded",
    "rounded_weights",
]


def _windows(graph: Graph, layer: Layer) -> VectorJob:
    """A pixel for each window of an image, an element for each channel; strides and padding are the operator's."""
    node = layer.main
    op = node.op
    assert isinstance(op, Conv2d | RoundedConv2d | MaxPool | AveragePool)
    x, y = graph.type_of(node.inputs[0]), graph.type_of(layer.output)
    batch, height, width, channels = x.shape
    size, step = element_bytes(y.dtype), element_bytes(x.dtype) * channels
    _, rows, columns, elements = node.type.shape
    pixel = elements * size
    return VectorJob(
        layer.name,
        Image(node.inputs[0], batch, height, width * step, element_bytes(x.dtype)),
        Output(layer.output, rows * columns * pixel, columns * pixel, pixel, 0, size),
        elements,
        rows=Level(rows, dy=op.strides[0]),
        columns=(Level(columns, dx=op.strides[1] * step),),
        y0=-op.pads[0],
        x0=-op.pads[1] * step,
    )


def _kernel(kernel: tuple[int, ...], step: int, dilations: tuple[int, int] = (1, 1)) -> tuple[Level, Level, Level]:
    return (Level(kernel[1], dx=dilations[1] * step), Level(kernel[0], dy=dilations[0]), ONCE)


def map_vector_max_pool(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    op, x = layer.main.op, graph.type_of(layer.main.inputs[0])
    assert isinstance(op, MaxPool)
    taps = _kernel(op.kernel, x.shape[3] * element_bytes(x.dtype))
    job = replace(_windows(graph, layer), taps=taps, operation=LaneOperation.MAX, pad=x.dtype.min)
    return [_packed(with_tail(graph, job, layer.nodes[1:]), config)]


def _packed(job: VectorJob, config: ArrayConfig) -> VectorPass:
    """Several pixels at a time where lanes would idle and neighbours lie side by side, then what is left of a row."""
    (column,), together = job.columns, config.vector_lanes // job.elements
    adjacent = column.dx == job.elements * job.image.element_bytes and config.vector_lanes % job.elements == 0
    if together < 2 or not adjacent or column.count < together:
        return VectorPass((job,))
    whole, rest = divmod(column.count, together)
    wide = _side_by_side(job, together, config)
    parts = [replace(wide, columns=(Level(whole, dx=together * column.dx),))]
    if rest:
        narrow = _side_by_side(job, rest, config)
        first = whole * together
        output = replace(narrow.output, offset=job.output.offset + first * job.output.pixel_bytes)
        parts.append(replace(narrow, columns=(ONCE,), x0=job.x0 + first * column.dx, output=output))
    return VectorPass(tuple(parts))


def _side_by_side(job: VectorJob, count: int, config: ArrayConfig) -> VectorJob:
    """The job with `count` neighbouring pixels as one."""
    output = replace(job.output, pixel_bytes=count * job.output.pixel_bytes)
    parameters, operand = job.parameters, job.operand
    if parameters is not None:
        parameters = Parameters(*(np.tile(v, count) for v in (parameters.bias, parameters.mul, parameters.shift)))
    if operand is not None and operand.data is not None:
        weights = operand.data[0, :, : job.elements]
        operand = replace(operand, data=lane_groups(np.tile(weights, count), config.vector_lanes))
    return replace(job, elements=count * job.elements, output=output, parameters=parameters, operand=operand)


def map_vector_average_pool(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """A pass for each run of rows of equal divisors, in it a job for each run of columns of equal divisors."""
    op, x = layer.main.op, graph.type_of(layer.main.inputs[0])
    assert isinstance(op, AveragePool)
    step = x.shape[3] * element_bytes(x.dtype)
    tail = VectorTail(shift=op.shift, rounding=op.rounding, zero=op.zero, low=op.low, high=op.high)
    pad = op.x_zero if any(op.pads) else 0
    window = replace(_windows(graph, layer), taps=_kernel(op.kernel, step), a_zero=op.x_zero, pad=pad, tail=tail)
    window = with_tail(graph, window, layer.nodes[1:])
    return [VectorPass(tuple(_rectangle(window, part) for part in row)) for row in op.rectangles(x)]


def _rectangle(job: VectorJob, part: tuple[int, int, int, int, int]) -> VectorJob:
    """The rows and columns of a part of the result, with their multiplier."""
    y, rows, x, columns, mul = part
    (column,) = job.columns
    output = replace(job.output, offset=y * job.output.row_bytes + x * job.output.pixel_bytes)
    return replace(
        job,
        output=output,
        rows=replace(job.rows, count=rows),
        columns=(replace(column, count=columns),),
        y0=job.y0 + y * job.rows.dy,
        x0=job.x0 + x * column.dx,
        tail=replace(job.tail, mul=mul),
    )


def map_vector_depthwise(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """A convolution of each channel with one kernel of its own: a lane a channel."""
    node = layer.main
    op, x = node.op, graph.type_of(node.inputs[0])
    assert isinstance(op, Conv2d)
    weights = graph.constant(node.inputs[1])
    filters, *kernel, _ = weights.type.shape
    data = lane_groups(weights.array.reshape(filters, -1).T, config.vector_lanes)
    taps = _kernel(tuple(kernel), x.shape[3] * element_bytes(x.dtype), op.dilations)
    job = replace(_windows(graph, layer), taps=taps, operand=Operand(data=data, element_bytes=_bytes(data)))
    return [_packed(_summed(graph, layer, job, op.x_zero), config)]


def _bytes(data: np.ndarray) -> int:
    """Bytes of the elements of weights: as few as their values need."""
    return 1 if int(data.min()) >= -128 and int(data.max()) < 128 else 2


def _summed(graph: Graph, layer: Layer, job: VectorJob, x_zero: int) -> VectorJob:
    """With zero point, bias and tail of a convolution."""
    node = layer.main
    bias = np.zeros(job.elements, np.int64)
    if len(node.inputs) == len(node.op.operands):
        bias = np.broadcast_to(graph.constant(node.inputs[-1]).array.astype(np.int64), job.elements)
    ones = np.ones(job.elements, np.int64)
    job = replace(job, a_zero=x_zero, pad=x_zero, parameters=Parameters(bias, ones, ones * 0))
    return with_tail(graph, job, layer.nodes[1:])


def map_vector_rounded(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """A convolution of products that are rounded each: a lane a filter, all reading the same activation."""
    node = layer.main
    op, x = node.op, graph.type_of(node.inputs[0])
    assert isinstance(op, RoundedConv2d)
    weights, shift = rounded_weights(graph, node.inputs[1], node.inputs[2])
    filters, height, width, channels = weights.shape
    size = element_bytes(x.dtype)
    data = lane_groups(weights.reshape(filters, -1).T, config.vector_lanes)
    taps = (Level(channels, dx=size), Level(width, dx=channels * size), Level(height, dy=1))
    operand = Operand(data=data, element_bytes=_bytes(data))
    job = replace(_windows(graph, layer), taps=taps, operand=operand, repeat=True, product_shift=shift)
    return [VectorPass((_summed(graph, layer, job, op.x_zero),))]


def rounded_weights(graph: Graph, weights: str, shift: str) -> tuple[np.ndarray, int]:
    """Weights under one shift: half_up(x · w / 2^s) = half_up(x · w · 2^(t - s) / 2^t), t the greatest of the s."""
    shifts = graph.constant(shift).array.astype(np.int64).reshape(-1)
    most = int(shifts.max())
    scale = np.array([1 << (most - int(value)) for value in shifts], object)
    return graph.constant(weights).array.astype(object) * scale.reshape(-1, 1, 1, 1), most


def map_vector_reduction(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """The maximum over the last axis, or its place: a tap an element."""
    node = layer.main
    op, x, y = node.op, graph.type_of(node.inputs[0]), graph.type_of(layer.output)
    size, out, count = element_bytes(x.dtype), element_bytes(y.dtype), x.shape[-1]
    rows = x.size // count
    place = isinstance(op, ArgMax)
    assert isinstance(op, ReduceMax | ArgMax)
    job = VectorJob(
        layer.name,
        Image(node.inputs[0], 1, rows, count * size, size),
        Output(layer.output, rows * out, out, out, 0, out),
        1,
        Level(rows, dy=1),
        taps=(Level(count, dx=size), ONCE, ONCE),
        operation=LaneOperation.ARG_MAX if place else LaneOperation.MAX,
        tail=VectorTail(zero=op.zero) if isinstance(op, ArgMax) else VectorTail(),
    )
    return [VectorPass((with_tail(graph, job, layer.nodes[1:]),))]
