"""The quantisers of QONNX: integers of any width, written as floating-point numbers."""

import re
from dataclasses import replace

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.exact import ROUNDING_MODES, ExactTarget
from gatewright.frontends.onnx.products import Product
from gatewright.frontends.onnx.values import Constant, QuantisedConstant, Real, Scaled, Target
from gatewright.ir import IntType, Rounding

__all__ = ["QUANTISERS", "bipolar_quant", "multi_threshold", "quant"]

QUANTISERS = ("Quant", "IntQuant", "BipolarQuant", "MultiThreshold", "Trunc")
_MOST_BITS = 16
_BIPOLAR = IntType(2)  # -1 and 1: no type of one bit holds them


def quant(call: Call) -> Known:
    """QONNX: activations with one scale, constants with one or one a channel; 1 to 16 bits, all rounding modes."""
    zero, bits = call.array(2).astype(np.float64), call.number(3)
    signed, narrow = bool(call.get_int("signed", 1)), bool(call.get_int("narrow", 0))
    mode = call.get_text("rounding_mode", "ROUND").upper()
    if mode not in ROUNDING_MODES:
        raise Unsupported(f"rounding_mode must be one of {', '.join(ROUNDING_MODES)}, not {mode}")
    if bits != round(bits) or not 1 <= bits <= _MOST_BITS:
        raise Unsupported(f"bitwidth must be a whole number from 1 to {_MOST_BITS}, not {bits:g}")
    if np.ptp(zero) or zero.flat[0] != np.rint(zero.flat[0]):
        raise Unsupported("zeropt must be one whole number")
    if signed and bits == 1:
        if zero.any():
            raise Unsupported("zeropt must be 0 where one signed bit stands for -1 and 1")
        return _quantised(call, _target(0, _BIPOLAR, -1, 1, bipolar=True))
    dtype = IntType(int(bits), signed)
    low, high = dtype.min + (narrow and signed), dtype.max - (narrow and not signed)
    point = int(zero.flat[0])
    dtype = _holding(dtype, min(low, point), max(high, point))
    return _quantised(call, _target(point, dtype, low, high, mode))


def bipolar_quant(call: Call) -> Known:
    """QONNX: -1 and 1 times a scale, for activations and constants."""
    return _quantised(call, _target(0, _BIPOLAR, -1, 1, bipolar=True))


def multi_threshold(call: Call) -> Known:
    """QONNX: after Conv, Gemm or MatMul; thresholds a requantisation can have, one row or one a channel."""
    product, thresholds = call.value(0), call.array(1).astype(np.float64)
    if not isinstance(product, Product):
        raise Unsupported("it must follow a Conv, Gemm or MatMul, with nothing but scales and offsets between")
    channels = product.scale.size
    if thresholds.ndim != 2 or thresholds.shape[0] not in (1, channels) or (np.diff(thresholds, axis=1) < 0).any():
        raise Unsupported(f"thresholds must be [1 or {channels}, levels], each row ascending")
    layout = call.get_text("data_layout", "NCHW")
    if (len(product.shape) - 1 if layout == "NHWC" else 1) != product.channel_axis:
        raise Unsupported(f"data_layout must put the channels of its operand at axis {product.channel_axis}")
    scale, bias, count = call.get_float("out_scale", 1.0), call.get_float("out_bias", 0.0), thresholds.shape[1]
    first = bias / scale
    rows = np.broadcast_to(thresholds, (channels, count))
    if first == -0.5 and count == 1:  # one bit, of which -1/2 and 1/2 steps become -1 and 1
        scale, rows, low, high, dtype = scale / 2, np.repeat(rows, 2, axis=1), -1, 1, _BIPOLAR
    elif first == round(first):
        low, high = int(first), int(first) + count
        dtype = _holding(_declared(call), low, high)
    else:
        raise Unsupported(f"out_bias must be a whole number of steps of out_scale, not {first:g}")
    target = Target(scale, 0, dtype, low, high, Rounding.HALF_EVEN)
    integer = product.count_thresholds(call.context, target, rows, call.output)
    return Scaled.of(integer.view, scale)


def _declared(call: Call) -> IntType:
    """The type that `out_dtype` names ("UINT4", "BINARY"), the narrowest where it names none."""
    found = re.fullmatch(r"(U?)INT(\d+)", call.get_text("out_dtype", ""))
    return IntType(int(found[2]), not found[1]) if found else IntType(1, signed=False)


def _holding(dtype: IntType, low: int, high: int) -> IntType:
    """The type itself where it holds a range, else the narrowest that does."""
    signed = dtype.signed or low < 0
    width = dtype.width
    while not IntType(width, signed).holds(low, high):
        width += 1
    return IntType(width, signed)


def _target(zero: int, dtype: IntType, low: int, high: int, mode: str = "ROUND", bipolar: bool = False) -> ExactTarget:
    """A target whose scale is still to come."""
    return ExactTarget(1.0, zero, dtype, low, high, ROUNDING_MODES[mode][1], mode, bipolar)


def _quantised(call: Call, target: ExactTarget) -> Known:
    """The operand rounded to a target, whose scale is operand 1, as real numbers again."""
    scale = call.array(1).astype(np.float64)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise Unsupported("scale must be positive and finite")
    value = call.value(0)
    if isinstance(value, Constant | QuantisedConstant):
        steps = np.broadcast_to(scale, value.shape)
        codes = target.codes(value.array.astype(np.float64) / steps)
        return QuantisedConstant(codes - target.zero, steps, target.dtype)
    if not isinstance(value, Real):
        raise Unsupported(call.not_quantised(0))
    if np.ptp(scale):
        raise Unsupported("scale of an activation must be one number, not one a channel")
    target = replace(target, scale=float(scale.flat[0]))
    integer = value.quantise(call.context, target, call.output)
    return Scaled.of(integer.view, target.scale, target.zero, integer.origin)
