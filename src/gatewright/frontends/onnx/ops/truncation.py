"""QONNX's Trunc: integers lose their lowest bits."""

from dataclasses import dataclass

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Unsupported
from gatewright.frontends.onnx.exact import ROUNDING_MODES, ExactTarget
from gatewright.frontends.onnx.sums import FloatInput
from gatewright.frontends.onnx.values import Constant, QuantisedConstant, Real, Scaled
from gatewright.ir import IntType

__all__ = ["trunc"]

_MOST_BITS = 16
_MODES = ("ROUND", "CEIL", "FLOOR")


@dataclass(frozen=True)
class _Truncation(ExactTarget):
    """Whole steps of `fine`, of which 2^`shift` make one; `scale` is `fine · 2^shift`."""

    fine: float = 1.0
    shift: int = 0

    def codes(self, numbers: np.ndarray) -> np.ndarray:
        edge = 2.0**_MOST_BITS  # beyond it only infinities differ
        reach = edge * self.scale
        steps = np.rint(np.clip(np.asarray(numbers, np.float64), -reach, reach) / self.fine)
        rounded = ROUNDING_MODES[self.mode][0](steps / 2.0**self.shift) + self.zero
        return np.clip(rounded, self.low, self.high).astype(np.int64)


def trunc(call: Call) -> Known:
    """QONNX, version 1 and version 2 (with an output scale): an activation or constant that is quantised already."""
    second = call.has(5)  # its operands: x, scale, zero point, width, scale and width of the result
    scale, zero, bits = (call.number(index) for index in (1, 2, 3))
    result_scale, result_bits = (call.number(4), call.number(5)) if second else (scale, call.number(4))
    if not (0 < scale < np.inf and 0 < result_scale < np.inf):
        raise Unsupported("scales must be positive and finite")
    shift = float(np.round(np.log2(result_scale / scale))) if second else bits - result_bits
    if shift % 1 or result_bits % 1 or shift < 0 or not 1 <= result_bits <= _MOST_BITS:
        raise Unsupported(
            f"it must leave 1 to {_MOST_BITS} bits of at least as many, not {result_bits:g}, less {shift:g}"
        )
    if zero % 2**shift:
        raise Unsupported(f"zeropt must be a multiple of {2**shift:g}, so that it stays whole, not {zero:g}")
    mode = call.get_text("rounding_mode", "FLOOR").upper()
    if mode not in _MODES:
        raise Unsupported(f"rounding_mode must be one of {', '.join(_MODES)}, not {mode}")
    point = int(zero / 2**shift)
    low, high = _legal(call, int(result_bits)) if second else _reached(call, scale * 2**shift, int(result_bits), point)
    ends = (_holding(low, high, point), low, high, ROUNDING_MODES[mode][1])
    target = _Truncation(scale * 2**shift, point, *ends, mode, fine=scale, shift=int(shift))
    return _truncated(call, target, result_scale, point if second else int(zero))


def _legal(call: Call, bits: int) -> tuple[int, int]:
    """The integers of the result."""
    signed, narrow = bool(call.get_int("signed", 1)), bool(call.get_int("narrow", 0))
    dtype = IntType(bits, signed)
    return dtype.min + (narrow and signed), dtype.max - (narrow and not signed)


def _reached(call: Call, step: float, bits: int, zero: int) -> tuple[int, int]:
    """What version 1, which clips nothing, makes of the operand's type, or of as many bits as it says."""
    value = call.value(0)
    if not isinstance(value, Scaled):
        return -(1 << bits) + zero, (1 << bits) - 1 + zero
    dtype = call.context.type_of(value.view.value).dtype
    ends = (np.array([dtype.min, dtype.max]) - value.zero) * (value.single_scale / step)
    return int(np.floor(ends[0])) + zero, int(np.ceil(ends[1])) + zero


def _holding(low: int, high: int, zero: int) -> IntType:
    """The narrowest type of a range and of the zero point, which padding inserts."""
    low, high = min(low, zero), max(high, zero)
    return next(dtype for width in range(1, 64) if (dtype := IntType(width, low < 0)).holds(low, high))


def _truncated(call: Call, target: _Truncation, scale: float, zero: int) -> Known:
    value = call.value(0)
    if isinstance(value, Constant | QuantisedConstant):
        codes = target.codes(value.array.astype(np.float64))
        return QuantisedConstant(codes - zero, np.broadcast_to(scale, value.shape), target.dtype)
    if not isinstance(value, Real):
        raise Unsupported(call.not_quantised(0))
    if isinstance(value, FloatInput):
        raise Unsupported(f"input {value.name} must be quantised before it is truncated")
    integer = value.quantise(call.context, target, call.output)
    return Scaled.of(integer.view, scale, zero, integer.origin)
