"""How often an integer multiplier and ONNX Runtime's float32 disagree: the figures of the page on numerics."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from gatewright.ir import Rounding, numerics


@pytest.fixture(scope="module")
def runtime():
    nodes = [
        helper.make_node("DequantizeLinear", ["acc", "scale"], ["real"]),
        helper.make_node("QuantizeLinear", ["real", "out_scale", "zero"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("acc", TensorProto.INT32, [None]),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
        helper.make_tensor_value_info("out_scale", TensorProto.FLOAT, []),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.INT8, [None])]
    zero = helper.make_tensor("zero", TensorProto.INT8, [], [0])
    graph = helper.make_graph(nodes, "g", inputs, outputs, [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(acc, scale, out_scale):
        return session.run(None, {"acc": acc, "scale": np.array(scale), "out_scale": np.array(out_scale)})[0]

    return run


@pytest.mark.parametrize(("bits", "rate"), [(8, 0.2), (12, 2e-2), (16, 1e-3), (17, 5e-4), (24, 5e-5)])
def test_random_scales_differ_rarely_and_by_one_step(bits, rate, runtime):
    random = np.random.default_rng(0)
    differing = []
    for _ in range(50):
        out_scale = np.float32(random.uniform(0.01, 0.2))
        scale = np.float32(10 ** random.uniform(-6, -3))
        span = int(127 * out_scale / scale)
        acc = random.integers(-span, span + 1, 4000).astype(np.int32)
        factor = numerics.quantise_multiplier(float(scale) / float(out_scale), bits)
        difference = numerics.requantise(acc, *factor, 0, -128, 127, Rounding.HALF_EVEN) - runtime(
            acc, scale, out_scale
        )
        assert np.abs(difference).max() <= 1
        differing.append((difference != 0).mean())
    assert np.mean(differing) < rate


@pytest.mark.parametrize("shift", range(20))
def test_powers_of_two_round_half_to_even_without_exception(shift, runtime):
    acc = np.random.default_rng(shift).integers(-(150 << shift), (150 << shift) + 1, 4000).astype(np.int32)
    result = numerics.requantise(acc, 1, shift, 0, -128, 127, Rounding.HALF_EVEN)
    np.testing.assert_array_equal(result, runtime(acc, np.float32(2.0**-shift), np.float32(1)))
