"""One layer as a translation function sees it: settings, variables, and the model under construction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewright.frontends.keras.writer import Value, Writer

__all__ = ["Layer", "Unsupported"]


class Unsupported(Exception):
    """Why a layer cannot be translated; the layer's name is put in front of it."""


@dataclass(frozen=True)
class Layer:
    """A layer of `class_name` called `name`; `settings` are its configuration."""

    writer: Writer
    name: str
    class_name: str
    settings: Mapping[str, Any]
    variables: tuple[np.ndarray, ...]

    def get(self, key: str, default: Any) -> Any:
        """A setting, the default where it is absent or null."""
        value = self.settings.get(key)
        return default if value is None else value

    def pair(self, key: str, default: int = 1) -> tuple[int, int]:
        """A setting of one number, or one for height and one for width."""
        value = self.get(key, default)
        numbers = (value, value) if isinstance(value, int) else tuple(value)
        if len(numbers) != 2 or not all(isinstance(number, int) for number in numbers):
            raise Unsupported(f"{key} must be one or two whole numbers, not {value!r}")
        return numbers[0], numbers[1]

    def expect_variables(self, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """The variables, float32, which must have these shapes."""
        found = [tuple(array.shape) for array in self.variables]
        if found != list(shapes):
            wanted = ", ".join(str(list(shape)) for shape in shapes) or "none"
            given = ", ".join(str(list(shape)) for shape in found) or "none"
            raise Unsupported(f"its variables must have the shapes {wanted}, not {given}")
        return [array.astype(np.float32) for array in self.variables]

    def expect_image(self, x: Value) -> tuple[int, int, int]:
        """Height, width and channels of an operand; channels must be last."""
        if self.get("data_format", "channels_last") != "channels_last":
            raise Unsupported("data_format must be channels_last, not channels_first")
        if not x.is_image:
            raise Unsupported(f"its operand must be [batch, height, width, channels], not [batch, {_listed(x.shape)}]")
        return x.shape[0], x.shape[1], x.shape[2]

    def add(self, kind: str, *inputs: str, suffix: str = "", **attributes: Any) -> str:
        """Add a node named after the layer."""
        return self.writer.add(kind, inputs, f"{self.name}{suffix}", **attributes)

    def constant(self, array: Any, suffix: str) -> str:
        return self.writer.constant(array, f"{self.name}:{suffix}")


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
