"""Post-training quantisation: a float ONNX network and typical inputs become an integer graph and a report.

The road is ONNX all the way: QuantizeLinear and DequantizeLinear nodes are inserted into the normalised float model,
which ONNX Runtime can execute, and the importer of quantised models does the rest.
"""

from gatewright.quantize.accuracy import accuracy
from gatewright.quantize.options import QuantiseOptions, parse_bits
from gatewright.quantize.pipeline import quantise, quantise_model
from gatewright.quantize.report import Agreement, LayerReport, QuantisationReport, WeightReport
from gatewright.quantize.samples import Samples

__all__ = [
    "Agreement",
    "LayerReport",
    "QuantisationReport",
    "QuantiseOptions",
    "Samples",
    "WeightReport",
    "accuracy",
    "parse_bits",
    "quantise",
    "quantise_model",
]
