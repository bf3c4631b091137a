"""Whole Keras models: functional, nested, broken ones, and the one that examples/lenet5_keras trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_float import layer, run_sequential, sequential, tensor, write_keras

from gatewright import ir
from gatewright.compile import compile as compile_model
from gatewright.errors import ModelError
from gatewright.frontends import run_reference
from gatewright.frontends.keras import load_keras
from gatewright.frontends.keras.archive import read_archive
from gatewright.frontends.models import read_model
from gatewright.quantize import quantise

EXAMPLE = Path(__file__).parents[3] / "examples" / "lenet5_keras"


def functional(layers: list[dict[str, Any]], inputs: Any, outputs: Any) -> dict[str, Any]:
    config = {"name": "model", "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def use(entry: dict[str, Any], *calls: Any) -> dict[str, Any]:
    """A layer with the operands of each of its calls."""
    nodes = [{"args": [call], "kwargs": {}} for call in calls]
    return {**entry, "name": entry["config"]["name"], "inbound_nodes": nodes}


def branches(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """Two branches, one layer used twice, a nested model, two outputs."""
    inner = sequential((6, 6, 4), layer("Conv2D", "c", filters=3, kernel_size=[1, 1], activation="relu"), name="inner")
    layers = [
        use(layer("InputLayer", "image", batch_shape=[None, 6, 6, 2])),
        use(layer("Conv2D", "left", filters=4, kernel_size=[3, 3], padding="same"), tensor("image")),
        use(layer("Conv2D", "right", filters=4, kernel_size=[1, 1], activation="tanh"), tensor("image")),
        use(layer("Add", "sum"), [tensor("left"), tensor("right")]),
        use({**inner, "config": {**inner["config"]}}, tensor("sum")),
        use(layer("Conv2D", "shared", filters=4, kernel_size=[1, 1]), tensor("left"), tensor("sum")),
        use(layer("Subtract", "gap"), [tensor("shared"), tensor("shared", 1)]),
        use(layer("Concatenate", "both", axis=-1), [tensor("inner"), tensor("gap")]),
        use(layer("GlobalMaxPooling2D", "top"), tensor("both")),
        use(layer("Dense", "scores", units=5, activation="softmax"), tensor("top")),
    ]
    shapes = {
        "layers/conv2d": [(3, 3, 2, 4), (4,)],
        "layers/conv2d_1": [(1, 1, 2, 4), (4,)],
        "layers/sequential/layers/conv2d": [(1, 1, 4, 3), (3,)],
        "layers/conv2d_2": [(1, 1, 4, 4), (4,)],
        "layers/dense": [(7, 5), (5,)],
    }
    arrays = {path: [rng.normal(0, 0.5, shape).astype(np.float32) for shape in found] for path, found in shapes.items()}
    return functional(layers, ["image", 0, 0], [["scores", 0, 0], ["both", 0, 0]]), arrays


def _same_conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    edge = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias


def test_functional_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    config, found = branches(rng)
    model = load_keras(write_keras(tmp_path / "branches.keras", config, found))
    x = rng.normal(size=(2, 6, 6, 2)).astype(np.float32)
    left = _same_conv(x, *found["layers/conv2d"])
    total = left + np.tanh(_same_conv(x, *found["layers/conv2d_1"]))
    inner = np.maximum(_same_conv(total, *found["layers/sequential/layers/conv2d"]), 0)
    gap = _same_conv(left, *found["layers/conv2d_2"]) - _same_conv(total, *found["layers/conv2d_2"])
    both = np.concatenate([inner, gap], axis=3)
    powers = np.exp(both.max(axis=(1, 2)) @ found["layers/dense"][0] + found["layers/dense"][1])
    scores, concatenated = run_reference(model, {"image": x}).values()
    np.testing.assert_allclose(concatenated, both, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-5)
    assert {"inner/c", "left", "shared", "shared.1"} <= {node.name for node in model.graph.node}


def test_functional_model_becomes_a_graph(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    config, found = branches(rng)
    config["config"]["output_layers"] = ["scores", 0, 0]
    model = load_keras(write_keras(tmp_path / "branches.keras", config, found))
    samples = rng.normal(size=(50, 6, 6, 2)).astype(np.float32)
    graph, report = quantise(model, samples)
    assert graph.input_ports[0].model_shape == (1, 6, 6, 2)
    assert [node.op.name for node in graph.nodes if isinstance(node.op, ir.Transpose)] == []
    assert report.outputs[model.graph.output[0].name].sqnr_db > 25


def test_trained_lenet5_matches_what_keras_recorded() -> None:
    model, recorded = load_keras(EXAMPLE / "lenet5.keras"), np.load(EXAMPLE / "recorded.npz")
    (probabilities,) = run_reference(model, {"image": recorded["image"]}).values()
    np.testing.assert_allclose(probabilities, recorded["fc3"], rtol=1e-4, atol=1e-6)
    archive = read_archive(EXAMPLE / "lenet5.keras")
    names = {"layers/conv2d": "conv1", "layers/conv2d_1": "conv2", "layers/dense": "fc1"}
    names |= {"layers/dense_1": "fc2", "layers/dense_2": "fc3"}
    variables = {names[group]: arrays for group, arrays in archive.variables.items() if group in names}
    assert sum(array.size for arrays in variables.values() for array in arrays) == 61_706
    layers = archive.config["config"]["layers"]
    for last in ("pool1", "pool2", "fc1", "fc2", "fc3"):
        count = [entry["config"]["name"] for entry in layers].index(last) + 1
        part = {"config": {"layers": layers[:count]}}
        found = run_sequential(part, variables, recorded["image"])
        np.testing.assert_allclose(found, recorded[last], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("target", ["systolic", "bitfusion", "generated"])
def test_trained_lenet5_compiles(target: str) -> None:
    images = np.load(EXAMPLE / "recorded.npz")["image"]
    build = compile_model(EXAMPLE / "lenet5.keras", target, samples=images)
    assert build.graph.name == "lenet5"
    assert [layer.name for layer in build.program.layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert [layer.name for layer in build.program.layers if "conv" in layer.name or "fc" in layer.name]


def test_input_stays_as_keras_has_it() -> None:
    model = read_model(EXAMPLE / "lenet5.keras")
    samples = np.random.default_rng(0).uniform(0, 1, (20, 32, 32, 1)).astype(np.float32)
    graph, _ = quantise(model, samples)
    assert graph.inputs[0].type.shape == (1, 32, 32, 1)
    assert graph.input_ports[0].permutation is None


def test_layers_that_move_and_pool_become_a_graph(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    config = sequential(
        (8, 8, 3),
        layer("Rescaling", "pixels", scale=1 / 255),
        layer("Conv2D", "c", filters=4, kernel_size=[3, 3], padding="same", activation="silu"),
        layer("UpSampling2D", "up", size=[2, 2]),
        layer("Cropping2D", "crop", cropping=[[1, 2], [0, 3]]),
        layer("ZeroPadding2D", "pad", padding=[[1, 2], [0, 3]]),  # more than the pool after it may pad by itself
        layer("AveragePooling2D", "pool", pool_size=[2, 2], padding="same"),
        layer("BatchNormalization", "norm"),
        layer("Reshape", "vector", target_shape=[-1]),
        layer("Dense", "d", units=2, activation="sigmoid"),
    )
    variables = {
        "layers/conv2d": [rng.normal(0, 0.3, shape) for shape in ((3, 3, 3, 4), (4,))],
        "layers/batch_normalization": [rng.uniform(0.5, 1, 4) for _ in range(4)],
        "layers/dense": [rng.normal(0, 0.1, shape) for shape in ((256, 2), (2,))],
    }
    model = load_keras(write_keras(tmp_path / "moves.keras", config, variables))
    graph, report = quantise(model, rng.uniform(0, 255, (40, 8, 8, 3)).astype(np.float32))
    assert [node.op.name for node in graph.nodes if isinstance(node.op, ir.Conv2d | ir.MatMul)]
    assert report.outputs[model.graph.output[0].name].sqnr_db > 30


def nested(outputs: list[Any], operands: Any = None) -> dict[str, Any]:
    """A functional model within a functional one, used twice, as Keras 3.15 writes it."""
    inner = functional(
        [use(layer("InputLayer", "x", batch_shape=[None, 3])), use(layer("Dense", "d", units=3), tensor("x"))],
        ["x", 0, 0],
        ["d", 0, 0],
    )
    inner["config"]["name"] = "inner"
    image = use(layer("InputLayer", "image", batch_shape=[None, 3]))
    return functional([image, use(inner, tensor("image"), tensor("inner"))], ["image", 0, 0], outputs)


@pytest.mark.parametrize(("outputs", "uses"), [(["inner", 2, 0], [2]), ([["inner", 1, 0], ["inner", 2, 0]], [1, 2])])
def test_nested_model_at_the_end(tmp_path: Path, outputs: list[Any], uses: list[int]) -> None:
    """Among the results of a model the uses of a functional model count from 1, its operands' from 0."""
    weights = [np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in ((3, 3), (3,))]
    path = write_keras(tmp_path / "m.keras", nested(outputs), {"layers/functional/layers/dense": weights})
    x = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    expected = [x]
    for _ in range(2):
        expected.append(expected[-1] @ weights[0] + weights[1])
    found = list(run_reference(load_keras(path), {"image": x}).values())
    for value, count in zip(found, uses, strict=True):
        np.testing.assert_allclose(value, expected[count], rtol=1e-5, atol=1e-5)


