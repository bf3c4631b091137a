"""Operators that may end a network: they stay on the host, after the last integer."""

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.products import IntegerSum, Product
from gatewright.frontends.onnx.sums import Table
from gatewright.frontends.onnx.values import Host, Integer, Scaled
from gatewright.ir import HostStep

__all__ = ["argmax", "log_softmax", "on_host", "softmax"]


def softmax(call: Call) -> Known:
    """At the end of the network, on the host."""
    return _normalised(call, "softmax")


def log_softmax(call: Call) -> Known:
    """At the end of the network, on the host."""
    return _normalised(call, "log_softmax")


def argmax(call: Call) -> Known:
    """At the end of the network, on the host; the first of equal values."""
    if call.get_int("select_last_index", 0):
        raise Unsupported("select_last_index must be 0")
    host = on_host(call, 0)
    axis, keep = call.axis("axis", 0, len(host.shape)), bool(call.get_int("keepdims", 1))
    shape = [1 if index == axis else size for index, size in enumerate(host.shape) if keep or index != axis]
    return host.then(HostStep("argmax", axis=axis, keepdims=keep), shape, "int64")


def on_host(call: Call, index: int) -> Host:
    """An operand as the host sees it: dequantised, or integers as they are."""
    value, context = call.value(index), call.context
    match value:
        case Host():
            return value
        case Integer() | IntegerSum():
            integer = call.integer(index)
            return Host(integer, (), integer.shape, str(context.type_of(integer.view.value).dtype))
    host = dequantised(context, value)
    if host is None:
        raise Unsupported(call.not_quantised(index))
    return host


def dequantised(context: Context, value: Known) -> Host | None:
    """A real as the host computes it from the last integers; None where it cannot."""
    match value:
        case Table() if value.source is not None and value.step is not None and value.bounds.free:
            before = dequantised(context, value.source)
            return None if before is None else before.then(value.step)
        case Product() if value.plain and not value.whole:
            sums = value.sums(context)
            same = not (np.ptp(value.scale) or np.ptp(value.offset))
            factors, offsets = (numbers[:1] if same else numbers for numbers in (value.scale, value.offset))
            step = HostStep.affine(factors.tolist(), offsets.tolist(), value.channel_axis)
            return Host(Integer(sums, float(value.scale.max())), (step,), value.shape, "float32")
        case Product() if value.plain:
            value = value.accumulate(context)
    if not isinstance(value, Scaled):
        return None
    plain = value.plain(context)
    scale = plain.single_scale
    step = HostStep("dequantize", scale=scale, zero_point=plain.zero)
    return Host(Integer(plain.view, scale, plain.zero), (step,), plain.shape, "float32")


def _normalised(call: Call, kind: str) -> Host:
    host = on_host(call, 0)
    return host.then(HostStep(kind, axis=call.axis("axis", -1, len(host.shape))))
