"""QONNX models in the operators of ONNX alone, which ONNX Runtime executes: the independent reference of `verify`."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.helper import get_attribute_value

from gatewright.errors import ModelError
from gatewright.frontends.onnx.normalise import prepare
from gatewright.frontends.onnx.ops.qonnx import QUANTISERS

__all__ = ["is_qonnx", "standard_form"]

_ROUNDING = {"ROUND": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}


def is_qonnx(model: onnx.ModelProto) -> bool:
    """Whether a node is one of QONNX's quantisers."""
    return any(_is_quantiser(node) for node in model.graph.node)


def standard_form(model: onnx.ModelProto, batch: int | None = None) -> onnx.ModelProto:
    """The model with QONNX's quantisers written as arithmetic; any other model as it is.

    Raises `ModelError` for rounding modes that ONNX has no operator for.
    """
    if not is_qonnx(model):
        return model
    result = prepare(model, batch)
    while (index := next((i for i, node in enumerate(result.graph.node) if _is_quantiser(node)), None)) is not None:
        if result.graph.node[index].op_type == "MultiThreshold":
            result = onnx.shape_inference.infer_shapes(result)
        nodes = list(result.graph.node)
        nodes[index : index + 1] = _Writer(result.graph, nodes[index]).write()
        del result.graph.node[:]
        result.graph.node.extend(nodes)
    imports = [entry for entry in result.opset_import if entry.domain == ""]
    del result.opset_import[:]
    result.opset_import.extend(imports)
    return result


def _is_quantiser(node: onnx.NodeProto) -> bool:
    return bool(node.domain) and node.op_type in QUANTISERS


class _Writer:
    """The nodes that take the place of one quantiser; constants go into the graph."""

    def __init__(self, graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
        self.graph, self.node = graph, node
        self.attributes = {item.name: get_attribute_value(item) for item in node.attribute}
        self.nodes: list[onnx.NodeProto] = []

    def write(self) -> list[onnx.NodeProto]:
        match self.node.op_type:
            case "BipolarQuant":
                self._bipolar()
            case "MultiThreshold":
                self._thresholds()
            case "Trunc":
                self._truncation()
            case _:
                self._quant()
        self.nodes[-1].output[0] = self.node.output[0]
        return self.nodes

    def _quant(self) -> None:
        x, scale, zero, width = self.node.input
        bits = self._number(width)
        if bits == 1 and self.attributes.get("signed", 1):
            self._bipolar()
            return
        rounding = self._rounding("ROUND")
        moved = self._add("Add", self._add("Div", x, scale), zero)
        rounded = self._add(rounding, self._add("Clip", moved, *map(self._constant, self._legal(bits))))
        self._add("Mul", self._add("Sub", rounded, zero), scale)

    def _truncation(self) -> None:
        """Version 1 has one scale; version 2 also that of the result, and bounds."""
        x, scale, zero, width, *result_scale, result_width = self.node.input
        fine, point, bits, result_bits = (self._number(name) for name in (scale, zero, width, result_width))
        coarse = self._number(result_scale[0]) if result_scale else fine
        shift = float(np.round(np.log2(coarse / fine))) if result_scale else bits - result_bits
        steps = self._add("Round", self._add("Add", self._add("Div", x, scale), zero))
        moved = self._add("Div", steps, self._constant(2.0**shift))
        if result_scale:
            moved = self._add("Clip", moved, *map(self._constant, self._legal(result_bits)))
        rounded = self._add(self._rounding("FLOOR"), moved)
        result_point = point / 2.0**shift if result_scale else point
        self._add("Mul", self._add("Sub", rounded, self._constant(result_point)), self._constant(coarse))

    def _legal(self, bits: float) -> tuple[float, float]:
        """The integers of a width."""
        signed, narrow = self.attributes.get("signed", 1), float(bool(self.attributes.get("narrow", 0)))
        low = narrow - 2.0 ** (bits - 1) if signed else 0.0
        return low, 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - narrow

    def _rounding(self, default: str) -> str:
        mode = self.attributes.get("rounding_mode", default.encode()).decode().upper()
        if mode not in _ROUNDING:
            what = f"{self.node.op_type} {self.node.name!r}"
            raise ModelError(f"{what}: rounding_mode {mode} must be one of {', '.join(_ROUNDING)}")
        return _ROUNDING[mode]

    def _number(self, name: str) -> float:
        return float(self._array(name).reshape(-1)[0])

    def _bipolar(self) -> None:
        x, scale = self.node.input[:2]
        sign = self._add("Where", self._reaches(x, 0.0), self._constant(1.0), self._constant(-1.0))
        self._add("Mul", sign, scale)

    def _thresholds(self) -> None:
        """Each threshold is one step: the sum of the comparisons with all of them."""
        x, rows = self.node.input[0], self._array(self.node.input[1])
        rank = self._rank(x)
        axis = rank - 1 if self.attributes.get("data_layout") == b"NHWC" else 1
        shape = [-1 if index == axis else 1 for index in range(rank)]
        count = self._constant(0.0)
        for column in rows.T:
            step = self._add("Cast", self._reaches(x, column.reshape(shape)), to=onnx.TensorProto.FLOAT)
            count = self._add("Add", count, step)
        scaled = self._add("Mul", count, self._constant(self.attributes.get("out_scale", 1.0)))
        self._add("Add", scaled, self._constant(self.attributes.get("out_bias", 0.0)))

    def _reaches(self, x: str, numbers: object) -> str:
        return self._add("GreaterOrEqual", x, self._constant(numbers))

    def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{self.node.output[0]}.standard.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, numbers: object) -> str:
        name = f"{self.node.output[0]}.standard.constant.{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(numbers, np.float32), name))
        return name

    def _array(self, name: str) -> np.ndarray:
        for tensor in self.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        raise ModelError(f"{self.node.op_type} {self.node.name!r}: operand {name} must be a constant")

    def _rank(self, name: str) -> int:
        for value in (*self.graph.value_info, *self.graph.input):
            if value.name == name and value.type.tensor_type.HasField("shape"):
                return len(value.type.tensor_type.shape.dim)
        raise ModelError(f"{self.node.op_type} {self.node.name!r}: the shape of {name} must be known")
