"""Model files: whole, missing, broken, in parts."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from gatewright.errors import ModelError
from gatewright.frontends.onnx import is_quantised, load_model


@pytest.fixture
def model(builder: Any) -> onnx.ModelProto:
    build = builder()
    x = build.dequantise(build.input("x", (4, 300)), 0.05, 3)
    weights = build.dequantise(np.ones((300, 7), np.int8), 0.01, 0)
    return build.build(**{build.quantise(build.node("MatMul", x, weights), 0.1, 0): "int8"})


def test_whole(model: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(model, tmp_path / "model.onnx")
    assert load_model(tmp_path / "model.onnx") == model
    assert load_model(str(tmp_path / "model.onnx")) == model


def test_external_data(model: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    loaded = load_model(path)
    assert any(tensor.raw_data == b"\1" * 2100 for tensor in loaded.graph.initializer)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"model.onnx: external data cannot be read"):
        load_model(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx: there is no such file"):
        load_model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="must be a file, not a folder"):
        load_model(tmp_path)


def test_truncated(model: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString()[:-50])
    with pytest.raises(ModelError, match=r"model.onnx: is not an ONNX model"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000)])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model.onnx: is not an ONNX model"):
        load_model(path)


def test_is_quantised(model: onnx.ModelProto, builder: Any) -> None:
    assert is_quantised(model)
    floats, integers = builder(), builder()
    assert not is_quantised(floats.build(**{floats.node("Relu", floats.input("x", (1, 3), "float32")): "float32"}))
    pooled = integers.node("MaxPool", integers.input("x", (1, 3, 4, 4), "uint8"), kernel_shape=[2, 2])
    assert is_quantised(integers.build(**{pooled: "uint8"}))
