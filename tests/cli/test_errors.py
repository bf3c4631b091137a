"""What a user can get wrong: one clear message on standard error, the design's exit status, nothing half-written."""

import signal
import subprocess
import sys

import numpy as np
import onnx
import pytest
from fake_bus import FakeBus
from fake_target import FakeSimulatedBus, install
from onnx import TensorProto, helper, numpy_helper

from gatewright.cli import main
from gatewright.hdl.csr_map import ErrorCode


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    install(monkeypatch)


@pytest.fixture
def fails(capsys, tmp_path):
    """Run a command that must fail: its message, after checking status and that nothing was written."""

    def run(status: int, *arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert caught.value.code == status, captured.err
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert sorted(tmp_path.rglob("*")) == before
        return captured.err

    return run


def model(path, operator="Relu", dtype=TensorProto.FLOAT, constants=(), inputs=("x",), **attributes) -> str:
    x = helper.make_tensor_value_info("x", dtype, [1, 4])
    y = helper.make_tensor_value_info("y", dtype, None)
    node = helper.make_node(operator, [*inputs], ["y"], name="it", **attributes)
    graph = helper.make_graph([node], "net", [x], [y], list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.fixture
def wide(tmp_path):
    """A quantised product with 9 outputs, one more than the machine takes."""
    values = {
        "xs": np.float32(0.5),
        "z": np.int8(0),
        "w": np.ones((4, 9), np.int8),
        "ws": np.float32(0.25),
        "ys": np.float32(1.0),
    }
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    inputs = ("x", "xs", "z", "w", "ws", "z", "ys", "z")
    return model(tmp_path / "wide.onnx", "QLinearMatMul", TensorProto.INT8, constants, inputs)


@pytest.fixture
def small(tmp_path):
    values = {
        "xs": np.float32(0.5),
        "z": np.int8(0),
        "w": np.ones((4, 2), np.int8),
        "ws": np.float32(0.25),
        "ys": np.float32(1.0),
    }
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    inputs = ("x", "xs", "z", "w", "ws", "z", "ys", "z")
    return model(tmp_path / "small.onnx", "QLinearMatMul", TensorProto.INT8, constants, inputs)


@pytest.fixture
def built(small, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["compile", small, "--target", "fake", "-o", str(tmp_path / "b")])
    assert caught.value.code in (0, None)
    capsys.readouterr()
    return tmp_path / "b"


@pytest.mark.parametrize("command", ["compile", "verify"])
def test_a_missing_model(fails, tmp_path, command):
    err = fails(2, command, tmp_path / "nowhere.onnx", "--target", "fake", "-o", tmp_path / "b")
    assert "nowhere.onnx" in err


@pytest.mark.parametrize("contents", [b"", b"PK\3\4 this is no model", b"\x08\x08\x12\x04abcd:"])
def test_a_file_that_is_no_model(fails, tmp_path, contents):
    path = tmp_path / "not.onnx"
    path.write_bytes(contents)
    assert "not.onnx" in fails(2, "compile", path, "--target", "fake", "-o", tmp_path / "b")


def test_a_truncated_model(fails, small, tmp_path):
    path = tmp_path / "cut.onnx"
    with open(small, "rb") as file:
        path.write_bytes(file.read()[:-20])
    assert "cut.onnx" in fails(2, "compile", path, "--target", "fake", "-o", tmp_path / "b")


def test_a_float_model_without_calibration(fails, tmp_path):
    constants = [numpy_helper.from_array(np.ones((4, 3), np.float32), "w")]
    path = model(tmp_path / "float.onnx", "MatMul", constants=constants, inputs=("x", "w"))
    assert "--calibrate" in fails(2, "compile", path, "--target", "fake", "-o", tmp_path / "b")


def test_operators_the_importer_does_not_know(fails, tmp_path):
    path = model(tmp_path / "odd.onnx", "NonZero", TensorProto.INT8)
    err = fails(2, "compile", path, "--target", "fake", "-o", tmp_path / "b")
    assert err.startswith("error: ")


def test_operators_the_machine_does_not_run(fails, wide, tmp_path):
    err = fails(2, "compile", wide, "--target", "fake", "-o", tmp_path / "b")
    assert "fake cannot run 1 operator of" in err
    assert "outputs must be at most 8, not 9" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "lanes=0"], "lanes must be at least 1, not 0"),
        (["--set", "lanes=many"], "lanes must be a whole number, not 'many'"),
        (["--set", "fast=perhaps"], "fast must be true or false, not 'perhaps'"),
        (["--set", "lane=3"], "fake has no parameter 'lane'; it has lanes, fast, flavour"),
        (["--set", "lanes"], "--set must be given key=value, not 'lanes'"),
        (["--bits", "a9w8"], "must be from 2 to 8, or 16, not 9"),
        (["--bits", "8"], "bits must be written like a8w8"),
        (["--calibrate", "nowhere.npy"], "Cannot read the array nowhere.npy"),
        (["--batch", "2"], "input 'x' has a fixed batch of 1, not 2"),
    ],
)
def test_options_that_do_not_fit(fails, small, tmp_path, arguments, message):
    assert message in fails(2, "compile", small, "--target", "fake", "-o", tmp_path / "b", *arguments)


def test_quantisation_options_for_a_quantised_model(fails, small, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float32))
    for arguments in (["--calibrate", tmp_path / "x.npy"], ["--bits", "a4w4"]):
        err = fails(2, "compile", small, "--target", "fake", "-o", tmp_path / "b", *arguments)
        assert "quantised already" in err


