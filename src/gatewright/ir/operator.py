"""What every operator is: a frozen record of attributes, a type rule and an exact meaning."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from gatewright.errors import GraphError
from gatewright.ir.numerics import MAX_SHIFT
from gatewright.ir.types import IntType, TensorType

__all__ = ["Operator", "require"]


def require(condition: bool, message: str) -> None:
    """Raise `GraphError(message)` unless the condition holds."""
    if not condition:
        raise GraphError(message)


@dataclass(frozen=True)
class Operator:
    """One operator with its attributes as fields; the formula is the docstring of each subclass.

    `operands` names the inputs for messages; a trailing `?` marks an optional one, a trailing `*` any number of them.
    """

    name: ClassVar[str]
    operands: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _frozen(getattr(self, field.name)))

    def infer(self, *types: TensorType) -> TensorType:
        """The type of the result; raises `GraphError` naming the operand or attribute that does not fit."""
        raise GraphError(f"{type(self).__name__} must define infer")

    def evaluate(self, *arrays: np.ndarray, types: Sequence[TensorType]) -> np.ndarray:
        """The exact result, in the storage type of the inferred type; `types` are those of the operands."""
        raise GraphError(f"{type(self).__name__} must define evaluate")

    def check(self, *arrays: np.ndarray | None) -> None:
        """Raise `GraphError` when operands known at compile time (others are None) hold impossible values."""

    def expect_operands(self, types: Sequence[object]) -> None:
        """Raise `GraphError` unless the number of operands is one the operator takes."""
        most = None if self.operands[-1].endswith("*") else len(self.operands)
        least = sum(not operand.endswith(("?", "*")) for operand in self.operands)
        if len(types) < least or (most is not None and len(types) > most):
            raise GraphError(f"operands must be ({', '.join(self.operands)}), not {len(types)} values")

    def expect_tail(self, zero: int, low: int, high: int, dtype: IntType, shift: int = 0) -> None:
        """Raise `GraphError` unless these can end an operator that shifts, adds a zero point and clips."""
        require(0 <= shift <= MAX_SHIFT, f"shift must be 0..{MAX_SHIFT}, not {shift}")
        self.expect_bounds(low, high, dtype)
        require(dtype.holds(zero, zero), f"zero must be within {dtype}, not {zero}")

    def expect_bounds(self, low: int, high: int, dtype: IntType) -> None:
        """Raise `GraphError` unless `low`..`high` is a range within `dtype`."""
        require(low <= high, f"low must be at most high, not {low} > {high}")
        require(dtype.holds(low, high), f"low and high must be within {dtype}, not {low}..{high}")


def _frozen(value: Any) -> Any:
    """Attributes as plain Python values: tuples for sequences, int for NumPy integers."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value
