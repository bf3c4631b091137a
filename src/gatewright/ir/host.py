"""Steps that stay on the host, before and after the machine: NumPy in float32, as small frozen records."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gatewright.errors import GraphError
from gatewright.ir.numerics import dequantise, quantise
from gatewright.ir.types import IntType

__all__ = ["HOST_STEPS", "HostStep", "model_storage", "model_type"]


def model_type(dtype: str) -> IntType | None:
    """The integer type a model's type name ("int8", "uint4") stands for; None for floating point and others."""
    prefix = "uint" if dtype.startswith("uint") else "int"
    width = dtype.removeprefix(prefix)
    return IntType(int(width), prefix == "int") if dtype.startswith(prefix) and width.isdigit() else None


def model_storage(dtype: str) -> np.dtype:
    """The NumPy type that carries a model's type; narrow integers and formats NumPy lacks take the next larger one."""
    integer = model_type(dtype)
    if integer is not None:
        return integer.storage
    return np.dtype("float32" if dtype == "bfloat16" else dtype)


@dataclass(frozen=True)
class HostStep:
    """One step after an output or before an input; `kind` is a key of `HOST_STEPS` and says which fields matter."""

    kind: str
    scale: float | None = None
    zero_point: int = 0
    dtype: str | None = None
    axis: int = -1
    keepdims: bool = False
    shape: tuple[int, ...] | None = None
    permutation: tuple[int, ...] | None = None
    factors: tuple[float, ...] | None = None
    offsets: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in HOST_STEPS:
            raise GraphError(f"kind of a host step must be one of {', '.join(HOST_STEPS)}, not {self.kind!r}")
        for name in ("shape", "permutation"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(int(item) for item in getattr(self, name)))
        for name in ("factors", "offsets"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(float(item) for item in getattr(self, name)))

    @classmethod
    def affine(cls, factors: Iterable[float], offsets: Iterable[float], axis: int = -1) -> "HostStep":
        """`x · factor + offset`, one pair, or one for each index of `axis`."""
        return cls("affine", axis=axis, factors=tuple(factors), offsets=tuple(offsets))

    def apply(self, x: np.ndarray) -> np.ndarray:
        return HOST_STEPS[self.kind](self, x)

    def to_json(self) -> dict[str, Any]:
        """Plain data without the fields left at their defaults."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        defaults = {field.name: field.default for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value != defaults[name]
        }

    def undo(self, x: np.ndarray) -> np.ndarray:
        """Numbers that `apply` takes to `x`, for steps in front of a network."""
        if self.kind == "sign":
            return x
        factors, offsets = _along_axis(self, x.ndim)
        return (x - offsets) / factors

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "HostStep":
        return cls(**data)


def _dequantize(step: HostStep, x: np.ndarray) -> np.ndarray:
    return dequantise(x, _scale(step), step.zero_point)


def _quantize(step: HostStep, x: np.ndarray) -> np.ndarray:
    """Saturates to the range of `dtype`."""
    target = model_type(step.dtype or "int8")
    if target is None:
        raise GraphError(f"dtype of a quantize step must be an integer type, not {step.dtype!r}")
    return quantise(x, _scale(step), step.zero_point, target.min, target.max).astype(target.storage)


def _softmax(step: HostStep, x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=step.axis, keepdims=True), dtype=np.float32)
    return powers / powers.sum(axis=step.axis, keepdims=True)


def _log_softmax(step: HostStep, x: np.ndarray) -> np.ndarray:
    moved = x - x.max(axis=step.axis, keepdims=True)
    return moved - np.log(np.exp(moved, dtype=np.float32).sum(axis=step.axis, keepdims=True))


def _sigmoid(step: HostStep, x: np.ndarray) -> np.ndarray:
    half = np.float32(0.5)
    return half * np.tanh(half * x.astype(np.float32)) + half


def _argmax(step: HostStep, x: np.ndarray) -> np.ndarray:
    """The first of equal largest values."""
    return np.argmax(x, axis=step.axis, keepdims=step.keepdims).astype(np.int64)


def _cast(step: HostStep, x: np.ndarray) -> np.ndarray:
    return x.astype(model_storage(step.dtype or "float32"))


def _reshape(step: HostStep, x: np.ndarray) -> np.ndarray:
    return x.reshape(step.shape or ())


def _transpose(step: HostStep, x: np.ndarray) -> np.ndarray:
    return x.transpose(step.permutation)


def _affine(step: HostStep, x: np.ndarray) -> np.ndarray:
    """In double precision, rounded once."""
    factors, offsets = _along_axis(step, x.ndim)
    return (x * factors + offsets).astype(np.float32)


def _sign(step: HostStep, x: np.ndarray) -> np.ndarray:
    """1 from 0 on, -1 below."""
    return np.where(x >= 0, np.float32(1), np.float32(-1))


def _along_axis(step: HostStep, rank: int) -> tuple[np.ndarray, np.ndarray]:
    if step.factors is None or step.offsets is None or len(step.factors) != len(step.offsets):
        raise GraphError("an affine step must have factors and as many offsets")
    shape = [-1 if index == step.axis % rank else 1 for index in range(rank)]
    return np.array(step.factors).reshape(shape), np.array(step.offsets).reshape(shape)


def _scale(step: HostStep) -> float:
    if step.scale is None:
        raise GraphError(f"a {step.kind} step must have a scale")
    return step.scale


HOST_STEPS: Mapping[str, Callable[[HostStep, np.ndarray], np.ndarray]] = {
    "dequantize": _dequantize,
    "quantize": _quantize,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sigmoid": _sigmoid,
    "argmax": _argmax,
    "cast": _cast,
    "reshape": _reshape,
    "transpose": _transpose,
    "affine": _affine,
    "sign": _sign,
}
