"""ONNX Runtime as the reference."""

from typing import Any

import numpy as np
import onnx
import pytest

from gatewright.errors import DataError, ModelError
from gatewright.frontends import run_reference


@pytest.fixture
def model(builder: Any) -> onnx.ModelProto:
    build = builder()
    return build.build(**{build.quantise(build.dequantise(build.input("x", (1, 4)), 0.5, 0), 1.0, 0): "int8"})


def test_outputs_by_name(model: onnx.ModelProto) -> None:
    found = run_reference(model, {"x": np.array([[1, 3, 5, -7]], np.int8)})
    assert {name: array.tolist() for name, array in found.items()} == {"quantizelinear_1": [[0, 2, 2, -4]]}


def test_wrong_inputs(model: onnx.ModelProto) -> None:
    with pytest.raises(DataError, match="ONNX Runtime does not run the model on these inputs"):
        run_reference(model, {"x": np.zeros((1, 5), np.int8)})


def test_unknown_operator(builder: Any) -> None:
    build = builder()
    with pytest.raises(ModelError, match="ONNX Runtime does not load the model"):
        run_reference(build.build(**{build.node("Nothing", build.input("x", (1, 4))): "int8"}), {})
