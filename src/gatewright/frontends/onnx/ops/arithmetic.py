"""Sums and products of activations with each other and with constants."""

from dataclasses import replace

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.ops.function import elementwise, same_integer
from gatewright.frontends.onnx.ops.mac import channel_constant, with_bias
from gatewright.frontends.onnx.products import IntegerSum, Product
from gatewright.frontends.onnx.sums import FloatInput, Mean, Sum
from gatewright.frontends.onnx.values import Bounds, Constant, Deferred, QuantisedConstant, Real, Scaled

__all__ = ["add", "divide", "multiply", "scaled_by", "subtract", "sum_of"]

_Known = Constant | QuantisedConstant
_MOVES = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def add(call: Call) -> Known:
    """Two activations of one shape; a constant a channel after Conv, Gemm or MatMul; a number."""
    a, b = call.value(0), call.value(1)
    return _plus_constant(call, b, a, 1) if isinstance(a, _Known) else _sum(call, a, b, 1)


def subtract(call: Call) -> Known:
    """As Add."""
    a, b = call.value(0), call.value(1)
    return elementwise(call) if isinstance(a, _Known) else _sum(call, a, b, -1)


def multiply(call: Call) -> Known:
    """By a positive number; by a constant a channel after Conv, Gemm or MatMul; functions of one activation."""
    a, b = call.value(0), call.value(1)
    if isinstance(a, _Known):
        a, b = b, a
    return _times(call, a, b.array.astype(np.float64)) if isinstance(b, _Known) else elementwise(call)


def divide(call: Call) -> Known:
    """As Mul."""
    b = call.value(1)
    if isinstance(b, _Known) and b.array.all():
        return _times(call, call.value(0), 1 / b.array.astype(np.float64))
    return elementwise(call)


def sum_of(a: Scaled, b: Scaled, sign: int = 1) -> Sum:
    """The sum of two activations."""
    if a.shape != b.shape:
        raise Unsupported(f"its operands must have the same shape, not {list(a.shape)} and {list(b.shape)}")
    return Sum(shape=a.shape, a=a, b=b, sign=sign)


def scaled_by(x: Scaled, factor: float) -> Scaled:
    """An activation times a positive number: another scale."""
    bounds = Bounds(x.bounds.low * factor, x.bounds.high * factor)
    return replace(x, bounds=bounds, scale=x.scale * factor)


def _sum(call: Call, a: Known, b: Known, sign: int) -> Known:
    if isinstance(b, _Known):
        return _plus_constant(call, a, b, sign)
    if same_integer(a, b) and not (isinstance(a, Scaled) and isinstance(b, Scaled)):
        return elementwise(call)
    return sum_of(call.scaled(0), call.scaled(1), sign)


def _plus_constant(call: Call, x: Known, constant: _Known, sign: int) -> Known:
    signed = constant if sign > 0 else _negated(constant)
    match x:
        case IntegerSum():
            return IntegerSum(with_bias(x.product, signed))
        case Product() if x.plain:
            return with_bias(x, signed)
        case FloatInput() if constant.array.size == 1 and x.bounds.free:
            return x.affine(1.0, float(signed.array.flat[0]))
        case Deferred() if constant.array.size == 1 and _only_moves(x):
            return x.map(lambda source: _plus_constant(call, source, constant, sign))
        case Scaled() if constant.array.size > 1 and isinstance(constant, QuantisedConstant):
            wide = constant.map(lambda array: np.broadcast_to(array, x.shape))
            return sum_of(x.plain(call.context), call.placed(wide, "addend"), sign)
        case Real() if constant.array.size == 1:
            return elementwise(call)
    raise Unsupported(f"a constant of shape {list(constant.shape)} can be added after Conv, Gemm and MatMul only")


def _times(call: Call, x: Known, factor: np.ndarray) -> Known:
    match x:
        case Product() if x.plain:
            return x.scaled_by(channel_constant(factor, x))
        case FloatInput() if factor.size == 1 and x.bounds.free and factor.flat[0] > 0:
            return x.affine(float(factor.flat[0]), 0.0)
        case Deferred() if factor.size == 1 and factor.flat[0] > 0 and _only_moves(x):
            return x.map(lambda source: _times(call, source, factor))
        case Scaled() if factor.size == 1 and factor.flat[0] > 0:
            return scaled_by(x, float(factor.flat[0]))
        case Mean() if factor.size == 1 and factor.flat[0] > 0 and x.bounds.free:  # a sum, written as mean times size
            return replace(x, x=scaled_by(x.x, float(factor.flat[0])))
        case Real() if factor.size == 1:
            return elementwise(call)
    raise Unsupported(
        f"a constant of shape {list(factor.shape)} can multiply the results of Conv, Gemm and MatMul only"
    )


def _only_moves(x: Deferred) -> bool:
    """Whether arithmetic may precede the movement: no new numbers appear in it."""
    return x.kind in _MOVES and x.bounds.free


def _negated(constant: _Known) -> _Known:
    if isinstance(constant, Constant):
        return Constant(-constant.array)
    return QuantisedConstant(-constant.integers, constant.scale, constant.dtype)
