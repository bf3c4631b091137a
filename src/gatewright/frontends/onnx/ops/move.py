"""Operators that change the shape or the order of axes: a change of the view, free until memory order matters."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View
from gatewright.frontends.onnx.products import IntegerSum
from gatewright.frontends.onnx.values import Constant, Deferred, Host, Integer, QuantisedConstant, Real, Scaled
from gatewright.ir import HostStep

__all__ = [
    "Move",
    "depth_to_space",
    "flatten",
    "identity",
    "moved",
    "reshape",
    "shape_of",
    "space_to_depth",
    "squeeze",
    "transpose",
    "unsqueeze",
]

Move = Callable[[Context, View, Callable[[float], int]], View]  # the last gives the integer for a number of the model


def moved(call: Call, shape: Sequence[int], move: Move, step: HostStep | None = None) -> Known:
    """The first operand with its elements moved, whatever kind it is; `step` does the same on the host."""
    value, context, shape = call.value(0), call.context, tuple(shape)
    if isinstance(value, IntegerSum):
        value = value.integer(context)
    match value:
        case Integer():
            return value.moved_to(move(context, value.view, int))
        case Scaled():
            view = move(context, value.view, lambda number: _exact_code(value, number))
            if view.value != value.view.value and value.scale.size > 1:
                raise Unsupported("elements with a scale a channel can be viewed in another order, but not moved")
            return replace(value, view=view, shape=view.shape, table=None)
        case Real():
            kind = call.node.op_type
            return Deferred(
                shape=shape,
                sources=(value,),
                kind=kind,
                action=lambda context, views, target: move(context, views[0], target.code),
            )
        case Host() if step is not None:
            return value.then(step, shape)
    raise Unsupported(call.not_quantised(0))


def identity(call: Call) -> Known:
    """Any operand."""
    return call.value(0)


def shape_of(call: Call) -> Known:
    """A constant: shapes are static."""
    sizes = call.value(0).shape
    return Constant(np.array(sizes[call.get_int("start", 0) : call.get_int("end", len(sizes))], np.int64))


def transpose(call: Call) -> Known:
    """Free wherever the layout can be tracked."""
    value = call.value(0)
    rank = len(value.shape)
    axes = call.get_ints("perm", tuple(reversed(range(rank))))
    if isinstance(value, QuantisedConstant):
        return value.map(lambda array: array.transpose(axes))
    shape = [value.shape[axis] for axis in axes]
    step = HostStep("transpose", permutation=axes)
    return moved(call, shape, lambda context, view, code: view.transpose(axes), step)


def reshape(call: Call) -> Known:
    """Constant shape, with 0 and -1; free wherever the layout can be tracked."""
    old = call.value(0).shape
    wanted = [int(size) for size in call.array(1)]
    if not call.get_int("allowzero", 0):
        wanted = [old[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return _reshaped(call, wanted)


def flatten(call: Call) -> Known:
    """As Reshape."""
    shape = call.value(0).shape
    axis = call.get_int("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return _reshaped(call, [int(np.prod(shape[:axis])), -1])


def squeeze(call: Call) -> Known:
    """As Reshape."""
    shape = call.value(0).shape
    axes = [axis for axis, size in enumerate(shape) if size == 1]
    if call.has(1):
        axes = [int(axis) % len(shape) for axis in call.array(1)]
    return _reshaped(call, [size for axis, size in enumerate(shape) if axis not in axes])


def unsqueeze(call: Call) -> Known:
    """As Reshape."""
    shape = call.value(0).shape
    rank = len(shape) + call.array(1).size
    new = {int(axis) % rank for axis in call.array(1)}
    rest = iter(shape)
    return _reshaped(call, [1 if axis in new else next(rest) for axis in range(rank)])


def depth_to_space(call: Call) -> Known:
    """Both modes."""
    batch, channels, height, width = call.value(0).shape
    block = call.get_int("blocksize", 1)
    first = call.get_text("mode", "DCR") == "DCR"
    inner = (block, block, channels // block**2) if first else (channels // block**2, block, block)
    axes = (0, 3, 4, 1, 5, 2) if first else (0, 1, 4, 2, 5, 3)
    result = (batch, channels // block**2, height * block, width * block)
    return _rearranged(call, (batch, *inner, height, width), axes, result)


def space_to_depth(call: Call) -> Known:
    """Both modes."""
    batch, channels, height, width = call.value(0).shape
    block = call.get_int("blocksize", 1)
    split_shape = (batch, channels, height // block, block, width // block, block)
    result = (batch, channels * block**2, height // block, width // block)
    blocks_first = call.get_text("mode", "DCR") == "DCR"
    return _rearranged(call, split_shape, (0, 3, 5, 1, 2, 4) if blocks_first else (0, 1, 3, 5, 2, 4), result)


def _exact_code(value: Scaled, number: float) -> int:
    code = number / value.single_scale + value.zero
    if abs(code - round(code)) > 1e-4:
        raise Unsupported(f"the value {number:g} must be a step of the scale {value.single_scale:g}")
    return round(code)


def _reshaped(call: Call, sizes: Sequence[int]) -> Known:
    value = call.value(0)
    total, known = int(np.prod(value.shape)), int(np.prod([size for size in sizes if size != -1]))
    shape = tuple(total // max(known, 1) if size == -1 else size for size in sizes)
    if int(np.prod(shape)) != total:
        raise Unsupported(f"shape {list(sizes)} must have the {total} elements of {list(value.shape)}")
    if isinstance(value, QuantisedConstant):
        return value.map(lambda array: array.reshape(shape))
    step = HostStep("reshape", shape=shape)
    return moved(call, shape, lambda context, view, code: context.reshape(view, shape), step)


def _rearranged(call: Call, inner: Sequence[int], axes: Sequence[int], result: Sequence[int]) -> Known:
    def move(context: Context, view: View, code: Callable[[float], int]) -> View:
        return context.reshape(context.reshape(view, inner).transpose(axes), result)

    return moved(call, result, move)
