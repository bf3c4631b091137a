"""The command line, in process, on a machine that interprets graphs: what is printed, written, and the exit status."""

import io
import json
from importlib import import_module

import numpy as np
import onnx
import pytest
from fake_target import FakeSimulatedBus, install
from onnx import TensorProto, helper, numpy_helper

from gatewright.cli import main
from gatewright.emit import read_report
from gatewright.engines import Run
from gatewright.program import Result


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    install(monkeypatch)


@pytest.fixture
def cli(capsys):
    """Run a command: (exit status, standard output, standard error)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run


def tensor(name: str, values: object, dtype: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def save(path, nodes, inputs, outputs, constants) -> str:
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def quantised(tmp_path):
    """QLinearMatMul [?, 4] x [4, 3], uint8 to uint8: the smallest quantised network."""
    weights = np.arange(12).reshape(4, 3) % 5 - 2
    constants = [
        tensor("xs", 0.5, np.float32),
        tensor("xz", 128, np.uint8),
        tensor("w", weights, np.int8),
        tensor("ws", 0.25, np.float32),
        tensor("wz", 0, np.int8),
        tensor("ys", 1.0, np.float32),
        tensor("yz", 100, np.uint8),
    ]
    node = helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"], name="dense")
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, ["batch", 3])
    return save(tmp_path / "quantised.onnx", [node], [x], [y], constants)


@pytest.fixture
def floating(tmp_path):
    """Gemm [?, 4] -> [?, 3] in floating point."""
    generator = np.random.default_rng(0)
    constants = [tensor("w", generator.normal(size=(3, 4)), np.float32), tensor("b", [0.1, 0.2, 0.3], np.float32)]
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="dense", transB=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    return save(tmp_path / "floating.onnx", [node], [x], [y], constants)


@pytest.fixture
def array(tmp_path):
    def write(name: str, values: np.ndarray) -> str:
        np.save(tmp_path / name, values)
        return str(tmp_path / name)

    return write


def test_targets_are_listed(cli):
    status, out, _ = cli("targets")
    assert status == 0
    for text in ("fake: interprets graphs", "lanes", "4", "matmul", "at most 8 outputs"):
        assert text in out


def test_targets_are_listed_for_the_documentation(cli):
    status, out, _ = cli("targets", "--markdown")
    assert status == 0
    assert "## fake" in out
    assert "| `matmul` | lanes | at most 8 outputs |" in out


def test_compile_writes_a_build_folder(cli, quantised, tmp_path):
    status, out, err = cli("compile", quantised, "--target", "fake", "--set", "lanes=2", "-o", tmp_path / "b")
    assert (status, err) == (0, "")
    assert f"in {tmp_path / 'b'}" in out
    assert read_report(tmp_path / "b")["config"]["lanes"] == 2


def test_settings_win_over_the_file(cli, quantised, tmp_path):
    (tmp_path / "c.toml").write_text('lanes = 8\nfast = false\nflavour = "sweet"\n')
    cli(
        "compile",
        quantised,
        "--target",
        "fake",
        "--config",
        tmp_path / "c.toml",
        "--set",
        "lanes=2",
        "-o",
        tmp_path / "b",
    )
    assert read_report(tmp_path / "b")["config"] == {"lanes": 2, "fast": False, "flavour": "sweet"}


@pytest.mark.parametrize("engine", ["rtl", "model", "evaluate"])
def test_run_gives_the_same_on_every_engine(cli, quantised, array, tmp_path, engine):
    cli("compile", quantised, "--target", "fake", "-o", tmp_path / "b")
    x = array("x.npy", np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
    status, out, _ = cli("run", tmp_path / "b", "-i", x, "-o", tmp_path / "y.npy", "--engine", engine)
    y = np.load(tmp_path / "y.npy")
    assert status == 0
    assert (y.shape, y.dtype) == ((3, 3), np.uint8)
    reference = np.load(x).astype(int) - 128
    weights = np.arange(12).reshape(4, 3) % 5 - 2
    np.testing.assert_array_equal(y, np.clip(np.rint(reference @ weights * 0.125) + 100, 0, 255))
    assert out == ("" if engine == "evaluate" else f"100 cycles ({engine})\n")


def test_outputs_go_to_the_file_that_is_named(cli, quantised, array, tmp_path):
    cli("compile", quantised, "--target", "fake", "-o", tmp_path / "b")
    x = array("x.npy", np.zeros((1, 4), np.uint8))
    cli("run", tmp_path / "b", "-i", x, "-o", tmp_path / "scores", "--engine", "evaluate")
    assert np.load(tmp_path / "scores").shape == (1, 3)
    assert not (tmp_path / "scores.npy").exists()


def test_run_remembers_what_it_measured(cli, quantised, array, tmp_path):
    cli("compile", quantised, "--target", "fake", "-o", tmp_path / "b")
    x = array("x.npy", np.zeros((1, 4), np.uint8))
    cli("run", tmp_path / "b", "-i", f"x={x}", "-o", tmp_path / "y.npy", "--engine", "model")
    report = read_report(tmp_path / "b")
    assert (report["cycles"], report["efficiency"]) == ({"model": 100, "rtl": None}, None)
    cli("run", tmp_path / "b", "-i", f"x={x}", "-o", tmp_path / "y.npy")
    report = read_report(tmp_path / "b")
    assert report["cycles"] == {"model": 100, "rtl": 100}
    assert report["layers"][0]["cycles"] == 100
    status, out, _ = cli("report", tmp_path / "b", "--clock", "100")
    assert status == 0
    assert "100 in RTL, 100 in the model" in out
    assert "images/s" in out


def test_run_takes_floats_for_integer_inputs(cli, quantised, array, tmp_path):
    cli("compile", quantised, "--target", "fake", "-o", tmp_path / "b")
    integers = array("i.npy", np.array([[128, 130, 126, 255]], np.uint8))
    floats = array("f.npy", np.array([[0.0, 1.0, -1.0, 63.5]]))
    for x in (integers, floats):
        cli("run", tmp_path / "b", "-i", x, "-o", f"{x}.out.npy", "--engine", "evaluate")
    np.testing.assert_array_equal(np.load(f"{integers}.out.npy"), np.load(f"{floats}.out.npy"))


def test_several_outputs_become_files_with_their_names(cli, quantised, array, tmp_path, monkeypatch):
    cli("compile", quantised, "--target", "fake", "-o", tmp_path / "b")
    done = Run({"head/a:0": np.zeros(2), "b": np.ones(3)}, (Result("evaluate", {}),))
    monkeypatch.setattr("gatewright.cli.run_build", lambda *_: done)
    x = array("x.npy", np.zeros((1, 4), np.uint8))
    status, _, _ = cli("run", tmp_path / "b", "-i", x, "-o", tmp_path / "y.npy", "--engine", "evaluate")
    assert status == 0
    assert np.load(tmp_path / "y-head_a_0.npy").shape == (2,)
    assert np.load(tmp_path / "y-b.npy").shape == (3,)


def test_compile_shows_what_quantisation_did(cli, floating, array, tmp_path):
    x = array("x.npy", np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32))
    status, out, _ = cli("compile", floating, "--target", "fake", "--calibrate", x, "-o", tmp_path / "b")
    assert status == 0
    assert "Quantisation, measured on 5 samples" in out
    assert (tmp_path / "b" / "quantisation.json").exists()


def test_verify_compares_engines_and_onnx_runtime(cli, quantised):
    status, out, err = cli("verify", quantised, "--target", "fake", "--count", 3, "--batch", 2, "--json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["equal"] is True
    assert report["max_abs_difference"] == 0
    assert report["reference"] == {"mismatch_rate": 0.0, "max_steps": 0, "top1_equal": 1.0}
    assert report["cycles"] == {"model": 100, "rtl": 100}
    assert report["batch"] == 2


def test_verify_finds_a_machine_that_is_wrong(cli, quantised, monkeypatch, tmp_path):
    monkeypatch.setattr(FakeSimulatedBus, "error", 2)
    status, out, err = cli("verify", quantised, "--target", "fake", "-o", tmp_path / "b", "--json")
    assert status == 1
    assert json.loads(out)["equal"] is False
    assert err == "error: the engines differ, by up to 2 steps of the output\n"
    assert read_report(tmp_path / "b")["max_abs_difference"] == 2


def test_verify_warns_when_onnx_runtime_disagrees(cli, quantised, monkeypatch):
    module = import_module("gatewright.verify")  # the attribute of the package is the function
    monkeypatch.setattr(module, "run_reference", lambda model, x: {"y": np.full((1, 3), 250, np.uint8)})
    status, out, err = cli("verify", quantised, "--target", "fake")
    assert status == 0
    assert "bit for bit" in out
    assert "warning: 100.00% of the output values differ from ONNX Runtime's" in err
    assert "warning: an output value differs from ONNX Runtime's by" in err


def test_verify_takes_inputs_and_quantises(cli, floating, array):
    x = array("x.npy", np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32))
    command = ("verify", floating, "--target", "fake", "--calibrate", x, "-i", x, "--json")
    status, out, _ = cli(*command, "--bits", "a8w8", "--scales", "pow2")
    assert status == 0
    assert json.loads(out)["equal"] is True


def test_emit_core_writes_the_array_alone(cli, tmp_path):
    status, out, _ = cli("emit-core", "--target", "fake", "--set", "lanes=3")
    assert (status, out.splitlines()[0]) == (0, "module fake_core; // 3 lanes")
    cli("emit-core", "--target", "fake", "-o", tmp_path / "core.v")
    assert (tmp_path / "core.v").read_text().startswith("module fake_core")
    assert cli("emit-core", "--target", "fake", "--set", "fast=false")[0] == 2


def test_nothing_is_drawn_in_a_pipe(cli, quantised, tmp_path):
    _, out, err = cli("compile", quantised, "--target", "fake", "-o", tmp_path / "b")
    assert err == ""
    assert "\x1b" not in out


def test_a_terminal_gets_a_progress_bar(cli, quantised, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    cli("verify", quantised, "--target", "fake", "-o", tmp_path / "b", "--json")
    assert "rtl 1/1" in terminal.getvalue()


def test_an_unforeseen_error_is_one_line(cli, quantised, monkeypatch):
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("gatewright.cli.compile_model", broken)
    status, _, err = cli("verify", quantised, "--target", "fake")
    assert status == 70
    assert err == "error: KeyError: 'oops' (this is a fault of Gatewright; GATEWRIGHT_TRACEBACK=1 shows where)\n"
