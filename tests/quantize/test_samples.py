"""Missing or unfit calibration samples are refused with what would be right."""

import numpy as np
import onnx
import pytest

from gatewright.errors import ConfigError, DataError, ModelError
from gatewright.quantize import quantise_model


def refused(model: onnx.ModelProto, samples: object, kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as error:
        quantise_model(model, samples)
    return str(error.value)


def test_no_samples(small: onnx.ModelProto) -> None:
    message = refused(small, None, ConfigError)
    assert "a float model needs calibration samples, typical inputs as float32 ('x' [samples, 3, 12, 12])" in message
    assert "--calibrate X.npy" in message


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((4, 12, 12, 3), np.float32), "for 'x' must be [samples, 3, 12, 12], not [4, 12, 12, 3]"),
        (np.zeros((3, 12, 12), np.float32), "for 'x' must be [samples, 3, 12, 12], not [3, 12, 12]"),
        (np.zeros((4, 3, 12, 12), np.uint8), "for 'x' must be floating point, as the network was trained, not uint8"),
        (np.zeros((0, 3, 12, 12), np.float32), "for 'x' must hold at least one sample"),
        ({"y": np.zeros((4, 3, 12, 12), np.float32)}, "calibration samples must be for x, not y"),
    ],
)
def test_unfit_samples(small: onnx.ModelProto, samples: object, message: str) -> None:
    assert message in refused(small, samples)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite(small: onnx.ModelProto, value: float) -> None:
    samples = np.zeros((4, 3, 12, 12), np.float32)
    samples[2, 1, 5, 5] = value
    assert "for 'x' must be finite; sample 2 holds NaN or infinity" in refused(small, samples)


def test_a_network_that_is_not_finite(small: onnx.ModelProto) -> None:
    samples = np.full((2, 3, 12, 12), 3e38, np.float32)
    assert "must be finite on the calibration samples" in refused(small, samples, ModelError)


def test_a_model_that_is_already_quantised(small: onnx.ModelProto) -> None:
    samples = np.ones((2, 3, 12, 12), np.float32)
    quantised, _ = quantise_model(small, samples)
    assert "this one is quantised already: import it" in refused(quantised, samples, ModelError)


def test_samples_are_equally_many_for_each_input(builder: type) -> None:
    net = builder("batch", 4)
    net.inputs.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4]))
    model = net.model(net.node("Add", net.gemm("x", 4, 4), net.gemm("y", 4, 4)))
    arrays = {"x": np.ones((4, 4), np.float32), "y": np.ones((5, 4), np.float32)}
    assert "must be equally many for every input, not {'x': 4, 'y': 5}" in refused(model, arrays)
    assert "must be a mapping from input to array for x, y" in refused(model, arrays["x"])
