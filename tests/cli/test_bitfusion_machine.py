"""What a user can get wrong on the machine `bitfusion`: one message that says what would be right, exit status 2."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import gatewright
from gatewright.cli import main

LENET = Path(__file__).parents[2] / "examples" / "lenet5" / "lenet5.onnx"


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("samples") / "x.npy"
    np.save(path, np.random.default_rng(0).random((8, 1, 32, 32), np.float32))
    return str(path)


@pytest.fixture
def refused(capsys, tmp_path):
    """Compile for `bitfusion` what cannot be compiled: the message; nothing is written, nothing else printed."""

    def run(model: object, *arguments: str) -> str:
        folder = tmp_path / "b"
        with pytest.raises(SystemExit) as caught:
            main(["compile", str(model), "--target", "bitfusion", "-o", str(folder), *arguments])
        captured = capsys.readouterr()
        assert caught.value.code == 2, captured.err
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert captured.err.startswith("error: ")
        assert not folder.exists()
        return captured.err

    return run


def network(path: Path, weights: np.ndarray, **values: object) -> Path:
    """A quantised product or convolution of these weights with its bias and scales."""
    operator, shape = ("QLinearConv", [1, weights.shape[1], 6, 6]) if weights.ndim == 4 else ("QLinearMatMul", [1, 4])
    zero = np.zeros((), weights.dtype)
    constants = {"xs": np.float32(0.5), "z": np.int8(0), "w": weights, "ws": np.float32(0.01), "wz": zero}
    names = ["x", "xs", "z", "w", "ws", "wz", "xs", "z"]
    nodes = [helper.make_node(operator, names, ["y"], name="product", **values)]
    x = helper.make_tensor_value_info("x", TensorProto.INT8, shape)
    y = helper.make_tensor_value_info("y", TensorProto.INT8, None)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (
            "a16w8",
            r"conv1 \(conv2d, .*'image' must be signed with 8 bits at most \(composable = false\), not i16",
        ),
        ("a8w16", r"fc2 \(matmul, i32\[1,84\]\): weights must be within -128\.\.127, not -32767\.\.32767"),
    ],
)
def test_operands_wider_than_plain_multipliers(refused, samples, bits, message):
    given = ("--calibrate", samples, "--bits", bits, "--set", "composable=false")
    assert re.search(message, refused(LENET, *given))


def test_a_pair_that_plain_multipliers_do_not_have(refused, tmp_path):
    """Bytes without a sign are weights of fusion units; an array of signed 8 x 8 multipliers has no such pair."""
    model = network(tmp_path / "unsigned.onnx", np.full((4, 3), 200, np.uint8))
    gatewright.compile(model, "bitfusion")
    err = refused(model, "--set", "composable=false")
    assert "product (matmul, " in err
    assert "weights must be within -128..127, not 200..200" in err


def test_sums_that_leave_the_network_wide(refused, tmp_path):
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"], name="sums")]
    x = helper.make_tensor_value_info("x", TensorProto.INT8, [1, 9])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, None)
    weights = numpy_helper.from_array(np.full((9, 3), 99, np.int8), "w")
    model = helper.make_model(
        helper.make_graph(nodes, "net", [x], [y], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "sums.onnx")
    err = refused(tmp_path / "sums.onnx", "--set", "result_width=8")
    assert re.search(r"sums \(matmul, i\d+\[1,3\]\): .*results of 8 bits at most \(result_width\)", err)
    assert gatewright.compile(tmp_path / "sums.onnx", "bitfusion").config.result_width == 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("rows=0", "rows must be a whole number from 1 to 64, not 0"),
        ("result_width=12", "result_width must be 8, 16 or 32, not 12"),
        ("wbuf_bytes=3000", "wbuf_bytes must be a power of two from 1024 to 1048576, not 3000"),
        ("ibuf_bytes=256", "ibuf_bytes must be a power of two from 1024 to 1048576, not 256"),
        ("feed_bytes=100", "feed_bytes must be 0 or a power of two from 64 to 512 for 16 rows, not 100"),
        ("composable=perhaps", "composable must be true or false, not 'perhaps'"),
        ("activation_bytes=1024", "bitfusion has no parameter 'activation_bytes'; it has rows, columns, composable"),
    ],
)
def test_impossible_configurations(refused, samples, settings, message):
    assert message in refused(LENET, "--calibrate", samples, "--set", settings)


SMALL = {"rows": 4, "columns": 4, "post_lanes": 4, "bus_bits": 32}


@pytest.mark.parametrize(
    ("name", "array", "weights", "values"),
    [
        ("ibuf_bytes", SMALL, (4, 2048, 1, 1), {}),
        ("ibuf_bytes", SMALL, (8, 256, 5, 5), {"pads": [2, 2, 2, 2]}),
        ("obuf_bytes", SMALL, (2000, 4, 1, 1), {}),
        ("wbuf_bytes", {"rows": 32, "columns": 64}, (64, 16, 5, 5), {}),
    ],
)
def test_buffers_too_small_for_one_block_say_the_minimum(refused, tmp_path, name, array, weights, values):
    """With the minimum it compiles, with half of it it does not."""
    model = network(tmp_path / "wide.onnx", np.ones(weights, np.int8), **values)
    given = [text for key, value in array.items() for text in ("--set", f"{key}={value}")]
    err = refused(model, *given, "--set", f"{name}=1024")
    found = re.search(rf"{name} must be at least (\d+) for layer 'product', not 1024", err)
    assert found, err
    least = int(found[1])
    assert least == 2048 or str(least) in refused(model, *given, "--set", f"{name}={least // 2}")
    gatewright.compile(model, "bitfusion", array | {name: least})
