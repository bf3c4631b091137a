"""Where integers and real numbers meet: QuantizeLinear, DequantizeLinear and Cast."""

import numpy as np
import onnx_ir

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.metadata import read_range, read_rounding
from gatewright.frontends.onnx.products import IntegerSum
from gatewright.frontends.onnx.values import (
    Constant,
    Host,
    Integer,
    QuantisedConstant,
    Real,
    Scaled,
    Target,
    same_scale,
)
from gatewright.ir import HostStep, IntType

__all__ = ["cast", "dequantise", "dequantize_linear", "integer_type", "make_target", "quantise", "quantize_linear"]


def quantize_linear(call: Call) -> Known:
    """One scale and zero point, constant; any integer type; narrower ranges as metadata."""
    return quantise(call, call.value(0), make_target(call, 1, 2))


def dequantize_linear(call: Call) -> Known:
    """Activations with one scale; constants with one, or one along an axis."""
    scale = _positive(call.array(1).astype(np.float64))
    zero = call.array(2) if call.has(2) else np.zeros(1)
    if call.get_int("block_size", 0):
        raise Unsupported("block_size must be 0: one scale, or one along an axis")
    return dequantise(call, call.value(0), scale, zero, call.get_int("axis", 1))


def cast(call: Call) -> Known:
    """Integers to floating point; anything on the host."""
    value, dtype = call.value(0), onnx_ir.DataType(call.get_int("to", 1))
    real = dtype.is_floating_point()
    match value:
        case IntegerSum() if real:
            return value.product
        case Integer() if real:
            return Scaled.of(value.view, 1.0)
        case Real() if real:
            return value
        case Host():
            name = dtype.numpy().name
            return value.then(HostStep("cast", dtype=name), dtype=name)
    raise Unsupported(f"it must cast integers to floating point, not to {dtype.name}")


def quantise(call: Call, value: Known, target: Target) -> Known:
    """A real, rounded to a target: what a QuantizeLinear or the end of a QLinear operator does."""
    if isinstance(value, Host):
        low, high = target.dtype.min, target.dtype.max
        if (target.low, target.high) != (low, high):
            raise Unsupported("a result of the host must be quantised to the whole range of its type")
        name = f"{'int' if target.dtype.signed else 'uint'}{target.dtype.width}"
        step = HostStep("quantize", scale=target.scale, zero_point=target.zero, dtype=name)
        return value.then(step, dtype=name)
    if not isinstance(value, Real):
        raise Unsupported(call.not_quantised(0))
    return value.quantise(call.context, target, call.output)


def dequantise(call: Call, value: Known, scale: np.ndarray, zero: np.ndarray, axis: int) -> Known:
    """Integers as reals: activations, constants, or what the host computed."""
    match value:
        case Constant() | QuantisedConstant():
            return _dequantised_constant(call, value.array, scale, zero, axis)
        case Host():
            step = HostStep("dequantize", scale=_one(scale, "scale"), zero_point=int(_one(zero, "zero point")))
            return value.then(step, dtype="float32")
        case Integer() | IntegerSum():
            integer = value.integer(call.context) if isinstance(value, IntegerSum) else value
            return Scaled.of(integer.view, _one(scale, "scale"), int(_one(zero, "zero point")), integer.origin)
    raise Unsupported("its operand must be integers, not real numbers")


def make_target(call: Call, scale: int, zero: int) -> Target:
    """The target given by a scale and a zero point operand, and by the node's metadata."""
    dtype = _quantised_type(call, zero)
    step = _one(_positive(call.array(scale).astype(np.float64)), "scale")
    point = int(_one(call.array(zero), "zero point")) if call.has(zero) else 0
    low, high = read_range(call.node, dtype)
    if (low, high) != (dtype.min, dtype.max):
        dtype = _narrow(min(low, point), max(high, point))
    rounding = call.context.options.rounding or read_rounding(call.node)
    return Target(step, point, dtype, low, high, rounding)


def integer_type(dtype: onnx_ir.DataType | np.dtype) -> IntType:
    """The integer type of a model's element type."""
    name = (dtype.numpy() if isinstance(dtype, onnx_ir.DataType) else dtype).name
    prefix = "uint" if name.startswith("uint") else "int"
    width = name.removeprefix(prefix)
    if not name.startswith(prefix) or not width.isdigit():
        raise Unsupported(f"its type must be an integer, not {name}")
    return IntType(int(width), prefix == "int")


def _quantised_type(call: Call, zero: int) -> IntType:
    if call.has(zero):
        return integer_type(call.array(zero).dtype)
    declared = call.get_int("output_dtype", 0)
    return integer_type(onnx_ir.DataType(declared) if declared else onnx_ir.DataType.UINT8)


def _narrow(low: int, high: int) -> IntType:
    """The narrowest type that holds a range."""
    signed = low < 0
    return IntType(max(max(-low - 1, high).bit_length() + signed, 1), signed)


def _dequantised_constant(
    call: Call, array: np.ndarray, scale: np.ndarray, zero: np.ndarray, axis: int
) -> QuantisedConstant:
    stored = integer_type(array.dtype)
    low, high = read_range(call.node, stored)
    dtype = stored if (low, high) == (stored.min, stored.max) else _narrow(low, high)
    points = _along_axis(zero, array.shape, axis).astype(np.int64)
    integers = array.astype(np.int64) - points
    return QuantisedConstant(integers, np.broadcast_to(_along_axis(scale, array.shape, axis), array.shape), dtype)


def _along_axis(parameters: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    if parameters.size == 1:
        return parameters.reshape(())
    axis = axis % len(shape)
    if parameters.shape != (shape[axis],):
        raise Unsupported(
            f"scale and zero point must have {shape[axis]} entries for axis {axis}, not {parameters.shape}"
        )
    return parameters.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def _positive(scale: np.ndarray) -> np.ndarray:
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise Unsupported("scale must be positive and finite")
    return scale


def _one(parameters: np.ndarray, what: str) -> float:
    """The one number a parameter of an activation has."""
    numbers = parameters.reshape(-1)
    if not all(same_scale(float(number), float(numbers[0])) for number in numbers):
        raise Unsupported(f"{what} of an activation must be one number, not one a channel")
    return float(numbers[0])
