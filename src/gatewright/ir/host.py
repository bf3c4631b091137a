"""Steps that stay on the host after the machine has finished: NumPy in float32, as small frozen records."""

from collections.abc import Callable, Mapping
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
    """One step of an output's host tail; `kind` is a key of `HOST_STEPS` and says which fields matter."""

    kind: str
    scale: float | None = None
    zero_point: int = 0
    dtype: str | None = None
    axis: int = -1
    keepdims: bool = False
    shape: tuple[int, ...] | None = None
    permutation: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in HOST_STEPS:
            raise GraphError(f"kind of a host step must be one of {', '.join(HOST_STEPS)}, not {self.kind!r}")
        for name in ("shape", "permutation"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(int(item) for item in getattr(self, name)))

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
}
