"""Model files by what their names end in."""

from os import PathLike
from pathlib import Path

import onnx

from gatewright.errors import ModelError
from gatewright.frontends.keras import load_keras
from gatewright.frontends.onnx import load_model

__all__ = ["read_model"]


def read_model(path: str | PathLike[str]) -> onnx.ModelProto:
    """The ONNX model of a file: ONNX as it is, `.keras` translated; raises `ModelError` that names the file."""
    suffix = Path(path).suffix.lower()
    if suffix in (".h5", ".hdf5"):
        raise ModelError(f"{path}: must be saved as .keras (model.save('model.keras')), not as HDF5")
    return load_keras(path) if suffix == ".keras" else load_model(path)
