"""ONNX models: loading, normalisation, and import of quantised networks."""

from gatewright.frontends.onnx.normalise import normalise

__all__ = ["normalise"]
