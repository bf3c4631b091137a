"""From element-wise operators to passes of the vector unit: one element of the result from one of each operand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewright.ir import Add, Clip, Graph, LeakyRelu, Lut, Multiply, Node, Requantise, Shift, TensorType
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa_vector import LaneOperation
from gatewright.targets.array.job import Image, Level, Output, element_bytes
from gatewright.targets.array.map_mac import full_table
from gatewright.targets.array.vector_job import Operand, Parameters, VectorJob, VectorPass, VectorTail

__all__ = ["flat_job", "lane_groups", "map_vector_elementwise", "operands_of", "with_tail"]

_SCALED = Add | Multiply | Shift | LeakyRelu | Requantise


def flat_job(
    config: ArrayConfig, name: str, source: tuple[str, TensorType], target: tuple[str, TensorType]
) -> VectorJob:
    """All elements of `source` as rows of as many elements as there are lanes.

    The last row may reach beyond the end: of the result, into the rest of its last line of memory.
    """
    lanes, (value, x), (result, y) = config.vector_lanes, source, target
    rows, x_bytes, y_bytes = -(-x.size // lanes), element_bytes(x.dtype), element_bytes(y.dtype)
    row = lanes * y_bytes
    return VectorJob(
        name,
        Image(value, 1, rows, lanes * x_bytes, x_bytes),
        Output(result, rows * row, row, row, 0, y_bytes),
        lanes,
        Level(rows, dy=1),
    )


def _channel_job(name: str, source: tuple[str, TensorType], target: tuple[str, TensorType]) -> VectorJob:
    """All elements of `source`, a pixel for each index of the axes before the last."""
    (value, x), (result, y) = source, target
    channels, x_bytes, y_bytes = x.shape[-1], element_bytes(x.dtype), element_bytes(y.dtype)
    rows, row = x.size // channels, channels * y_bytes
    return VectorJob(
        name,
        Image(value, 1, rows, channels * x_bytes, x_bytes),
        Output(result, rows * row, row, row, 0, y_bytes),
        channels,
        Level(rows, dy=1),
    )


def map_vector_elementwise(graph: Graph, layer: Layer, config: ArrayConfig) -> list[VectorPass]:
    """Requantise, Add, Multiply, Shift, LeakyRelu, Clip or Lut over all elements, whatever their shape."""
    node = layer.main
    a, b = operands_of(graph, node)
    source, target = (a, graph.type_of(a)), (layer.output, graph.type_of(layer.output))
    per_channel = b is not None and graph.type_of(b).shape != source[1].shape and graph.type_of(b).size > 1
    if isinstance(node.op, Requantise):
        per_channel = any(graph.type_of(name).size > 1 for name in node.inputs[1:3])
    channels = source[1].shape[-1] if per_channel else 1
    if channels < 2 or (b is None and config.vector_lanes % channels == 0):
        job = flat_job(config, layer.name, source, target)
    else:
        job = _channel_job(layer.name, source, target)
    job = replace(_operation(graph, node, job), operand=_operand(graph, node, b, job, config))
    return [VectorPass((with_tail(graph, job, layer.nodes[1:]),))]


def operands_of(graph: Graph, node: Node) -> tuple[str, str | None]:
    """The values read as a and b: where it makes no difference, a constant is b."""
    if not isinstance(node.op, Add | Multiply | Shift):
        return node.inputs[0], None
    a, b = node.inputs
    return (b, a) if _swapped(graph, node) else (a, b)


def _swapped(graph: Graph, node: Node) -> bool:
    a, b = node.inputs[:2]
    return (
        isinstance(node.op, Add | Multiply)
        and graph.is_constant(a)
        and not graph.is_constant(b)
        and graph.type_of(a).shape == graph.type_of(b).shape
    )


def _operation(graph: Graph, node: Node, job: VectorJob) -> VectorJob:
    """What the lanes do, and the tail, of one element-wise operator."""
    op = node.op
    tail = VectorTail()
    if isinstance(op, _SCALED):
        tail = replace(tail, zero=op.zero, low=op.low, high=op.high, rounding=op.rounding)
    if isinstance(op, Add):
        mul_a, mul_b = (op.mul_b, op.mul_a) if _swapped(graph, node) else (op.mul_a, op.mul_b)
        a_zero = op.b_zero if _swapped(graph, node) else op.a_zero
        tail = replace(tail, shift=op.shift)
        return replace(job, operation=LaneOperation.AFFINE, a_zero=a_zero, mul_a=mul_a, mul_b=mul_b, tail=tail)
    if isinstance(op, Multiply):
        a_zero = op.b_zero if _swapped(graph, node) else op.a_zero
        return replace(job, a_zero=a_zero, tail=replace(tail, mul=op.mul, shift=op.shift))
    if isinstance(op, Shift):
        return replace(job, operation=LaneOperation.SHIFT, a_zero=op.a_zero, tail=tail)
    if isinstance(op, LeakyRelu):
        return replace(job, a_zero=op.x_zero, tail=replace(tail, leaky=True, mul=op.mul, shift=op.shift))
    if isinstance(op, Requantise):
        return _requantised(graph, node, replace(job, a_zero=op.x_zero), tail)
    return with_tail(graph, replace(job, tail=tail), (node,))


def _requantised(graph: Graph, node: Node, job: VectorJob, tail: VectorTail) -> VectorJob:
    op = node.op
    assert isinstance(op, Requantise)
    mul, shift = (graph.constant(name).array.astype(np.int64).reshape(-1) for name in node.inputs[1:3])
    tail = replace(tail, negative_shift=op.negative_shift or 0)
    if mul.size == shift.size == 1 and job.parameters is None:
        return replace(job, tail=replace(tail, mul=int(mul[0]), shift=int(shift[0])))
    bias = job.parameters.bias - op.x_zero if job.parameters else np.zeros(job.elements, np.int64)
    mul, shift = (values if values.size == 1 else _repeated(values, job.elements) for values in (mul, shift))
    mul, shift = (np.broadcast_to(values, job.elements) for values in (mul, shift))
    return replace(job, tail=tail, parameters=Parameters(bias, mul, shift))


def _repeated(values: np.ndarray, elements: int) -> np.ndarray:
    """Values of channels for the elements of a pixel, which may be several pixels of the graph side by side."""
    return np.tile(values, elements // values.size)


def with_tail(graph: Graph, job: VectorJob, nodes: tuple[Node, ...]) -> VectorJob:
    """The job with the operators fused behind it: Requantise (behind sums alone), Clip, Lut."""
    for node in nodes:
        op = node.op
        if isinstance(op, Requantise):
            tail = replace(job.tail, zero=op.zero, low=op.low, high=op.high, rounding=op.rounding)
            job = _requantised(graph, node, job, tail)
        elif isinstance(op, Clip):
            job = replace(job, tail=replace(job.tail, low=max(op.low, job.tail.low), high=min(op.high, job.tail.high)))
        elif isinstance(op, Lut):
            job = replace(job, tail=replace(job.tail, table=full_table(graph, node)))
    return job


def lane_groups(values: np.ndarray, lanes: int) -> np.ndarray:
    """[taps, elements] as [groups, taps, lanes], zeros beyond the last element."""
    taps, elements = values.shape
    groups = -(-elements // lanes)
    padded = np.zeros((taps, groups * lanes), values.dtype)
    padded[:, :elements] = values
    return padded.reshape(taps, groups, lanes).transpose(1, 0, 2)


def _operand(graph: Graph, node: Node, b: str | None, job: VectorJob, config: ArrayConfig) -> Operand | None:
    if b is None:
        return None
    op, type = node.op, graph.type_of(b)
    assert isinstance(op, Add | Multiply | Shift)
    size = element_bytes(type.dtype)
    zero = op.a_zero if _swapped(graph, node) else op.b_zero
    if type.shape == graph.type_of(node.name).shape and type.size > 1:
        scaled = job.elements * size
        return Operand(Output(b, job.image.height * scaled, scaled, scaled, 0, size), None, size, zero)
    if graph.is_constant(b):
        data = lane_groups(graph.constant(b).array.reshape(1, -1), 1 if type.size == 1 else config.vector_lanes)
        return Operand(None, data, size, zero, repeat=type.size == 1)
    return Operand(Output(b, 0, 0, 0, 0, size), None, size, zero, repeat=type.size == 1)
