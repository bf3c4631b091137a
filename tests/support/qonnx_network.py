"""QONNX models with random weights, and the comparison of their graphs with the specification."""

from typing import Any

import numpy as np
import onnx
from qonnx_float64 import run_float64

from gatewright import ir
from gatewright.frontends.onnx import import_onnx

__all__ = ["QONNX", "Network", "expect_exact"]

QONNX = {"domain": "qonnx.custom_op.general"}


class Network:
    """Writes a QONNX model with random weights of given widths."""

    def __init__(self, build: Any, seed: int) -> None:
        self.build, self.rng = build, np.random.default_rng(seed)

    def quant(self, x: Any, scale: Any, bits: float, zero: float = 0.0, kind: str = "Quant", **attributes: Any) -> str:
        parameters = (np.asarray(scale, np.float32), np.float32(zero), np.float32(bits))
        return self.build.node(kind, x, *parameters, **QONNX, **{"signed": 1, "narrow": 0} | attributes)

    def weights(self, shape: tuple[int, ...], bits: int, scale: Any = 0.05, **attributes: Any) -> str:
        spread = np.asarray(scale, np.float32) * 2.0 ** (bits - 1)
        return self.quant(
            self.rng.normal(0, spread, shape).astype(np.float32), scale, bits, **{"narrow": 1} | attributes
        )

    def normalise(self, x: str, channels: int, spread: float, zero_gamma: bool = False) -> str:
        """A batch normalisation, some of its factors negative, whose results lie around `spread`."""
        gamma = self.rng.choice([-1, 1, 1, 1], channels) * self.rng.uniform(0.5, 2, channels) * spread
        gamma[: int(zero_gamma)] = 0
        parts = (gamma, self.rng.normal(0, spread, channels), self.rng.normal(0, 1, channels))
        return self.build.node(
            "BatchNormalization",
            x,
            *(part.astype(np.float32) for part in parts),
            self.rng.uniform(0.2, 4, channels).astype(np.float32),
        )


def expect_exact(model: onnx.ModelProto, count: int = 20, spread: float = 1.0, seed: int = 0) -> ir.Graph:
    """Compare every quantised activation and the outputs with double precision, on inputs drawn at random."""
    graph = import_onnx(model)
    (port,), rng = graph.input_ports, np.random.default_rng(seed)
    scales = _quantisers(model)
    for _ in range(count):
        x = rng.normal(0, spread, port.concrete_shape).astype(np.float32)
        expected = run_float64(model, {port.name: x})
        found = graph.evaluate(port.encode(x), keep=True)
        compared = [name for name in scales if name in found]
        for name in compared:
            scale, zero = scales[name]
            codes = np.rint(expected[name] / scale) + zero
            np.testing.assert_array_equal(_sorted(found[name]), _sorted(codes), err_msg=name)
        for value, end in zip(graph.outputs, graph.output_ports, strict=True):
            ours = end.decode(found[value])
            np.testing.assert_allclose(ours, expected[end.name], rtol=1e-6, atol=1e-6)
    return graph


def _quantisers(model: onnx.ModelProto) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scale and zero point of each quantised activation, by name."""
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor).astype(np.float64) for tensor in model.graph.initializer
    }
    return {
        node.output[0]: (constants[node.input[1]], constants[node.input[2]] if len(node.input) > 2 else np.zeros(()))
        for node in model.graph.node
        if node.op_type in ("Quant", "IntQuant", "BipolarQuant") and node.input[0] not in constants
    }


def _sorted(values: np.ndarray) -> np.ndarray:
    """Values in an order that no layout changes; the outputs check the layout."""
    return np.sort(np.asarray(values, np.float64).ravel())
