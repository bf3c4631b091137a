"""A read-only view of a float ONNX model: who makes a tensor, who reads it, what is constant, what shape it has."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Network", "attributes"]


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


@dataclass(frozen=True)
class Network:
    """A normalised float model; every node has a unique name, nodes are in topological order."""

    model: onnx.ModelProto

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        return list(self.model.graph.node)

    @cached_property
    def _by_name(self) -> dict[str, onnx.NodeProto]:
        return {node.name: node for node in self.nodes}

    def node(self, name: str) -> onnx.NodeProto:
        return self._by_name[name]

    @cached_property
    def constants(self) -> dict[str, np.ndarray]:
        """The initialisers, as arrays."""
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}

    @cached_property
    def inputs(self) -> dict[str, onnx.ValueInfoProto]:
        """The real inputs: older models list initialisers among them."""
        return {value.name: value for value in self.model.graph.input if value.name not in self.constants}

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(value.name for value in self.model.graph.output)

    @cached_property
    def producer(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that read a tensor, in order; a node that reads it twice appears once."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def _values(self) -> dict[str, onnx.ValueInfoProto]:
        graph = self.model.graph
        return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}

    def type_of(self, name: str) -> onnx.TypeProto:
        """The declared type of a value."""
        return self._values[name].type

    def is_float(self, name: str) -> bool:
        """Whether a tensor is known to hold float32 values."""
        value = self._values.get(name)
        return value is not None and value.type.tensor_type.elem_type == TensorProto.FLOAT

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """The shape of an activation, None for unknown dimensions; None when not even the rank is known."""
        value = self._values.get(name)
        if value is None or not value.type.tensor_type.HasField("shape"):
            return None
        sizes = value.type.tensor_type.shape.dim
        return tuple(size.dim_value if size.HasField("dim_value") else None for size in sizes)

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a tensor, unless it is a graph output or read by several."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None
