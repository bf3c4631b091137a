"""The independent reference: a model run by ONNX Runtime, one thread, without graph optimisations."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime

from gatewright.errors import DataError, ModelError

__all__ = ["run_reference"]


def run_reference(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output of `model` for `inputs`, as ONNX Runtime's node by node kernels compute them.

    One thread makes the result repeatable. Graph optimisations stay off because they fuse dequantise, operator and
    quantise into integer kernels that round their scales differently: results would depend on what happens to fuse.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        raise ModelError(f"ONNX Runtime does not load the model: {error}") from error
    names = [value.name for value in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as error:
        raise DataError(f"ONNX Runtime does not run the model on these inputs: {error}") from error
