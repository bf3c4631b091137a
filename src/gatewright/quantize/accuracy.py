"""How many samples a classifier gets right: the float model, and the graph."""

import numpy as np
import onnx

from gatewright.errors import DataError
from gatewright.frontends.onnx import normalise
from gatewright.ir import Graph
from gatewright.quantize.execute import run_batches
from gatewright.quantize.network import Network
from gatewright.quantize.samples import check_samples

__all__ = ["accuracy"]


def accuracy(network: Graph | onnx.ModelProto, samples: np.ndarray, labels: np.ndarray) -> float:
    """The share of samples whose largest score in the first output stands at their label.

    `samples` are [samples, ...] as for calibration; `labels` are integers, one for each.
    """
    labels = np.asarray(labels)
    if labels.shape != (len(samples),) or labels.dtype.kind not in "iu":
        raise DataError(f"labels must be {len(samples)} integers, not {labels.dtype} of shape {list(labels.shape)}")
    scores = graph_scores(network, samples) if isinstance(network, Graph) else _float_scores(network, samples)
    return float(np.mean(scores.reshape(len(samples), -1).argmax(axis=1) == labels))


def graph_scores(graph: Graph, samples: np.ndarray) -> np.ndarray:
    """The first output, in the model's own terms, for samples of a network with one input."""
    if len(graph.inputs) != 1:
        raise DataError(f"accuracy must be measured on a network with one input, not {len(graph.inputs)}")
    size = graph.input_ports[0].concrete_shape[0]
    scores = []
    for start in range(0, len(samples), size):
        picked = np.arange(start, start + size) % len(samples)
        found = graph.evaluate(graph.input_ports[0].encode(samples[picked]))
        scores.append(graph.output_ports[0].decode(found[graph.outputs[0]])[: len(samples) - start])
    return np.concatenate(scores)


def _float_scores(model: onnx.ModelProto, samples: np.ndarray) -> np.ndarray:
    network = Network(normalise(model))
    name = network.outputs[0]
    scores = [batch[name] for batch in run_batches(network, check_samples(network, samples), [name])]
    return np.concatenate(scores)[: len(samples)]
