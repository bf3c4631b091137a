"""Windows over images: padding rules of ONNX, and one-dimensional signals as images of height 1."""

from dataclasses import dataclass
from math import ceil

from gatewright.frontends.onnx.call import Call
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View

__all__ = ["Frame", "frame", "image_axes", "image_shape"]


@dataclass(frozen=True)
class Frame:
    """The geometry of a window in two dimensions; `extended` says whether ceil_mode widened the padding."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    extended: bool


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[N, C, H, W], also for [N, C, L]."""
    if len(shape) not in (3, 4):
        raise Unsupported(f"its operand must be [N, C, L] or [N, C, H, W], not {list(shape)}")
    return shape if len(shape) == 4 else (*shape[:2], 1, shape[2])


def image_axes(context: Context, view: View) -> View:
    """The tensor as [N, C, H, W]."""
    return context.reshape(view, image_shape(view.shape))


def frame(call: Call, image: tuple[int, int], kernel: tuple[int, ...], rank: int) -> Frame:
    """The window a Conv or pooling node slides over an image of this height and width."""
    dimensions = rank - 2
    strides = call.get_ints("strides", (1,) * dimensions)
    dilations = call.get_ints("dilations", (1,) * dimensions)
    pads = call.get_ints("pads", (0,) * (2 * dimensions))
    if dimensions == 1:
        kernel, strides, dilations, pads = (1, *kernel), (1, *strides), (1, *dilations), (0, pads[0], 0, pads[1])
    before, after, extended = [], [], False
    for axis in range(2):
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        first, last = _padding(call, image[axis], extent, strides[axis], (pads[axis], pads[axis + 2]))
        if call.get_int("ceil_mode", 0):
            wider = _ceiling(image[axis], extent, strides[axis], first, last)
            extended, last = extended or wider > last, wider
        before.append(first)
        after.append(last)
    if min(*before, *after) < 0:
        raise Unsupported(f"pads must not be negative, not {list(pads)}")
    return Frame(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (before[0], before[1], after[0], after[1]),
        (dilations[0], dilations[1]),
        extended,
    )


def _padding(call: Call, size: int, extent: int, stride: int, explicit: tuple[int, int]) -> tuple[int, int]:
    mode = call.get_text("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return explicit
    if mode == "VALID":
        return 0, 0
    total = max((ceil(size / stride) - 1) * stride + extent - size, 0)
    less, more = total // 2, total - total // 2
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def _ceiling(size: int, extent: int, stride: int, before: int, after: int) -> int:
    """The padding after an image with which the last window, begun inside image or padding before it, fits."""
    count = ceil((size + before + after - extent) / stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max((count - 1) * stride + extent - size - before, 0)
