"""A float ONNX model under construction, layer by layer, in Keras' terms: channels last, no batch axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Value", "Writer"]

_OPSET = 17
_IR_VERSION = 8
_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True)
class Value:
    """A tensor: `shape` as Keras sees it, without the batch; `first` where it is stored channels first."""

    name: str
    shape: tuple[int, ...]
    first: bool = False

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    def axis(self, axis: int) -> int:
        """Where an axis of Keras (which counts the batch, and from either end) lies in storage."""
        axis = axis % (len(self.shape) + 1)
        return {0: 0, 1: 2, 2: 3, 3: 1}[axis] if self.first else axis


class Writer:
    """Collects nodes and constants; the first dimension of every tensor is the batch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._taken: set[str] = set()
        self._moved: dict[str, str] = {}

    def input(self, name: str, shape: Sequence[int]) -> Value:
        unique = self._unique(name)
        self._inputs.append(helper.make_tensor_value_info(unique, TensorProto.FLOAT, ["batch", *shape]))
        return Value(unique, tuple(shape))

    def output(self, value: Value) -> None:
        """Make a value an output in Keras' own order."""
        name = self.last(value)
        if name in {one.name for one in (*self._inputs, *self._outputs)}:
            name = self.add("Identity", [name], f"{name}.output")
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape]))

    def constant(self, array: Any, name: str) -> str:
        unique = self._unique(name)
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), unique))
        return unique

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node; its name is that of its result."""
        unique = self._unique(name)
        self._nodes.append(helper.make_node(kind, list(inputs), [unique], name=unique, **attributes))
        return unique

    def first(self, value: Value) -> str:
        """The tensor with its channels first."""
        return value.name if value.first or not value.is_image else self._transposed(value, _TO_FIRST)

    def last(self, value: Value) -> str:
        """The tensor in Keras' own order."""
        return self._transposed(value, _TO_LAST) if value.first else value.name

    def build(self) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._constants)
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="gatewright")

    def _transposed(self, value: Value, axes: Sequence[int]) -> str:
        if value.name not in self._moved:
            layout = "first" if axes is _TO_FIRST else "last"
            self._moved[value.name] = self.add("Transpose", [value.name], f"{value.name}.{layout}", perm=list(axes))
        return self._moved[value.name]

    def _unique(self, name: str) -> str:
        unique, count = name, 0
        while unique in self._taken:
            count += 1
            unique = f"{name}.{count}"
        self._taken.add(unique)
        return unique