def test_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    layers = [
        use(layer("InputLayer", "a", batch_shape=[None, 3])),
        use(layer("InputLayer", "b", batch_shape=[None, 3])),
        use(layer("Average", "mean"), [tensor("a"), tensor("b")]),
    ]
    config = functional(layers, {"b": ["b", 0, 0], "a": ["a", 0, 0]}, {"y": ["mean", 0, 0]})
    model = load_keras(write_keras(tmp_path / "m.keras", config, {}))
    a, b = np.random.default_rng(1).normal(size=(2, 2, 3)).astype(np.float32)
    (found,) = run_reference(model, {"a": a, "b": b}).values()
    np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-6)


DENSE = layer("Dense", "d", units=2)
ERRORS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "unknown": (
        sequential((4,), layer("LSTM", "memory"), layer("GRU", "more")),
        {},
        "it has layers that cannot be imported: 'memory' (LSTM), 'more' (GRU); those that can are Activation, ",
    ),
    "variables": (
        sequential((4,), DENSE),
        {"layers/dense": [np.zeros((3, 2))]},
        "layer 'd' (Dense): its variables must have the shapes [4, 2], [2], not [3, 2]",
    ),
    "no variables": (sequential((4,), DENSE), {}, "must have the shapes [4, 2], [2], not none"),
    "activation": (
        sequential((4,), layer("Activation", "a", activation="glu")),
        {},
        "layer 'a' (Activation): activation must be one of linear, relu, ",
    ),
    "layout": (
        sequential((4, 4, 1), layer("MaxPooling2D", "p", data_format="channels_first")),
        {},
        "layer 'p' (MaxPooling2D): data_format must be channels_last, not channels_first",
    ),
    "rank": (sequential((4,), layer("MaxPooling2D", "p")), {}, "its operand must be [batch, height, width, channels]"),
    "padding": (
        sequential((4, 4, 1), layer("MaxPooling2D", "p", padding="causal")),
        {},
        "layer 'p' (MaxPooling2D): padding must be valid or same, not 'causal'",
    ),
    "window": (
        sequential((4, 4, 1), layer("MaxPooling2D", "p", pool_size=5)),
        {},
        "layer 'p' (MaxPooling2D): its window of 5 x 5 must fit 4 x 4",
    ),
    "shape": (
        sequential((None, 4, 1), layer("Flatten", "f")),
        {},
        "layer 'image' (InputLayer): its shape must be given, but for the batch, not [None, None, 4, 1]",
    ),
    "reshape": (
        sequential((4,), layer("Reshape", "r", target_shape=[3])),
        {},
        "layer 'r' (Reshape): target_shape must hold 4 elements, not [3]",
    ),
    "malformed": (
        sequential((4,), layer("Dense", "d", units="many")),
        {},
        "layer 'd' (Dense): it is malformed (ValueError: ",
    ),
    "cycle": (
        functional(
            [use(layer("InputLayer", "x", batch_shape=[None, 4])), use(layer("ReLU", "r"), tensor("r"))],
            ["x", 0, 0],
            ["r", 0, 0],
        ),
        {},
        "layer 'r': its operands are computed by no layer",
    ),
    "no model": ({"a": 1}, {}, "config.json must describe a model (class_name, config)"),
    "json": ("{", {}, "config.json cannot be read: "),
}


