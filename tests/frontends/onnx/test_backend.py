"""Node tests of the onnx package's own backend suite, evaluated by the imported graph."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from gatewright import ir
from gatewright.frontends.onnx import import_onnx

NODES = Path(__file__).with_name("backend_nodes.txt").read_text().split()
ALL_DATA = ("Concat",)  # operators whose operands are all data; of the others, the first one is


class GraphRepresentation(BackendRep):
    """A one-node model; operands that the importer wants constant become initialisers when their values are known."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model

    def run(self, inputs: Sequence[Any], **kwargs: Any) -> tuple[np.ndarray, ...]:
        (node,) = self.model.graph.node
        count = len(inputs) if node.op_type in ALL_DATA else 1
        arrays = dict(zip((value.name for value in self.model.graph.input), map(np.asarray, inputs), strict=True))
        data = [name for name in node.input[:count] if name in arrays]
        if arrays[data[0]].dtype.kind == "f" and node.op_type != "QuantizeLinear":
            return self._run_codes(arrays, data)
        return self._run(self.model, arrays, data)

    def _run(self, model: onnx.ModelProto, arrays: dict[str, np.ndarray], data: list[str]) -> tuple[np.ndarray, ...]:
        bound = onnx.ModelProto()
        bound.CopyFrom(model)
        constants = [name for name in arrays if name not in data]
        bound.graph.initializer.extend(numpy_helper.from_array(arrays[name], name) for name in constants)
        graph = import_onnx(bound)
        given = [port.encode(_stored(arrays[port.name], port)) for port in graph.input_ports]
        results = graph.evaluate(*given)
        outputs = zip(graph.outputs, graph.output_ports, model.graph.output, strict=True)
        return tuple(_of_type(port.decode(results[value]), expected) for value, port, expected in outputs)

    def _run_codes(self, arrays: dict[str, np.ndarray], data: list[str]) -> tuple[np.ndarray, ...]:
        """Movement and maxima see the order of numbers alone: run them on the rank of each."""
        floats = [array.ravel() for array in arrays.values() if array.dtype.kind == "f"]
        numbers = np.unique(np.concatenate([*floats, np.zeros(1, np.float32)]))
        parameters = _parameters(self.model)
        codes = {
            name: np.searchsorted(numbers, array).astype(np.int16)
            if array.dtype.kind == "f" and name not in parameters
            else array
            for name, array in arrays.items()
        }
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for value in [*model.graph.input, *model.graph.output]:
            if value.type.tensor_type.elem_type == TensorProto.FLOAT and value.name not in parameters:
                value.type.tensor_type.elem_type = TensorProto.INT16
        return tuple(numbers[result] for result in self._run(model, codes, data))


class GraphBackend(Backend):
    """The importer and the graph's evaluation, as the onnx package's suite wants them."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> GraphRepresentation:
        return GraphRepresentation(model)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"


def _parameters(model: onnx.ModelProto) -> set[str]:
    """Floating-point operands that are parameters rather than data."""
    (node,) = model.graph.node
    return set(node.input[1:]) if node.op_type in ("Resize", "Upsample", "Dropout") else set()


def _stored(array: np.ndarray, port: ir.Port) -> np.ndarray:
    return array if array.dtype.kind == "f" else array.astype(port.graph_type.dtype.storage)


def _of_type(array: np.ndarray, expected: onnx.ValueInfoProto) -> np.ndarray:
    return array.astype(helper.tensor_dtype_to_np_dtype(expected.type.tensor_type.elem_type))


def _arrays(tensors: Sequence[Any]) -> list[np.ndarray]:
    return [numpy_helper.to_array(one) if isinstance(one, TensorProto) else one for one in tensors]


@pytest.fixture(scope="session")
def cases() -> dict[str, TestCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes overflows on purpose
        return {case.name: case for case in load_model_tests(kind="node")}


@pytest.mark.parametrize("name", NODES)
def test_node(name: str, cases: dict[str, TestCase]) -> None:
    case = cases[f"test_{name}"]
    assert case.data_sets is not None
    for inputs, expected in case.data_sets:
        found = GraphBackend.prepare(case.model).run(_arrays(inputs))
        Runner.assert_similar_outputs(_arrays(expected), found, case.rtol, case.atol)
