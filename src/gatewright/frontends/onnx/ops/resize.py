"""Nearest-neighbour scaling of images."""

from collections.abc import Callable, Sequence

import numpy as np

from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View, channels_last
from gatewright.frontends.onnx.ops.move import moved
from gatewright.frontends.onnx.ops.part import cut, restored
from gatewright.ir import Upsample

__all__ = ["resize", "upsample"]


def resize(call: Call) -> Known:
    """Nearest neighbour of [N, C, H, W] by whole factors, up or down."""
    shape = call.value(0).shape
    if call.get_text("mode", "nearest") != "nearest" or len(shape) != 4:
        raise Unsupported(f"it must be nearest-neighbour over [N, C, H, W], not {call.get_text('mode', 'nearest')}")
    if call.get_text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("keep_aspect_ratio_policy must be stretch")
    if call.has(3) and call.array(3).size > 0:
        result = [int(size) for size in _every_axis(call, call.array(3), shape)]
        scales = [new / old for new, old in zip(result, shape, strict=True)]
    else:
        scales = _every_axis(call, call.array(2), (1,) * len(shape))
        result = _scaled_sizes(shape, scales)
    picks = [_picks(call, *axis) for axis in zip(shape, result, scales, strict=True)]
    return _repeated(call, result, picks)


def upsample(call: Call) -> Known:
    """As Resize."""
    shape = call.value(0).shape
    result = _scaled_sizes(shape, call.array(1).tolist())
    picks = [np.arange(new) * old // new for old, new in zip(shape, result, strict=True)]
    return _repeated(call, result, picks)


def _every_axis(call: Call, numbers: np.ndarray, others: Sequence[int]) -> list[float]:
    """Numbers given for the axes of the attribute `axes`, with those of the other axes."""
    full: list[float] = list(others)
    for axis, number in zip(call.get_ints("axes", tuple(range(len(full)))), numbers.tolist(), strict=True):
        full[axis] = number
    return full


def _scaled_sizes(shape: Sequence[int], scales: Sequence[float]) -> list[int]:
    return [int(np.floor(size * scale)) for size, scale in zip(shape, scales, strict=True)]


def _picks(call: Call, old: int, new: int, scale: float) -> np.ndarray:
    """Which old element each new one is, along one axis."""
    position = np.arange(new, dtype=np.float64)
    match call.get_text("coordinate_transformation_mode", "half_pixel"):
        case "asymmetric":
            source = position / scale
        case "half_pixel":
            source = (position + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            source = (position + 0.5) / scale - 0.5 if new > 1 else position * 0
        case "align_corners" if new > 1:
            source = position * (old - 1) / (new - 1)
        case mode:
            raise Unsupported(f"coordinate_transformation_mode {mode} is not known")
    match call.get_text("nearest_mode", "round_prefer_floor"):
        case "floor":
            picks = np.floor(source)
        case "ceil":
            picks = np.ceil(source)
        case "round_prefer_ceil":
            picks = np.floor(source + 0.5)
        case _:
            picks = np.ceil(source - 0.5)
    return picks.clip(0, old - 1).astype(np.int64)


def _repeated(call: Call, result: Sequence[int], picks: Sequence[np.ndarray]) -> Known:
    """Elements picked along each axis: each repeated equally often, or every n-th."""
    shape = call.value(0).shape
    factors, ranges = [], []
    for old, new, pick in zip(shape, result, picks, strict=True):
        steps = np.diff(pick)
        step = int(steps[0]) if new > 1 and new < old else 1
        factor = new // old if new > old else 1
        wanted = np.arange(new) // factor * step + int(pick[0])
        if (pick != wanted).any():
            raise Unsupported(f"it must repeat or skip elements evenly, which {list(shape)} to {list(result)} does not")
        factors.append(factor)
        ranges.append(slice(int(pick[0]), int(pick[-1]) + 1, step) if factor == 1 else slice(0, old, 1))
    if factors[:2] != [1, 1]:
        raise Unsupported("it must not repeat images or channels")

    def move(context: Context, view: View, code: Callable[[float], int]) -> View:
        view = cut(context, view, ranges, f"{call.output}.cut")
        if factors == [1, 1, 1, 1]:
            return view
        value = context.materialise(view, channels_last(4))
        value = context.add(Upsample((factors[2], factors[3])), value, name=call.output)
        return restored(context, value, channels_last(4))

    return moved(call, result, move)
