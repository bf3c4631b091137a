"""Pooling: largest and mean values of windows, of whole images, and means over axes."""

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View, channels_last
from gatewright.frontends.onnx.ops.move import moved
from gatewright.frontends.onnx.ops.windows import frame, image_axes, image_shape
from gatewright.frontends.onnx.sums import Mean, Window
from gatewright.frontends.onnx.values import Scaled
from gatewright.ir import I8, MaxPool, TensorType

__all__ = ["average_pool", "global_average_pool", "global_max_pool", "max_pool", "mean_of", "reduce_mean", "window_of"]


def max_pool(call: Call) -> Known:
    """1-D and 2-D on integers and reals, any padding, ceil_mode; no dilations, no indices."""
    shape = call.value(0).shape
    image = image_shape(shape)
    window = frame(call, (image[2], image[3]), call.get_ints("kernel_shape", ()), len(shape))
    if window.dilations != (1, 1):
        raise Unsupported(f"dilations must be 1, not {list(window.dilations)}")
    if len(call.node.outputs) > 1 and call.node.outputs[1].uses():
        raise Unsupported("its second result, the indices, must not be used")
    return _largest(call, MaxPool(window.kernel, window.strides, window.pads))


def global_max_pool(call: Call) -> Known:
    """1-D and 2-D."""
    image = image_shape(call.value(0).shape)
    return _largest(call, MaxPool((image[2], image[3])))


def average_pool(call: Call) -> Known:
    """1-D and 2-D between DequantizeLinear and QuantizeLinear; count_include_pad, ceil_mode."""
    x = call.scaled(0)
    return mean_of(call, x, window_of(call, x.shape))


def global_average_pool(call: Call) -> Known:
    """1-D and 2-D between DequantizeLinear and QuantizeLinear."""
    return mean_of(call, call.scaled(0), None)


def reduce_mean(call: Call) -> Known:
    """Over one or two axes between DequantizeLinear and QuantizeLinear."""
    x = call.scaled(0)
    rank = len(x.shape)
    axes = call.get_ints("axes", ()) or (tuple(call.array(1).tolist()) if call.has(1) else tuple(range(rank)))
    reduced = sorted({int(axis) % rank for axis in axes})
    kept = [axis for axis in range(rank) if axis not in reduced]
    if len(reduced) > 2 or len(kept) not in (1, 2):
        raise Unsupported(
            f"it must reduce one or two axes and keep one or two, not reduce {reduced} of {list(x.shape)}"
        )
    sizes = [x.shape[axis] for axis in reduced]
    height, width = (sizes[0], 1) if len(sizes) == 1 else sizes
    view = x.view.transpose([*kept[:-1], *reduced, kept[-1]])
    batch = x.shape[kept[0]] if len(kept) == 2 else 1
    images = call.context.reshape(view, (batch, height, width, x.shape[kept[-1]]))
    keep = call.get_int("keepdims", 1)
    shape = tuple(1 if axis in reduced else size for axis, size in enumerate(x.shape) if keep or axis in kept)
    window = Window((height, width), (1, 1), (0, 0, 0, 0))
    return Mean(shape=shape, x=Scaled.of(images, x.scale, x.zero), axes=(0, 1, 2, 3), window=window)


def mean_of(call: Call, x: Scaled, window: Window | None) -> Mean:
    """The mean of each window over [N, C, ...]; of the whole image without one."""
    batch, channels, height, width = image_shape(x.shape)
    window = window or Window((height, width), (1, 1), (0, 0, 0, 0))
    image = TensorType((batch, height, width, channels), I8)
    _, rows, columns, _ = MaxPool(window.kernel, window.strides, window.pads).infer(image).shape
    shape = (batch, channels, rows, columns) if len(x.shape) == 4 else (batch, channels, columns)
    images = Scaled.of(image_axes(call.context, x.view), x.scale, x.zero)
    return Mean(shape=shape, x=images, axes=channels_last(4), window=window)


def window_of(call: Call, shape: tuple[int, ...]) -> Window:
    """The window of an AveragePool-like node over [N, C, ...]."""
    image = image_shape(shape)
    geometry = frame(call, (image[2], image[3]), call.get_ints("kernel_shape", ()), len(shape))
    include = bool(call.get_int("count_include_pad", 0))
    if geometry.dilations != (1, 1):
        raise Unsupported(f"dilations must be 1, not {list(geometry.dilations)}")
    if include and geometry.extended:
        raise Unsupported(
            "count_include_pad and ceil_mode must not come together where the last window leaves the image"
        )
    return Window(geometry.kernel, geometry.strides, geometry.pads, include)


def _largest(call: Call, op: MaxPool) -> Known:
    shape = call.value(0).shape
    batch, channels, height, width = image_shape(shape)
    _, rows, columns, _ = op.infer(TensorType((batch, height, width, channels), I8)).shape
    result = (batch, channels, rows, columns) if len(shape) == 4 else (batch, channels, columns)

    def move(context: Context, view: View, code: object) -> View:
        images = context.materialise(image_axes(context, view), channels_last(4))
        value = context.add(op, images, name=call.output)
        return context.reshape(View.of(value, (batch, channels, rows, columns), channels_last(4)), result)

    return moved(call, result, move)
