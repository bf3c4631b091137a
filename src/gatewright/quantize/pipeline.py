"""The path from a float model to a graph: normalise, calibrate, choose, insert, import, measure."""

from dataclasses import replace

import onnx

from gatewright.errors import ModelError
from gatewright.frontends.onnx import ImportOptions, import_onnx, is_quantised, normalise
from gatewright.ir import Graph, Rounding
from gatewright.quantize.decide import decide
from gatewright.quantize.hoist import hoist_activations
from gatewright.quantize.network import Network
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.qdq import insert
from gatewright.quantize.report import QuantisationReport, measure
from gatewright.quantize.samples import Samples, check_samples

__all__ = ["quantise", "quantise_model"]

_MEASURED = 64  # samples that the report's errors are measured on


def quantise(
    model: onnx.ModelProto,
    samples: Samples | None,
    options: QuantiseOptions | None = None,
    batch: int | None = None,
    importing: ImportOptions | None = None,
) -> tuple[Graph, QuantisationReport]:
    """Quantise a float model and import it: the graph, and how far each layer is from the float network.

    `samples` are typical inputs, one array [samples, ...] of floats, or one for each input by name. `batch` sets a
    first dimension that the model leaves open, and precedes that of `importing`. Power-of-two scales round half up,
    whatever `importing` says.
    """
    options, importing = options or QuantiseOptions(), importing or ImportOptions()
    if options.dyadic:
        importing = replace(importing, rounding=Rounding.HALF_UP)
    quantised, report = quantise_model(model, samples, options, batch or importing.batch)
    return import_onnx(quantised, batch, importing), report


def quantise_model(
    model: onnx.ModelProto, samples: Samples | None, options: QuantiseOptions | None = None, batch: int | None = None
) -> tuple[onnx.ModelProto, QuantisationReport]:
    """As `quantise`, but the quantised model stays ONNX, which ONNX Runtime executes and the importer reads.

    `batch` sets a first dimension that the model leaves open.
    """
    options = options or QuantiseOptions()
    if is_quantised(model):
        raise ModelError("a model to quantise must be floating point, this one is quantised already: import it")
    network = Network(hoist_activations(normalise(model, batch)))
    arrays = check_samples(network, samples)
    decisions = decide(network, arrays, options)
    quantised = insert(network, decisions)
    few = {name: array[:_MEASURED] for name, array in arrays.items()}
    return quantised, measure(network, Network(quantised), decisions, few, options)
