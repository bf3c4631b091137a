"""Write decisions into the model: QuantizeLinear and DequantizeLinear around everything that becomes integers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatewright.frontends.onnx import HIGH, LOW, ROUNDING
from gatewright.quantize.network import Network
from gatewright.quantize.plan import CARRIERS, Plan
from gatewright.quantize.products import Product
from gatewright.quantize.scales import Encoding
from gatewright.quantize.weights import QuantisedWeights

__all__ = ["Decisions", "insert"]

_WIDE_DOMAIN = "com.microsoft"  # ONNX's own operators take 16 bits from opset 21 on only
_WIDE = (np.uint16, np.int16)
_IR_VERSION = 10  # the first in which nodes have metadata


@dataclass(frozen=True)
class Decisions:
    """Everything the numbers depend on: encodings of activations and of constant operands, and the weights by node."""

    plan: Plan
    encodings: Mapping[str, Encoding]
    operands: Mapping[str, Encoding]
    weights: Mapping[str, QuantisedWeights]
    rounding: str


def insert(network: Network, decisions: Decisions) -> onnx.ModelProto:
    """The quantised model, which ONNX Runtime executes and the importer reads.

    1. An activation `t` becomes `t.float → QuantizeLinear → t.integers → DequantizeLinear → t`; what only carries
       values over leaves them as they are. A graph input keeps its name and is read as `t.dequantised`. Below the
       stored type's width a Clip stands in front.
    2. Weights become int8 or int16 constants, a bias an int32 constant with scale `input scale · weight scale`.
    3. Bounds and rounding stand in the metadata of QuantizeLinear.
    4. What has 16 bits is of ONNX Runtime's domain, whose operators take it at any opset.
    """
    writer = _Writer(network, decisions)
    for name in network.inputs:
        if name in decisions.encodings:
            writer.encode(name, name, f"{name}.dequantised")
    for node in network.nodes:
        writer.copy(node)
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    model.ir_version = max(model.ir_version, _IR_VERSION)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(writer.nodes)
    read = {name for node in writer.nodes for name in node.input}
    kept = [tensor for tensor in network.model.graph.initializer if tensor.name in read]
    model.graph.initializer.extend([*kept, *writer.tensors])
    if any(node.domain == _WIDE_DOMAIN for node in writer.nodes):
        model.opset_import.append(helper.make_opsetid(_WIDE_DOMAIN, 1))
    onnx.checker.check_model(model)
    return model


class _Writer:
    """Collects the nodes and constants of the new model."""

    def __init__(self, network: Network, decisions: Decisions) -> None:
        self.network, self.decisions = network, decisions
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._products = {product.node: product for product in decisions.plan.products}
        self._biases: dict[str, dict[str, str]] = {}  # of nodes that add a product's bias: which operand becomes which
        self._operands: dict[str, str] = {}
        self._types: dict[str, type] = {}  # of the constants made here

    def copy(self, node: onnx.NodeProto) -> None:
        """Append a node that reads dequantised values, and the quantisation of what it makes."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        encoded = self.decisions.encodings
        if node.name in self._products:
            self._weights(copied, self._products[node.name], self.decisions.weights[node.name])
        biases = self._biases.get(node.name, {})
        for index, name in enumerate(node.input):
            if name in self.network.inputs and name in encoded:
                copied.input[index] = f"{name}.dequantised"
            elif name in biases:
                copied.input[index] = biases[name]
            elif name in self.decisions.operands and node.name not in self._products:
                copied.input[index] = self._operand(name)
        made = [] if node.op_type in CARRIERS else [name for name in node.output if name in encoded]
        copied.output[:] = [f"{name}.float" if name in made else name for name in node.output]
        self.nodes.append(copied)
        for name in made:
            self.encode(name, f"{name}.float", name)

    def encode(self, name: str, source: str, target: str) -> None:
        """Append `source → [Clip] → QuantizeLinear → DequantizeLinear → target`."""
        encoding = self.decisions.encodings[name]
        if encoding.restricted:
            bounds = [("lowest", encoding.real_low), ("highest", encoding.real_high)]
            clip = [self._constant(f"{name}.{kind}", np.float32(value)) for kind, value in bounds]
            self._node("Clip", [source, *clip], f"{name}.clipped", f"{name}.clip")
            source = f"{name}.clipped"
        scale, zero = self._scale(name, encoding)
        quantise = self._node("QuantizeLinear", [source, scale, zero], f"{name}.integers", f"{name}.quantise")
        _annotate(quantise, _bounds(encoding.restricted, encoding.low, encoding.high))
        if self.decisions.rounding != "half_even":
            _annotate(quantise, {ROUNDING: self.decisions.rounding})
        self._node("DequantizeLinear", [f"{name}.integers", scale, zero], target, f"{name}.dequantise")

    def _operand(self, name: str) -> str:
        """The dequantised form of a constant operand, made on first use."""
        if name not in self._operands:
            encoding = self.decisions.operands[name]
            integers = self._constant(f"{name}.integers", encoding.quantise(self.network.constants[name]))
            self._node(
                "DequantizeLinear",
                [integers, *self._scale(name, encoding)],
                f"{name}.dequantised",
                f"{name}.dequantise",
            )
            self._operands[name] = f"{name}.dequantised"
        return self._operands[name]

    def _weights(self, node: onnx.NodeProto, product: Product, weights: QuantisedWeights) -> None:
        """Give a copied product its integer weights and bias; Gemm's factors are within them."""
        integers = np.moveaxis(weights.integers, 0, product.axis)
        x = self.decisions.encodings[product.x]
        per_channel = len(weights.scales) > 1
        stem = node.name
        axis = product.axis if per_channel else None
        operands = [self._dequantised(f"{stem}.weight", integers, weights.scales, axis)]
        stored = np.iinfo(weights.integers.dtype)
        _annotate(self.nodes[-1], _bounds(weights.low > stored.min, weights.low, weights.high))
        if weights.bias is not None:
            scales = weights.scales * x.scale
            bias = self._dequantised(f"{stem}.bias", weights.bias, scales, 0 if per_channel else None)
            if product.adder is None or product.bias is None:
                operands.append(bias)
            else:
                self._biases[product.adder] = {product.bias: bias}
        node.input[:] = [node.input[0], *operands]
        kept = [attribute for attribute in node.attribute if attribute.name not in ("alpha", "beta")]
        del node.attribute[:]
        node.attribute.extend(kept)

    def _dequantised(self, name: str, integers: np.ndarray, scales: np.ndarray, axis: int | None) -> str:
        scales = scales.astype(np.float32)
        names = [
            self._constant(f"{name}.integers", np.ascontiguousarray(integers)),
            self._constant(f"{name}.scale", scales[0] if axis is None else scales),
            self._constant(f"{name}.zero", np.zeros(() if axis is None else len(scales), integers.dtype)),
        ]
        node = self._node("DequantizeLinear", names, f"{name}.dequantised", f"{name}.dequantise")
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        return node.output[0]

    def _scale(self, name: str, encoding: Encoding) -> tuple[str, str]:
        scale = self._constant(f"{name}.scale", np.float32(encoding.scale))
        return scale, self._constant(f"{name}.zero", np.array(encoding.zero, encoding.dtype))

    def _constant(self, name: str, array: np.ndarray | np.generic) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        self._types[name] = np.asarray(array).dtype.type
        return name

    def _node(self, kind: str, inputs: list[str], output: str, name: str) -> onnx.NodeProto:
        wide = kind in ("QuantizeLinear", "DequantizeLinear") and self._types.get(inputs[2]) in _WIDE
        domain = _WIDE_DOMAIN if wide else ""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, domain=domain))
        return self.nodes[-1]


def _bounds(restricted: bool, low: int, high: int) -> dict[str, str]:
    return {LOW: str(low), HIGH: str(high)} if restricted else {}


def _annotate(node: onnx.NodeProto, facts: Mapping[str, str]) -> None:
    for key, value in facts.items():
        node.metadata_props.add(key=key, value=value)
