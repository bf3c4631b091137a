"""Operators that cut tensors and put them together: concatenation, slices, padding."""

from collections.abc import Sequence

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View, channels_last
from gatewright.frontends.onnx.ops.move import moved
from gatewright.frontends.onnx.values import Deferred, Integer, Real, Scaled
from gatewright.ir import Concat, Pad, Slice

__all__ = ["concat", "concatenated", "cut", "joined", "pad", "restored", "slice_", "split"]


def concat(call: Call) -> Known:
    """Operands of any scales (rounded to the following QuantizeLinear), and quantised constants."""
    if all(isinstance(value, Integer) for value in call.operands):
        parts = [call.integer(index) for index in range(len(call.operands))]
        axis = call.axis("axis", 0, len(parts[0].shape))
        return Integer(concatenated(call.context, [part.view for part in parts], axis, call.output))
    return joined(call, [call.real(index) for index in range(len(call.operands))])


def joined(call: Call, reals: Sequence[Real]) -> Real:
    """Reals one after the other along the node's axis."""
    first, name = reals[0], call.output
    axis = call.axis("axis", 0, len(first.shape))
    shape = list(first.shape)
    shape[axis] = sum(real.shape[axis] for real in reals)
    if isinstance(first, Scaled) and all(_same_codes(call.context, first, other) for other in reals[1:]):
        views = [real.view for real in reals if isinstance(real, Scaled)]
        return Scaled.of(concatenated(call.context, views, axis, name), first.scale, first.zero)
    return Deferred(
        shape=tuple(shape),
        sources=tuple(reals),
        kind="Concat",
        action=lambda context, views, target: concatenated(context, views, axis, name),
    )


def concatenated(context: Context, views: Sequence[View], axis: int, name: str) -> View:
    """Integer tensors one after the other, in the layout they share if there is one."""
    rank = len(views[0].shape)
    orders = {view.permutation() for view in views}
    axes = orders.pop() if len(orders) == 1 else None
    axes = axes or (channels_last(rank) if rank == 4 else tuple(range(rank)))
    values = [context.materialise(view, axes) for view in views]
    value = context.add(Concat(axes.index(axis)), *values, name=name)
    stored = context.type_of(value).shape
    return View.of(value, [stored[axes.index(axis)] for axis in range(rank)], axes)


def split(call: Call) -> tuple[Known, ...]:
    """Slices; constant or equal sizes."""
    shape = call.value(0).shape
    axis = call.axis("axis", 0, len(shape))
    count = call.get_int("num_outputs", len(call.node.outputs))
    size = -(-shape[axis] // count)
    sizes = (
        [int(part) for part in call.array(1)]
        if call.has(1)
        else [size] * (count - 1) + [shape[axis] - size * (count - 1)]
    )
    ends = np.cumsum(sizes).tolist()
    whole = [slice(0, size, 1) for size in shape]
    results = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        ranges = [slice(start, end, 1) if index == axis else part for index, part in enumerate(whole)]
        results.append(sliced(call, ranges))
    return tuple(results)


def slice_(call: Call) -> Known:
    """Constant positions, positive steps."""
    shape = call.value(0).shape
    starts, ends = call.array(1), call.array(2)
    axes = call.array(3) if call.has(3) else np.arange(len(starts))
    steps = call.array(4) if call.has(4) else np.ones(len(starts), np.int64)
    ranges = [slice(0, size, 1) for size in shape]
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True):
        if step < 1:
            raise Unsupported(f"steps must be positive, not {step}")
        ranges[axis] = slice(*slice(start, end, step).indices(shape[axis]))
    return sliced(call, ranges)


def pad(call: Call) -> Known:
    """Constant mode, sizes of at least 0, a constant value that is a step of the scale."""
    shape = call.value(0).shape
    if call.get_text("mode", "constant") != "constant":
        raise Unsupported(f"mode must be constant, not {call.get_text('mode', 'constant')}")
    amounts = [int(amount) for amount in call.array(1)]
    axes = [int(axis) % len(shape) for axis in call.array(3)] if call.has(3) else list(range(len(shape)))
    number = call.number(2) if call.has(2) else 0.0
    if min(amounts, default=0) < 0:
        raise Unsupported(f"pads must be at least 0, not {amounts}")
    around = [(0, 0)] * len(shape)
    for position, axis in enumerate(axes):
        around[axis] = (amounts[position], amounts[position + len(axes)])
    result = [size + before + after for size, (before, after) in zip(shape, around, strict=True)]
    return moved(call, result, lambda context, view, code: _padded(context, view, around, code(number), call.output))


def _same_codes(context: Context, a: Scaled, b: Real) -> bool:
    if not isinstance(b, Scaled) or not (a.bounds.free and b.bounds.free) or a.scale.size + b.scale.size > 2:
        return False
    same_type = context.type_of(a.view.value).dtype == context.type_of(b.view.value).dtype
    return same_type and (float(a.scale[0]), a.zero) == (float(b.scale[0]), b.zero)


def sliced(call: Call, ranges: Sequence[slice]) -> Known:
    shape = tuple(len(range(part.start, part.stop, part.step)) for part in ranges)
    if min(shape) < 1:
        raise Unsupported(f"its result must have at least one element, not shape {list(shape)}")
    return moved(call, shape, lambda context, view, code: cut(context, view, ranges, call.output))


def cut(context: Context, view: View, ranges: Sequence[slice], name: str) -> View:
    if all((part.start, part.stop, part.step) == (0, size, 1) for part, size in zip(ranges, view.shape, strict=True)):
        return view
    axes = _order(view)
    parts = [ranges[axis] for axis in axes]
    op = Slice(*zip(*((part.start, part.stop, part.step) for part in parts), strict=True))
    value = context.add(op, context.materialise(view, axes), name=name)
    return restored(context, value, axes)


def _padded(context: Context, view: View, around: Sequence[tuple[int, int]], code: int, name: str) -> View:
    axes = _order(view)
    op = Pad(tuple(around[axis] for axis in axes), code)
    return restored(context, context.add(op, context.materialise(view, axes), name=name), axes)


def _order(view: View) -> tuple[int, ...]:
    return view.permutation() or tuple(range(len(view.shape)))


def restored(context: Context, value: str, axes: Sequence[int]) -> View:
    stored = context.type_of(value).shape
    return View.of(value, [stored[axes.index(axis)] for axis in range(len(axes))], axes)
