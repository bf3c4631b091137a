"""Each layer of Keras against its definition in NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from keras_float import ACTIVATIONS, layer, run_sequential, sequential, write_keras

from gatewright.frontends import run_reference
from gatewright.frontends.keras import LAYERS, load_keras
from gatewright.frontends.keras.archive import variable_groups
from gatewright.frontends.keras.layers import FUNCTIONS

SAME = {"padding": "same"}
CASES: dict[str, tuple[tuple[int, ...], str, dict[str, Any], list[tuple[int, ...]]]] = {
    "conv": ((9, 7, 3), "Conv2D", {"filters": 5, "kernel_size": [3, 2]}, [(3, 2, 3, 5), (5,)]),
    "conv same, stride 2": (
        (9, 8, 3), "Conv2D", {"filters": 4, "kernel_size": [3, 3], "strides": [2, 2], **SAME}, [(3, 3, 3, 4), (4,)],
    ),
    "conv dilated": (
        (9, 9, 2), "Conv2D", {"filters": 4, "kernel_size": [3, 3], "dilation_rate": [2, 2], **SAME},
        [(3, 3, 2, 4), (4,)],
    ),
    "conv in groups": (
        (5, 5, 4), "Conv2D", {"filters": 6, "kernel_size": [3, 3], "groups": 2, "use_bias": False}, [(3, 3, 2, 6)],
    ),
    "even kernel, same": (
        (7, 6, 2), "Conv2D", {"filters": 2, "kernel_size": [4, 2], "strides": [3, 1], **SAME}, [(4, 2, 2, 2), (2,)],
    ),
    "depthwise": (
        (8, 8, 3), "DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 2, **SAME}, [(3, 3, 3, 2), (6,)],
    ),
    "separable": (
        (8, 8, 3), "SeparableConv2D", {"filters": 4, "kernel_size": [3, 3], "strides": [2, 2], **SAME},
        [(3, 3, 3, 1), (1, 1, 3, 4), (4,)],
    ),
    "dense": ((20,), "Dense", {"units": 7}, [(20, 7), (7,)]),
    "dense on images": ((4, 5, 6), "Dense", {"units": 3}, [(6, 3), (3,)]),
    "batch norm": ((4, 4, 3), "BatchNormalization", {"axis": -1}, [(3,)] * 4),
    "batch norm plain": ((4, 4, 3), "BatchNormalization", {"axis": [3], "scale": False, "epsilon": 0.01}, [(3,)] * 3),
    "batch norm of a vector": ((9,), "BatchNormalization", {"center": False}, [(9,)] * 3),
    "max pool": ((9, 9, 2), "MaxPooling2D", {"pool_size": [3, 3], "strides": [2, 2], **SAME}, []),
    "average pool": ((7, 6, 2), "AveragePooling2D", {"pool_size": [2, 2], "strides": None}, []),
    "average pool same": ((7, 6, 2), "AveragePooling2D", {"pool_size": [3, 3], "strides": [2, 2], **SAME}, []),
    "global average": ((5, 6, 3), "GlobalAveragePooling2D", {}, []),
    "global average kept": ((5, 6, 3), "GlobalAveragePooling2D", {"keepdims": True}, []),
    "global max": ((5, 6, 3), "GlobalMaxPooling2D", {}, []),
    "relu6": ((5, 6, 3), "ReLU", {"max_value": 6.0}, []),
    "sloped relu": ((5, 6, 3), "ReLU", {"negative_slope": 0.125, "max_value": None}, []),
    "leaky relu": ((5, 6, 3), "LeakyReLU", {"negative_slope": 0.25}, []),
    "elu": ((5,), "ELU", {"alpha": 0.5}, []),
    "softmax": ((5,), "Softmax", {"axis": -1}, []),
    "flatten": ((3, 4, 5), "Flatten", {}, []),
    "reshape": ((3, 4, 5), "Reshape", {"target_shape": [-1, 10]}, []),
    "permute": ((3, 4, 5), "Permute", {"dims": [2, 3, 1]}, []),
    "zero padding": ((3, 4, 2), "ZeroPadding2D", {"padding": [[1, 2], [0, 3]]}, []),
    "cropping": ((6, 7, 2), "Cropping2D", {"cropping": [[1, 2], [0, 3]]}, []),
    "up sampling": ((3, 2, 2), "UpSampling2D", {"size": [2, 3]}, []),
    "rescaling": ((3, 2, 2), "Rescaling", {"scale": 0.5, "offset": -1.0}, []),
    "normalization": ((3, 2, 2), "Normalization", {"axis": [-1], "mean": [0.5, -1.0], "variance": [2.0, 0.0]}, []),
    "normalization, adapted": ((4,), "Normalization", {"axis": -1}, [(4,), (4,), ()]),
    "dropout": ((3, 2, 2), "Dropout", {"rate": 0.5}, []),
}  # fmt: skip


def compare(tmp_path: Path, config: dict[str, Any], shapes: dict[str, list[tuple[int, ...]]]) -> onnx.ModelProto:
    """The translated model in ONNX Runtime, and the same layers in double precision, on random numbers."""
    rng = np.random.default_rng(0)
    names = [one["config"]["name"] for one in config["config"]["layers"]]
    groups = dict(zip(names, variable_groups([one["class_name"] for one in config["config"]["layers"]]), strict=True))
    variables = {name: [rng.uniform(0.1, 1, one).astype(np.float32) for one in found] for name, found in shapes.items()}
    stored = {f"layers/{groups[name]}": found for name, found in variables.items()}
    model = load_keras(write_keras(tmp_path / "model.keras", config, stored))
    onnx.checker.check_model(model, full_check=True)
    x = rng.normal(0, 2, (3, *config["config"]["layers"][0]["config"]["batch_shape"][1:])).astype(np.float32)
    (found,) = run_reference(model, {"image": x}).values()
    expected = run_sequential(config, variables, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return model


@pytest.mark.parametrize("case", CASES)
def test_layer(tmp_path: Path, case: str) -> None:
    shape, class_name, settings, shapes = CASES[case]
    compare(tmp_path, sequential(shape, layer(class_name, "it", **settings)), {"it": shapes})


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(tmp_path: Path, name: str) -> None:
    compare(tmp_path, sequential((4, 5, 3), layer("Activation", "it", activation=name)), {})


@pytest.mark.parametrize("class_name", FUNCTIONS)
def test_function_of_keras_ops(tmp_path: Path, class_name: str) -> None:
    """A functional model has an operation in place of a layer, with a name as its only setting."""
    config = sequential((4, 5, 3), layer(class_name, "it"))
    x = np.random.default_rng(0).normal(0, 2, (2, 4, 5, 3)).astype(np.float32)
    (found,) = run_reference(load_keras(write_keras(tmp_path / "m.keras", config, {})), {"image": x}).values()
    np.testing.assert_allclose(found, ACTIVATIONS[FUNCTIONS[class_name]](x.astype(np.float64)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("class_name", "slope"), [("LeakyReLU", 0.3), ("ReLU", 0.0)])
def test_activation_may_be_a_layer(tmp_path: Path, class_name: str, slope: float) -> None:
    activation = layer(class_name, "inner", negative_slope=slope)
    config = sequential((6,), layer("Activation", "it", activation=activation))
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    (found,) = run_reference(load_keras(write_keras(tmp_path / "m.keras", config, {})), {"image": x}).values()
    np.testing.assert_allclose(found, np.where(x < 0, np.float32(slope) * x, x), rtol=1e-6)


def test_activation_may_be_an_object(tmp_path: Path) -> None:
    activation = {"module": "builtins", "class_name": "function", "config": "relu6", "registered_name": "function"}
    config = sequential((6,), layer("Activation", "it", activation=activation))
    model = load_keras(write_keras(tmp_path / "model.keras", config, {}))
    assert [node.op_type for node in model.graph.node] == ["Clip"]


def test_layers_of_one_class_have_their_own_variables(tmp_path: Path) -> None:
    config = sequential(
        (8, 8, 2),
        layer("Conv2D", "a", filters=3, kernel_size=[3, 3], activation="relu"),
        layer("BatchNormalization", "n"),
        layer("Conv2D", "b", filters=4, kernel_size=[1, 1]),
        layer("ReLU", "r", max_value=6.0),
        layer("Conv2D", "c", filters=5, kernel_size=[3, 3]),
        layer("Flatten", "f"),
        layer("Dense", "d", units=6, activation="softmax"),
    )
    shapes = {
        "a": [(3, 3, 2, 3), (3,)],
        "n": [(3,)] * 4,
        "b": [(1, 1, 3, 4), (4,)],
        "c": [(3, 3, 4, 5), (5,)],
        "d": [(80, 6), (6,)],
    }
    model = compare(tmp_path, config, shapes)
    products = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert products == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("class_name", "group"),
    [("Conv2D", "conv2d"), ("DepthwiseConv2D", "depthwise_conv2d"), ("ReLU", "re_lu"), ("Sequential", "sequential")],
)
def test_names_of_groups(class_name: str, group: str) -> None:
    assert variable_groups([class_name, "Dense", class_name]) == [group, "dense", f"{group}_1"]


def test_every_layer_is_tried() -> None:
    tried = {class_name for _, class_name, _, _ in CASES.values()} | set(FUNCTIONS)
    tried |= {"Activation", "Add", "Average", "Concatenate", "Subtract"}
    nothing = {"ActivityRegularization", "GaussianDropout", "GaussianNoise", "Identity", "SpatialDropout2D"}
    assert set(LAYERS) == tried | nothing
