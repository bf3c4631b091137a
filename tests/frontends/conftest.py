"""Small models, ONNX Runtime's own quantiser, and the comparison of an imported graph with ONNX Runtime."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_tail import without_tail
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from gatewright import ir
from gatewright.frontends import run_reference
from gatewright.frontends.onnx import ImportOptions, import_onnx

TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
}


class ModelBuilder:
    """Collects the nodes of a model; constants are given as arrays wherever a name may stand."""

    def __init__(self, opset: int = 17) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "int8") -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], shape))
        return name

    def constant(self, array: Any, name: str | None = None) -> str:
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, kind: str, *operands: Any, outputs: int = 1, **attributes: Any) -> Any:
        names = [one if isinstance(one, str) else self.constant(one) for one in operands]
        base = f"{kind.lower()}_{len(self.nodes)}"
        results = [base] if outputs == 1 else [f"{base}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, results, name=base, **attributes))
        return results[0] if outputs == 1 else results

    def quantise(self, x: str, scale: float, zero: int, dtype: str = "int8", **attributes: Any) -> str:
        return self.node("QuantizeLinear", x, np.float32(scale), np.array(zero, dtype), **attributes)

    def dequantise(self, x: Any, scale: Any, zero: Any, dtype: str = "int8", **attributes: Any) -> str:
        zero = np.broadcast_to(np.array(zero, getattr(ml_dtypes, dtype, dtype)), np.shape(scale))
        return self.node("DequantizeLinear", x, np.asarray(scale, np.float32), zero, **attributes)

    def build(self, **outputs: str) -> onnx.ModelProto:
        """The model with outputs `name=type`; a name is that of a node's result."""
        ends = [helper.make_tensor_value_info(name, TYPES[dtype], None) for name, dtype in outputs.items()]
        graph = helper.make_graph(self.nodes, "test", self.inputs, ends, self.constants)
        domains = {"": self.opset} | {node.domain: 1 for node in self.nodes if node.domain}
        imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


@dataclass(frozen=True)
class Agreement:
    """How an imported graph compares with ONNX Runtime, in steps of the integers before the host tail."""

    graph: ir.Graph
    rate: float
    largest: int

    @property
    def operators(self) -> list[str]:
        return [node.op.name for node in self.graph.nodes]


def _random(port: ir.Port, rng: np.random.Generator) -> np.ndarray:
    if port.model_dtype == "float32":
        low, high = port.graph_type.dtype.min - port.zero_point, port.graph_type.dtype.max - port.zero_point
        return rng.uniform(low * port.scale * 1.1, high * port.scale * 1.1, port.concrete_shape).astype(np.float32)
    bounds = np.iinfo(port.model_dtype)
    return rng.integers(bounds.min, bounds.max + 1, port.concrete_shape).astype(port.model_dtype)


@pytest.fixture(scope="session")
def agree() -> Callable[..., Agreement]:
    """A function that imports a model, runs it and ONNX Runtime on random inputs, and counts differences."""

    def compare(model: onnx.ModelProto, count: int = 5, seed: int = 0, **options: Any) -> Agreement:
        graph = import_onnx(model, options=ImportOptions(**options))
        cut, ports = without_tail(model, graph)
        rng = np.random.default_rng(seed)
        steps = []
        for _ in range(count):
            inputs = {port.name: _random(port, rng) for port in graph.input_ports}
            results = graph.evaluate(*(port.encode(inputs[port.name]) for port in graph.input_ports))
            expected = run_reference(cut, inputs)
            for value, port in zip(graph.outputs, ports, strict=True):
                ours, theirs = port.decode(results[value]), expected[port.name]
                assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
                step = port.scale if ours.dtype.kind == "f" and port.scale is not None else 1
                steps.append(np.rint(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)) / step).ravel())
        every = np.concatenate(steps)
        return Agreement(graph, float(np.mean(every != 0)), int(every.max()))

    return compare


class _Samples(CalibrationDataReader):
    def __init__(self, model: onnx.ModelProto) -> None:
        rng = np.random.default_rng(1)
        shapes = {
            value.name: [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
            for value in model.graph.input
        }
        feeds = ({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(8))
        self.feeds: Iterator[dict[str, np.ndarray]] = iter(list(feeds))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


@pytest.fixture
def quantised(tmp_path: Path) -> Callable[..., onnx.ModelProto]:
    """A function that quantises a float model with ONNX Runtime's own quantiser."""

    def run(model: onnx.ModelProto, form: str, activations: str, weights: str, per_channel: bool) -> onnx.ModelProto:
        onnx.save(model, tmp_path / "float.onnx")
        types = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
        quantize_static(
            tmp_path / "float.onnx",
            tmp_path / "quantised.onnx",
            _Samples(model),
            quant_format={"qdq": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}[form],
            per_channel=per_channel,
            activation_type=types[activations],
            weight_type=types[weights],
            extra_options={"ForceQuantizeNoInputCheck": True},
        )
        return onnx.load(tmp_path / "quantised.onnx")

    return run


@pytest.fixture
def builder() -> type[ModelBuilder]:
    """The class that models are written with."""
    return ModelBuilder
