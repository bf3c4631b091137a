"""Post-training quantisation: a float ONNX network and typical inputs become an integer graph and a report.

The road is ONNX all the way: QuantizeLinear and DequantizeLinear nodes are inserted into the normalised float model,
which ONNX Runtime can execute, and the importer of quantised models does the rest.
"""

from gatewright.quantize.accuracy import accuracy
from gatewright.quantize.budget import WidthBudget
from gatewright.quantize.choice import ChosenLayer, Sensitivity, WidthChoice
from gatewright.quantize.choose import choose_widths
from gatewright.quantize.loss import Loss, top1_loss
from gatewright.quantize.options import QuantiseOptions, parse_bits
from gatewright.quantize.pipeline import quantise, quantise_model
from gatewright.quantize.report import Agreement, LayerReport, QuantisationReport, WeightReport
from gatewright.quantize.samples import HeldOut, Samples
from gatewright.quantize.search import layer_works
from gatewright.quantize.widths import read_widths
from gatewright.quantize.work import Cost, LayerWork, bit_operations

__all__ = [
    "Agreement",
    "ChosenLayer",
    "Cost",
    "HeldOut",
    "LayerReport",
    "LayerWork",
    "Loss",
    "QuantisationReport",
    "QuantiseOptions",
    "Samples",
    "Sensitivity",
    "WeightReport",
    "WidthBudget",
    "WidthChoice",
    "accuracy",
    "bit_operations",
    "choose_widths",
    "layer_works",
    "parse_bits",
    "quantise",
    "quantise_model",
    "read_widths",
    "top1_loss",
]
