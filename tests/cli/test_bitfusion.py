"""`gatewright bitfusion`: what it prints, what it takes from files and networks, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from gatewright.cli import main
from gatewright.targets.bitfusion.isa import SIGNED

KERAS = Path(__file__).parents[2] / "examples" / "lenet5_keras" / "lenet5.keras"
EXAMPLE = (
    *("--input_image_shape", "1", "5", "5", "--kernel_shape", "1", "2", "2", "--padding", "0", "--bitfusion_dim", "4"),
    *("4", "--ibuf_size", "256", "--wbuf_size", "128", "--obuf_size", "16384", "--input_quant", "6"),
    *("--weight_quant", "6"),
)
LINES = [
    "cycles used:4",
    "total bitBricks used across all cycles:576/1024 = 56.25%",
    "total fusionUnits used across all cycles:48/64 = 75.0%",
]


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["bitfusion", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def test_the_published_example(capsys):
    status, out, _ = run(capsys, "conv", *EXAMPLE)
    assert status == 0
    assert out.splitlines()[-3:] == LINES
    assert out.splitlines()[0] == "setup input, 6"


@pytest.mark.parametrize("how", ["truncate", "saturate"])
def test_its_simulation(capsys, how):
    status, out, _ = run(capsys, "conv", *EXAMPLE, "--simulate", "--quantize", how)
    assert status == 0
    assert out.count("7812") == 16
    assert out.count("63") == 25
    assert out.count("31") == 4


def test_instructions_go_to_a_file_and_run(capsys, tmp_path):
    file = tmp_path / "conv.txt"
    assert run(capsys, "conv", *EXAMPLE, "--mapping", "fused", "-o", file)[0] == 0
    status, out, _ = run(capsys, "simulate", file)
    assert status == 0
    assert out.splitlines()[0] == "cycles used:32"
    assert out.count("7812") == 16


def test_defaults_are_the_earlier_tools(capsys):
    out = run(capsys, "conv")[1]
    windows = 10 * 3 * 26 * 26
    assert f"cycles used:{windows // 16 + (windows % 16 > 0)}" in out


def test_padding_channels_and_files(capsys, tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", random.integers(0, 256, (2, 3, 4, 4)))
    np.save(tmp_path / "w.npy", random.integers(-128, 128, (5, 3, 3, 3)))
    shapes = ["--input_image_shape", "2", "3", "4", "4", "--kernel_shape", "5", "3", "3", "3"]
    shapes += ["--padding", "1", "--stride", "2"]
    files = ("--image", tmp_path / "x.npy", "--kernel", tmp_path / "w.npy", "--quantize", "saturate")
    status, out, _ = run(capsys, "conv", *shapes, *files, "--simulate")
    assert status == 0
    assert "output 2 x 5 x 2 x 2:" in out


def test_a_layer_of_a_network(capsys, shared_models):
    model = shared_models / "mlperf_tiny" / "resnet8_int8.onnx"
    status, _, err = run(capsys, "conv", "--from", model, "--layer", "none")
    assert status == 2
    names = err.split("it has ")[1].strip().split(", ")
    status, out, _ = run(
        capsys, "conv", "--from", model, "--layer", names[0], "--input_quant", "4", "--weight_quant", 4
    )
    assert status == 0
    assert "cycles used:" in out


def test_shapes_are_those_of_the_files(capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.full((2, 3, 5, 4), 7))
    np.save(tmp_path / "w.npy", np.ones((5, 3, 3, 2), int))
    files = ("--image", tmp_path / "x.npy", "--kernel", tmp_path / "w.npy")
    status, out, _ = run(capsys, "conv", *files, "--simulate")
    assert status == 0
    assert "output 2 x 5 x 3 x 3:" in out
    assert out.count(str(7 * 18)) == 2 * 5 * 9
    status, _, err = run(capsys, "conv", *files, "--input_image_shape", 2, 3, 4, 5)
    assert status == 2
    assert "the image must be of shape 2 x 3 x 4 x 5, not 2 x 3 x 5 x 4 as in" in err
    np.save(tmp_path / "x.npy", np.full((6, 5, 4), 7))
    status, out, _ = run(capsys, "conv", *files[:2], "--input_image_shape", 6, 5, 4, "--simulate")
    assert status == 0
    assert "output 6 x 3 x 3 x 2:" in out


@pytest.mark.parametrize(
    ("layer", "widths", "windows", "products"),
    [("conv2", (4, 2), 16 * 10 * 10, 6 * 5 * 5), ("fc2", (6, 8), 84, 120)],
)
def test_a_layer_of_a_network_in_floating_point(capsys, tmp_path, layer, widths, windows, products):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((8, 32, 32, 1), np.float32))
    network = ("--from", KERAS, "--layer", layer)
    quant = ("--input_quant", widths[0], "--weight_quant", widths[1])
    status, out, _ = run(capsys, "conv", *network, "--calibrate", tmp_path / "x.npy", *quant)
    assert status == 0
    assert f"bitBricks used across all cycles:{windows * products * widths[0] * widths[1] // 4}/" in out
    status, _, err = run(capsys, "conv", *network)
    assert status == 2
    assert "pass --calibrate X.npy" in err


def test_a_layer_has_its_own_widths(capsys, shared_models):
    model = shared_models / "qonnx" / "tfc_2w2a.onnx"
    status, out, _ = run(capsys, "conv", "--from", model, "--layer", "MatMul_32")
    assert status == 0
    assert out.splitlines()[:2] == ["setup input, 2", f"setup weight, {SIGNED | 2}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input_quant", "0"], "input_quant must be one of 2, 4, 6, 8 bits, not 0"),
        (["--input_image_shape", "9999", "9999", "9999"], "input_image_shape must be of 67108864 values at most"),
        (["--calibrate", "x.npy"], "--calibrate must be given with --from"),
        (["--image", "x.npy"], "Cannot read the array x.npy"),
        (["--input_quant", "5"], "input_quant must be one of 2, 4, 6, 8 bits, not 5"),
        (["--input_image_shape", "5", "5"], "input_image_shape must be three or four numbers of at least 1, not 5 5"),
        (["--padding", "-1"], "padding must be at least 0, not -1"),
        (["--ibuf_size", "0"], "ibuf_size must be at least 1 bytes"),
        (["--mapping", "none"], "argument --mapping: invalid choice: 'none'"),
        (["--layer", "x"], "--from and --layer must be given together"),
        (["--from", "x.onnx", "--layer", "a", "--padding", "3"], "--padding must not be given with --from"),
        (["--from", "x.onnx", "--layer", "a"], "x.onnx: there is no such file"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_bad_input(capsys, arguments, message):
    status, out, err = run(capsys, "conv", *arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_a_file_that_is_no_text(capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    status, _, err = run(capsys, "simulate", tmp_path / "x.npy")
    assert status == 2
    assert "x.npy must be text, as `gatewright bitfusion conv -o FILE` writes it" in err


def test_a_file_that_is_not_there(capsys):
    status, _, err = run(capsys, "simulate", Path("nowhere.txt"))
    assert status == 2
    assert "nowhere.txt" in err