@pytest.mark.parametrize(("config", "variables", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_the_layer(tmp_path: Path, config: Any, variables: Any, message: str) -> None:
    path = write_keras(tmp_path / "model.keras", config, variables)
    with pytest.raises(ModelError) as caught:
        load_keras(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(ModelError, match="there is no such file"):
        read_model(path)
    path.write_bytes(b"text")
    with pytest.raises(ModelError, match=r"is not a .keras file \(a zip archive\)"):
        read_model(path)
    with pytest.raises(ModelError, match=r"must be saved as .keras"):
        read_model(tmp_path / "model.h5")


def test_layers_of_the_import_are_those_of_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    config = sequential(
        (12,),
        layer("Dense", "a", units=8, activation="relu"),
        layer("BatchNormalization", "n"),
        layer("Dense", "b", units=3),
    )
    variables = {
        "layers/dense": [rng.normal(size=(12, 8)), rng.normal(size=8)],
        "layers/batch_normalization": [rng.uniform(0.5, 1, 8) for _ in range(4)],
        "layers/dense_1": [rng.normal(size=(8, 3)), rng.normal(size=3)],
    }
    model = load_keras(write_keras(tmp_path / "dense.keras", config, variables))
    x = rng.normal(size=(40, 12)).astype(np.float32)
    graph, report = quantise(model, x)
    assert {"a", "b"} <= {layer.name for layer in report.layers} | {node.name for node in graph.nodes}
