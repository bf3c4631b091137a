"""Run a model in ONNX Runtime with chosen inner tensors exposed as outputs."""

from collections.abc import Iterable, Iterator, Mapping
from math import prod

import numpy as np
import onnx
import onnxruntime

from gatewright.errors import ModelError
from gatewright.quantize.network import Network
from gatewright.quantize.samples import batches

__all__ = ["run_batches"]

_EXPOSED_BYTES = 64 << 20  # what one batch may hold of exposed tensors
_MOST = 64


def run_batches(
    network: Network, samples: Mapping[str, np.ndarray], names: Iterable[str], optimise: bool = True
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the named tensors, a batch of samples at a time.

    With `optimise=False` every node is computed as it stands, in float32: ONNX Runtime otherwise turns
    dequantise-compute-quantise patterns into its own integer kernels, which on some processors saturate at 16 bits.
    """
    names = list(dict.fromkeys(names))
    most = max(1, min(_MOST, _EXPOSED_BYTES // max(1, sum(_bytes_per_sample(network, name) for name in names))))
    session = _session(network.model, names, optimise)
    for feed in batches(network, samples, most):
        inputs = {name: array for name, array in feed.items() if name in names}
        computed = [name for name in names if name not in inputs]
        try:
            arrays = session.run(computed, feed) if computed else []  # of no names, it would run all outputs
        except Exception as error:  # its exceptions have no common base
            raise ModelError(f"ONNX Runtime cannot run the model: {error}") from error
        yield inputs | dict(zip(computed, arrays, strict=True))


def _session(model: onnx.ModelProto, names: list[str], optimise: bool) -> onnxruntime.InferenceSession:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    present = {value.name for value in (*exposed.graph.output, *exposed.graph.input)}
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model_bytes, broken = exposed.SerializeToString(), ["Pad_Fusion"]  # makes pools with pads they must not have
    try:
        return onnxruntime.InferenceSession(
            model_bytes, options, providers=["CPUExecutionProvider"], disabled_optimizers=broken
        )
    except Exception as error:  # its exceptions have no common base
        raise ModelError(f"ONNX Runtime cannot load the model: {error}") from error


def _bytes_per_sample(network: Network, name: str) -> int:
    shape = network.shape(name)
    return 4 * prod(size or 1 for size in shape[1:]) if shape else 1 << 20
