"""Operators on quantised tensors that carry their scales along: dequantise, compute, quantise in one node."""

from collections.abc import Callable

import numpy as np
import onnx_ir

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.ops import mac
from gatewright.frontends.onnx.ops.arithmetic import scaled_by, sum_of
from gatewright.frontends.onnx.ops.function import elementwise
from gatewright.frontends.onnx.ops.host import softmax
from gatewright.frontends.onnx.ops.part import joined
from gatewright.frontends.onnx.ops.pool import mean_of, window_of
from gatewright.frontends.onnx.qdq import dequantise, make_target, quantise
from gatewright.frontends.onnx.values import Integer, QuantisedConstant, Real, Scaled

__all__ = [
    "qgemm",
    "qlinear_add",
    "qlinear_average_pool",
    "qlinear_concat",
    "qlinear_conv",
    "qlinear_global_average_pool",
    "qlinear_leaky_relu",
    "qlinear_matmul",
    "qlinear_mul",
    "qlinear_sigmoid",
    "qlinear_softmax",
]


def qlinear_conv(call: Call) -> Known:
    """As Conv."""
    weights = mac.integer_weights(call, 3, 5, axis=0, scale=call.array(4))
    product = mac.convolve(call, _activation(call, 0), weights)
    return _result(call, product.biased(call.array(8)) if call.has(8) else product, 6)


def qlinear_matmul(call: Call) -> Known:
    """As MatMul."""
    return _result(call, mac.multiply(call, _activation(call, 0), _matrix(call, transposed=False)), 6)


def qgemm(call: Call) -> Known:
    """As Gemm; the result may stay floating point."""
    x = _activation(call, 0)
    if call.get_int("transA", 0):
        x = Scaled.of(x.view.transpose((1, 0)), x.scale, x.zero)
    product = mac.multiply(call, x, _matrix(call, transposed=bool(call.get_int("transB", 0))))
    scaled = product.scaled_by(np.array(call.get_float("alpha", 1.0)))
    if call.has(6):
        scaled = scaled.biased(mac.channel_constant(call.array(6), scaled))
    return _result(call, scaled, 7) if call.has(7) else scaled


def qlinear_add(call: Call) -> Known:
    """Two activations of one shape, or an activation and a constant."""
    first, second = _operand(call, 0), _operand(call, 3)
    if isinstance(first, QuantisedConstant):
        first, second = second, first
    if isinstance(first, Scaled) and isinstance(second, QuantisedConstant):
        second = call.placed(second.map(lambda array: np.broadcast_to(array, first.shape)), f"{call.name}.addend")
    if not isinstance(first, Scaled) or not isinstance(second, Scaled):
        raise Unsupported("at least one operand must be computed by the network")
    return _result(call, sum_of(first, second), 6)


def qlinear_mul(call: Call) -> Known:
    """An activation by a positive number."""
    first, second = _operand(call, 0), _operand(call, 3)
    if isinstance(first, QuantisedConstant):
        first, second = second, first
    if not isinstance(first, Scaled) or not isinstance(second, QuantisedConstant) or second.array.size != 1:
        raise Unsupported("one operand must be constant with one entry")
    return _result(call, scaled_by(first, float(second.array.flat[0])), 6)


def qlinear_average_pool(call: Call) -> Known:
    """As AveragePool."""
    return _pooled(call, lambda x: mean_of(call, x, window_of(call, x.shape)))


def qlinear_global_average_pool(call: Call) -> Known:
    """As GlobalAveragePool."""
    return _pooled(call, lambda x: mean_of(call, x, None))


def qlinear_concat(call: Call) -> Known:
    """Operands of any scales."""
    reals = []
    for index in range(2, len(call.operands), 3):
        real = _operand(call, index)
        reals.append(call.placed(real, f"{call.name}.part") if isinstance(real, QuantisedConstant) else real)
    return _result(call, joined(call, [real for real in reals if isinstance(real, Real)]), 0)


def qlinear_leaky_relu(call: Call) -> Known:
    """A table."""
    return _result(call, _inner(call, "LeakyRelu", elementwise, alpha=call.get_float("alpha", 0.01)), 3)


def qlinear_sigmoid(call: Call) -> Known:
    """A table."""
    return _result(call, _inner(call, "Sigmoid", elementwise), 3)


def qlinear_softmax(call: Call) -> Known:
    """At the end of the network, on the host."""
    if call.get_int("opset", 13) < 13:
        raise Unsupported(f"its opset must be 13 or newer, not {call.get_int('opset', 13)}")
    return _result(call, _inner(call, "Softmax", softmax, axis=call.get_int("axis", -1)), 3)


def _operand(call: Call, index: int) -> Known:
    """A tensor operand with the scale and the zero point that follow it."""
    zero = call.array(index + 2) if call.has(index + 2) else np.zeros(1)
    return dequantise(call, call.value(index), call.array(index + 1).astype(np.float64), zero, 1)


def _activation(call: Call, index: int) -> Scaled:
    value = _operand(call, index)
    if not isinstance(value, Scaled):
        raise Unsupported(f"operand {index} must be computed by the network")
    return value


def _matrix(call: Call, transposed: bool) -> QuantisedConstant:
    """The weights at operand 3 as [O, K]."""
    scale = call.array(4).reshape(-1)
    weights = mac.integer_weights(call, 3, 5, axis=0 if transposed else 1, scale=scale)
    if len(weights.shape) != 2:
        raise Unsupported(f"weights must be a matrix, not {list(weights.shape)}")
    return weights if transposed else weights.map(np.transpose)


def _result(call: Call, value: Known, scale: int) -> Known:
    """The value quantised with the scale and zero point operands at `scale` and after it."""
    return quantise(call, value, make_target(call, scale, scale + 1))


def _pooled(call: Call, mean: Callable[[Scaled], Real]) -> Known:
    x = _activation(call, 0)
    if not call.get_int("channels_last", 0):
        return _result(call, mean(x), 3)
    rank = len(x.shape)
    images = Scaled.of(x.view.transpose((0, rank - 1, *range(1, rank - 1))), x.scale, x.zero)
    result = _result(call, mean(images), 3)
    assert isinstance(result, Integer), "activations are rounded to integers"
    return result.moved_to(result.view.transpose((0, *range(2, rank), 1)))


def _inner(call: Call, op_type: str, function: Callable[[Call], Known], **attributes: float) -> Known:
    """What `function` makes of the dequantised first operand, as if it were a node of type `op_type`."""
    operand = onnx_ir.Value(name=f"{call.output}.operand")
    node = onnx_ir.node(op_type, [operand], attributes, name=call.name)
    node.outputs[0].name = call.output
    value = _operand(call, 0)
    return function(Call(call.context, node, (value,), call.opsets))
