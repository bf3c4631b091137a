"""ONNX models: loading, normalisation, and import of quantised networks."""

from gatewright.frontends.onnx.importer import import_onnx
from gatewright.frontends.onnx.load import is_quantised, load_model
from gatewright.frontends.onnx.metadata import HIGH, LOW, ROUNDING
from gatewright.frontends.onnx.normalise import normalise
from gatewright.frontends.onnx.ops import OPERATORS
from gatewright.frontends.onnx.options import ImportOptions
from gatewright.frontends.onnx.standard import standard_form

__all__ = [
    "HIGH",
    "LOW",
    "OPERATORS",
    "ROUNDING",
    "ImportOptions",
    "import_onnx",
    "is_quantised",
    "load_model",
    "normalise",
    "standard_form",
]