def test_a_broken_configuration_file(fails, small, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("lanes = = 3")
    assert "must be a TOML file" in fails(2, "compile", small, "--target", "fake", "--config", path)
    missing = fails(2, "compile", small, "--target", "fake", "--config", tmp_path / "none.toml")
    assert "none.toml" in missing


def test_an_unknown_machine(fails, small):
    assert "target must be one of fake, not 'quantum'" in fails(2, "compile", small, "--target", "quantum")


def test_a_folder_in_use(fails, small, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    err = fails(2, "compile", small, "--target", "fake", "-o", tmp_path / "mine")
    assert "must be new, empty, or an earlier build folder" in err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 5), np.int8), "shape [1,4]"),
        (np.zeros((1, 4), np.uint8), "array must be int8 or floating point"),
        (np.full((1, 4), np.nan), "not NaN"),
        (np.array(["a"] * 4)[None], "array must be int8"),
    ],
)
def test_inputs_that_do_not_fit(fails, built, tmp_path, values, message):
    np.save(tmp_path / "x.npy", values)
    assert message in fails(2, "run", built, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy")


def test_input_files_that_do_not_fit(fails, built, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    np.savez(tmp_path / "archive.npz", a=np.zeros(3))
    (tmp_path / "text.npy").write_text("hello")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    for given, message in (
        (["-i", tmp_path / "archive.npz"], "must hold one array (.npy), not an archive of a"),
        (["-i", tmp_path / "text.npy"], "must be a .npy file, as numpy.save writes it"),
        (["-i", tmp_path / "objects.npy"], "Cannot read the array"),
        (["-i", tmp_path], "is a directory"),
        (["-i", "nowhere.npy"], "Cannot read the array nowhere.npy: no such file or directory\n"),
        (["-i", f"z={tmp_path / 'x.npy'}"], "inputs must be x, not z"),
        (["-i", tmp_path / "x.npy", "-i", tmp_path / "x.npy"], "several inputs must each be given as name=file"),
    ):
        assert message in fails(2, "run", built, *given, "-o", tmp_path / "y.npy")


def test_a_folder_that_is_no_build(fails, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    err = fails(2, "run", tmp_path, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert "must be a build folder, but it has no manifest.json" in err
    assert "Cannot read the report" in fails(2, "report", tmp_path)


def test_a_machine_of_another_configuration(fails, built, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    rtl = built / "rtl" / "gatewright_fake.v"
    rtl.write_text(rtl.read_text().replace("4 lanes", "7 lanes"))
    err = fails(2, "run", built, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert "was compiled for another configuration of fake" in err


def test_a_bus_error_during_a_run(fails, built, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    monkeypatch.setattr(FakeSimulatedBus, "interpret", lambda self, bus: bus.fail(ErrorCode.READ_BUS_ERROR))
    err = fails(3, "run", built, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert err.startswith("error: The machine stopped: read bus error (code 2)")


def test_a_machine_that_hangs(fails, built, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    monkeypatch.setattr(FakeSimulatedBus, "interpret", lambda self, bus: None)
    err = fails(3, "run", built, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert "The machine makes no progress: status busy" in err


def test_an_unknown_memory(fails, built, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    err = fails(2, "run", built, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy", "--memory", "magic")
    assert "Memory must be one of" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "-1"], "seed must be a whole number of at least 0, not -1"),
        (["--engine", "model", "--memory", "magic"], "Memory must be one of"),
        (["--engine", "model", "--trace", "x.vcd"], "--trace must be given with --engine rtl, not model"),
        (["--trace", "nowhere/x.vcd"], "nowhere/x.vcd: there is no folder nowhere"),
        (["--trace", "."], ".: must be a file, not a folder"),
        (["-o", "nowhere/y.npy"], "nowhere/y.npy: there is no folder nowhere"),
        (["-o", "."], ".: must be a file, not a folder"),
    ],
)
def test_options_of_a_run_that_do_not_fit(fails, built, tmp_path, options, message):
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.int8))
    assert message in fails(2, "run", built, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy", *options)


@pytest.mark.parametrize("clock", ["0", "-5", "nan", "inf"])
def test_a_clock_that_does_not_tick(fails, built, small, clock):
    assert "--clock must be more than 0 MHz" in fails(2, "report", built, "--clock", clock)
    assert "--clock must be more than 0 MHz" in fails(2, "verify", small, "--target", "fake", "--clock", clock)


def test_files_that_are_not_there(fails, small, tmp_path):
    missing = "nowhere.toml: no such file or directory\n"
    assert fails(2, "compile", small, "--target", "fake", "--config", "nowhere.toml") == f"error: {missing}"
    assert fails(2, "report", "nowhere").endswith("nowhere/report.json: no such file or directory\n")
    assert "there is no folder nowhere" in fails(2, "emit-core", "--target", "fake", "-o", "nowhere/core.v")


@pytest.mark.parametrize("arguments", [["compile"], ["bake"], ["verify", "m.onnx", "--target", "fake", "--count", "0"]])
def test_wrong_usage(fails, arguments):
    assert "Usage" in fails(2, *arguments)


def test_the_installed_command_starts():
    done = subprocess.run(
        [sys.executable, "-m", "gatewright", "--help"], text=True, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout
    assert FakeBus.base  # the machine of this file has no part in it


def test_an_interrupt_is_one_line(fails, monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("gatewright.cli.compile_model", lambda *_: signal.raise_signal(signal.SIGINT))
    assert fails(130, "compile", tmp_path / "x.onnx", "--target", "systolic") == "error: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before
