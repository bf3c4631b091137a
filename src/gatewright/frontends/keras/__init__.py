"""Keras models: a `.keras` file becomes a float ONNX model, without Keras or TensorFlow."""

from gatewright.frontends.keras.layers import LAYERS, support_table
from gatewright.frontends.keras.model import load_keras

__all__ = ["LAYERS", "load_keras", "support_table"]
