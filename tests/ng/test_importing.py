"""ONNX models as records."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import gatewright.ng as ng
from gatewright.errors import ModelError

LENET5 = Path(__file__).parents[2] / "examples" / "lenet5" / "lenet5.onnx"


def run(path, image):
    """The network in floating point, the image [N, H, W, C]."""
    session = onnxruntime.InferenceSession(str(path))
    (value,) = session.get_inputs()
    return session.run(None, {value.name: image.transpose(0, 3, 1, 2).astype(np.float32)})[0]


@pytest.fixture
def residual(tmp_path):
    """Two convolutions, an addition, a pool, a sigmoid, a dense layer: [1, 4, 8, 8] to [1, 6]."""
    random = np.random.default_rng(0)
    shapes = {"w1": (4, 4, 3, 3), "w2": (4, 4, 1, 1), "w3": (16, 6)}
    tensors = [numpy_helper.from_array(random.normal(size=s).astype(np.float32) / 4, n) for n, s in shapes.items()]
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["a"], pads=[1] * 4, name="a"),
        node("Relu", ["a"], ["a/relu"]),
        node("Conv", ["a/relu", "w2"], ["b"], name="b"),
        node("Add", ["b", "a/relu"], ["sum"]),
        node("Sigmoid", ["sum"], ["curve"]),
        node("AveragePool", ["curve"], ["mean"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Flatten", ["mean"], ["flat"]),
        node("MatMul", ["flat", "w3"], ["scores"], name="dense"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 8, 8])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "residual", inputs, outputs, tensors)
    path = tmp_path / "residual.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_lenet5():
    outputs, placeholders, variables, constants, operators = ng.from_onnx(LENET5)
    assert list(outputs) == ["scores"]
    assert outputs["scores"] is operators["scores"]
    assert placeholders["image"].shape == (1, 32, 32, 1)
    assert placeholders["image"].perm == (0, 2, 3, 1)
    assert not constants
    assert variables["conv1.weight"].shape == (6, 5, 5, 1)
    kinds = {name: type(record).__name__ for name, record in operators.items()}
    assert list(kinds.values()) == [
        *("conv2d", "max_pool_serial") * 2,
        "reshape",
        *("matmul",) * 3,
    ]
    assert isinstance(operators["relu_fc1"], ng.conv2d)
    ng.quantize(outputs, {"image": 64}, num_samples=4)
    assert placeholders["image"].scale_factor == pytest.approx(64, rel=1e-6)
    image = np.random.default_rng(1).integers(-60, 60, (1, 32, 32, 1))
    (found,) = ng.eval([outputs["scores"]], image=image)
    exact = run(LENET5, image / 64)
    assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.99
    np.testing.assert_allclose(found / outputs["scores"].scale_factor, exact, atol=0.1 * np.abs(exact).max())


def test_operators_take_hints_and_have_addresses():
    outputs, placeholders, variables, _, operators = ng.from_onnx(LENET5)
    for record in operators.values():
        if isinstance(record, ng.conv2d):
            record.attribute(par_ich=2, par_och=4, par_row=1)
    assert operators["relu_conv1"].asked == {"par_ich": 2, "par_och": 4, "par_row": 1}
    assert operators["relu_fc1"].asked == {"par_ich": 2, "par_och": 4}
    assert variables["conv1.weight"].word_alignment == 2
    assert variables["conv1.bias"].word_alignment == 4
    addresses = ng.address_map(outputs)
    assert addresses.slot(placeholders["image"]).placement.addr == 64
    assert addresses.parameters.address == 64 + addresses.slot(placeholders["image"]).size
    with pytest.raises(ValueError, match="cshamt_out of an imported layer must stay what quantisation found"):
        operators["relu_conv1"].attribute(cshamt_out=3)


def test_names_and_kinds(residual):
    _, placeholders, _, constants, operators = ng.from_onnx(residual)
    kinds = {name: type(record).__name__ for name, record in operators.items()}
    assert kinds["a/relu"] == "conv2d"
    assert kinds["sum"] == "scaled_add"
    assert kinds["curve"] == "table"
    assert kinds["mean"] == "avg_pool_serial"
    assert kinds["scores"] == "matmul"
    assert operators["a/relu"].padding == (1, 1, 1, 1)
    assert operators["mean"].ksize == (1, 4, 4, 1)
    assert (placeholders["x"].layout, placeholders["x"].onnx_layout) == ("NHWC", "NCHW")
    assert len(constants) == 1
    assert all(ng.is_elementwise_operator(operators[name]) for name in ("sum", "curve"))


def test_a_network_of_many_kinds(residual):
    outputs, *_, operators = ng.from_onnx(residual, default_scale_dtype=ng.int16)
    ng.quantize(outputs, {"x": 40}, num_samples=8)
    image = np.clip(np.rint(np.random.default_rng(2).normal(size=(1, 8, 8, 4)) * 40 / 3), -127, 127)
    (found,) = ng.eval(outputs, x=image)
    exact = run(residual, image / 40)
    np.testing.assert_allclose(found / outputs["scores"].scale_factor, exact, atol=0.1 * np.abs(exact).max())
    assert operators["sum"].scale_factor > 1


def test_quantisation_may_be_repeated(residual):
    outputs, placeholders, variables, *_ = ng.from_onnx(residual)
    records = dict(variables)
    for factor in (20, 60):
        ng.quantize(outputs, {"x": factor}, {"x": [1.0] * 4}, {"x": [3.0] * 4})
        assert placeholders["x"].scale_factor == pytest.approx(factor, rel=1e-6)
    assert dict(variables) == records


def test_an_imported_network_goes_on(residual):
    """Operators written behind an import are calibrated on its results."""
    outputs, placeholders, *_ = ng.from_onnx(residual)
    w = ng.variable(ng.int8, (3, 6), name="w")
    w.set_value(np.random.default_rng(0).normal(size=(3, 6)))
    y = ng.matmul(outputs["scores"], w, transposed_b=True, dtype=ng.int8)
    real = w.value.copy()
    ng.quantize(y, {"x": 40}, num_samples=8)
    image = np.clip(np.rint(np.random.default_rng(2).normal(size=(1, 8, 8, 4)) * 40 / 3), -127, 127)
    exact = run(residual, image / 40) @ real.T
    found = y.eval(x=image) / y.scale_factor
    np.testing.assert_allclose(found, exact, atol=0.15 * np.abs(exact).max())
    assert ng.eval([placeholders["x"]], x=image)[0].shape == (1, 8, 8, 4)


def test_widths(residual):
    widths = {
        "default_variable_dtype": ng.int4,
        "default_operator_dtype": ng.dtype_int(6),
        "value_dtypes": {"w3": ng.int8},
    }
    _, placeholders, variables, _, operators = ng.from_onnx(residual, default_placeholder_dtype=ng.int8, **widths)
    assert placeholders["x"].dtype == ng.int8
    assert operators["a/relu"].dtype == ng.dtype_int(6)
    assert variables["a.weight"].dtype == ng.int4
    assert variables["dense.weight"].dtype == ng.int8


def test_multipliers_fit_the_type_of_scales(residual):
    *_, variables, _, _ = ng.from_onnx(residual, default_scale_dtype=ng.int8)
    assert max(int(v.value.max()) for name, v in variables.items() if name.endswith(".mul")) < 128


def test_open_dimensions_may_be_given(residual):
    outputs, placeholders, *_ = ng.from_onnx(residual, value_shapes={"x": (3, 4, 8, 8)})
    assert placeholders["x"].shape == (3, 8, 8, 4)
    assert outputs["scores"].shape == (3, 6)


def test_quantised_models_stay_as_they_are(tmp_path):
    node, tensor = helper.make_node, helper.make_tensor
    nodes = [
        node("DequantizeLinear", ["x", "xs", "xz"], ["xr"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wr"]),
        node("MatMul", ["xr", "wr"], ["sums"], name="dense"),
        node("QuantizeLinear", ["sums", "ys", "yz"], ["y"]),
    ]
    tensors = [
        *(tensor(f"{name}s", TensorProto.FLOAT, [], [0.5]) for name in "xwy"),
        *(tensor(f"{name}z", TensorProto.UINT8, [], [10]) for name in "xy"),
        tensor("wz", TensorProto.INT8, [], [0]),
        tensor("w", TensorProto.INT8, [2, 2], [1, 2, 3, 4]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 2])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.UINT8, None)]
    path = tmp_path / "q.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "q", inputs, outputs, tensors), ir_version=8), path)
    outputs, placeholders, *_ = ng.from_onnx(path)
    assert placeholders["x"].dtype == ng.uint8
    ng.quantize(outputs, {"x": 2})
    assert ng.eval(outputs, x=[[11, 12]])[0].tolist() == [[10 + round(7 * 0.5), 10 + 5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"default_operator_dtype": ng.int16},
            r"type of 'operators' must be a signed type of 2 to 8 bits \(or int32: 8 bits\) for a network in floating",
        ),
        ({"default_variable_dtype": ng.uint8}, "type of 'variables' must be a signed type of 2 to 8 bits"),
        ({"value_shapes": {"y": (1, 2)}}, r"value_shapes must name inputs \(image\), not 'y'"),
        ({"value_shapes": {"image": (1, 2)}}, r"shape of 'image' must have 4 sizes, not \(1, 2\)"),
        ({"default_scale_dtype": 8}, "default_scale_dtype must be a type such as ng.int32, not 8"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ng.from_onnx(LENET5, **arguments)


def test_a_missing_file():
    with pytest.raises(ModelError, match="there is no such file"):
        ng.from_onnx("missing.onnx")


def test_progress_is_printed(capsys):
    ng.from_onnx(LENET5, verbose=True)
    assert "<conv2d relu_conv1 dtype:int8 shape:(1, 28, 28, 6)> scale_factor:" in capsys.readouterr().out


def test_an_imported_network_on_hardware():
    outputs, placeholders, variables, constants, operators = ng.from_onnx(LENET5)
    for record in operators.values():
        if isinstance(record, ng.conv2d):
            record.attribute(par_ich=2, par_och=2)
    ng.quantize(outputs, {"image": 64})
    accelerator = ng.to_veriloggen(outputs, "lenet5", silent=True)
    assert accelerator.build.config.multipliers == 100  # 5 x 5, 2, 2
    image = np.random.default_rng(1).integers(-60, 60, (1, 32, 32, 1))
    memory = np.zeros(accelerator.addresses.size, np.uint8)
    with ng.Simulation(accelerator, memory, timing="ideal") as running:
        running.place(placeholders["image"], image)
        parameters = ng.make_ndarray(variables, constants)
        ng.set_memory(memory, parameters, 32, 8, accelerator.addresses.parameters.address)
        running.start()
        running.wait()
        found = running.fetch(outputs["scores"])
    np.testing.assert_array_equal(found, ng.eval([outputs["scores"]], image=image)[0])
