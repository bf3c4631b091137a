"""The whole way on the systolic machine: what a user does, and what a user can get wrong, with real RTL."""

import json
from pathlib import Path

import numpy as np
import pytest

import gatewright
from gatewright.cli import main
from gatewright.errors import ConfigError, MachineFault, ProgramError
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.inputs import random_inputs
from gatewright.program import Result
from gatewright.sim import ErrorRange, MemoryOptions, SimulatedBus

LENET = Path(__file__).parents[2] / "examples" / "lenet5" / "lenet5.onnx"


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("samples") / "x.npy"
    np.save(path, np.random.default_rng(0).random((8, 1, 32, 32), np.float32))
    return str(path)


@pytest.fixture(scope="module")
def build(samples):
    return gatewright.compile(LENET, samples=np.load(samples))


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def test_verify_says_equal(capsys, samples):
    status, out, _ = run(capsys, "verify", LENET, "--target", "systolic", "--calibrate", samples, "--json")
    report = json.loads(out)
    assert status == 0
    assert report["equal"] is True
    assert sum(layer["cycles"] for layer in report["layers"]) == report["cycles"]["rtl"]
    assert abs(report["cycles"]["model"] - report["cycles"]["rtl"]) <= max(50, 0.02 * report["cycles"]["rtl"])
    assert report["counters"]["read_beats"] * report["bus_bytes"] >= report["compulsory_bytes"] - 10


def test_widths_are_given_and_chosen(capsys, samples, tmp_path):
    given = tmp_path / "widths.toml"
    given.write_text('[layers]\nfc3 = "a8w5"\n')
    options = ["--calibrate", samples, "--widths", given, "--widths", "conv1=a8w8", "--max-loss", "1"]
    status, _, err = run(capsys, "compile", LENET, "--target", "systolic", *options, "-o", tmp_path / "b")
    assert status == 0
    assert "allowed" in err
    told = json.loads((tmp_path / "b" / "report.json").read_text())["choice"]
    assert told["options"]["layers"]["conv2"] == [2, 2]
    assert [layer["work"]["name"] for layer in told["layers"]] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert told["layers"][1]["alone"]["a4w4"]["sqnr_db"] > 0
    assert sum(layer["cost"] for layer in told["layers"]) == told["cost"] < told["widest_cost"]
    assert told["unit"] == "bit operations"  # widths make no difference to the cycles of this machine
    report = json.loads((tmp_path / "b" / "quantisation.json").read_text())
    widths = {layer["name"]: layer["weights"]["bits"] for layer in report["layers"] if layer["weights"]}
    assert widths == {"conv1": 8, "conv2": 2, "fc1": 2, "fc2": 2, "fc3": 5}


def test_samples_held_out_are_not_calibrated_on(capsys, samples, tmp_path):
    """Noise of another range does not change the network, but what is said of it."""
    images, other = np.load(samples), tmp_path / "other.npy"
    np.save(other, 10 * np.random.default_rng(1).random((3, *images.shape[1:]), np.float32))
    options = ["--calibrate", samples, "--max-loss", "1", "--held-out", other]
    status, _, err = run(capsys, "compile", LENET, "--target", "systolic", *options, "-o", tmp_path / "b")
    assert status == 0
    told = json.loads((tmp_path / "b" / "report.json").read_text())["choice"]
    assert (told["calibrated"], told["held_out"]) == (len(images), 3)
    assert "3 samples held out" in " ".join(err.split())
    status, out, _ = run(capsys, "report", tmp_path / "b")
    assert "widths chosen" in out


def test_a_choice_that_samples_cannot_confirm_is_a_warning(capsys, samples, tmp_path):
    options = ["--calibrate", samples, "--max-loss", "0.5"]
    status, _, err = run(capsys, "compile", LENET, "--target", "systolic", *options, "-o", tmp_path / "b")
    assert status == 0
    told = json.loads((tmp_path / "b" / "report.json").read_text())["choice"]
    assert told["confirmed"] is False
    assert "warning: 4 samples held out show no more than that at most" in err


@pytest.mark.parametrize("option", ["--labels", "--held-out", "--held-out-labels"])
def test_some_options_are_for_a_choice(capsys, samples, tmp_path, option):
    options = ["--calibrate", samples, option, samples]
    status, _, err = run(capsys, "compile", LENET, "--target", "systolic", *options, "-o", tmp_path / "b")
    assert (status, err) == (2, f"error: {option} must be given with --max-loss\n")


@pytest.mark.parametrize("loss", ["-0.1", "2", "nan"])
def test_a_loss_is_a_share(capsys, samples, tmp_path, loss):
    options = ["--calibrate", samples, "--max-loss", loss]
    status, _, err = run(capsys, "compile", LENET, "--target", "systolic", *options, "-o", tmp_path / "b")
    assert status == 2
    assert f"--max-loss must be a share from 0 to 1, such as 0.01 for 1 %, not {loss}" in err


def test_a_pretrained_network(capsys, shared_models):
    model = shared_models / "mlperf_tiny" / "resnet8_int8.onnx"
    status, out, _ = run(capsys, "verify", model, "--target", "systolic", "--json")
    assert status == 0
    assert json.loads(out)["equal"] is True
    assert json.loads(out)["reference"]["max_steps"] <= 2


def test_a_pretrained_network_of_two_bits(capsys, shared_models):
    """Weights and activations are 2-bit values throughout; the sums that end the network fit 8 bits."""
    model = shared_models / "qonnx" / "tfc_2w2a.onnx"
    status, out, _ = run(capsys, "verify", model, "--target", "systolic", "--json")
    assert status == 0
    assert json.loads(out)["equal"] is True
    assert json.loads(out)["reference"]["max_steps"] == 0


def test_stalls_change_cycles_and_nothing_else(build):
    x = random_inputs(build.graph.input_ports, 0)
    usual = gatewright.run(build, x)
    stalled = gatewright.run(build, x, options=gatewright.RunOptions("stalls", seed=5))
    assert stalled.cycles > usual.cycles
    np.testing.assert_array_equal(stalled.outputs["scores"], usual.outputs["scores"])


def test_a_waveform_is_written(build, tmp_path):
    x = random_inputs(build.graph.input_ports, 0)
    gatewright.run(build, x, options=gatewright.RunOptions(trace=tmp_path / "w.vcd"))
    assert (tmp_path / "w.vcd").stat().st_size > 10_000


def test_the_hardware_depends_on_the_configuration_alone(build, samples):
    other = gatewright.compile(LENET, samples=np.load(samples) * 0.5, batch=2)
    assert other.program != build.program
    assert other.target.hardware(other.config) == build.verilog


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["rows=0"], "rows must be a whole number from 1 to 64, not 0"),
        (["columns=eight"], "columns must be a whole number, not 'eight'"),
        (["bus_bits=48"], "bus_bits must be 32, 64, 128 or 256, not 48"),
        (["activation_bytes=1000"], "activation_bytes must be a power of two"),
    ],
)
def test_impossible_configurations(capsys, samples, tmp_path, settings, message):
    options = [text for setting in settings for text in ("--set", setting)]
    command = ("compile", LENET, "--target", "systolic", "--calibrate", samples, "-o", tmp_path / "b", *options)
    status, _, err = run(capsys, *command)
    assert status == 2
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_scratchpad_too_small_for_one_tile_says_the_least(samples):
    small = {"weight_bytes": 1024, "columns": 64, "rows": 32}
    with pytest.raises(ConfigError, match=r"weight_bytes must be at least 2048 for layer '.*', not 1024"):
        gatewright.compile(LENET, config=small, samples=np.load(samples))


def test_a_program_for_another_configuration_is_refused(build, samples):
    other = gatewright.compile(LENET, config={"queue_depth": 4}, samples=np.load(samples))
    with simulate(build) as bus, pytest.raises(ProgramError, match="compiled for another configuration of systolic"):
        Driver(bus, registers_of(build.target.register_map_for(build.config, build.program)), other.program)


def test_a_bus_error_stops_the_machine_which_then_runs_again(build):
    (x,) = build.program.encode(random_inputs(build.graph.input_ports, 0))
    expected = only(build.target.run(build.program, [x]))
    with simulate(build) as good:
        base = good.base
    with simulate(build, MemoryOptions(errors=(ErrorRange(base + 4096, 64),))) as bus:
        driver = Driver(bus, registers_of(build.target.register_map_for(build.config, build.program)), build.program)
        with pytest.raises(MachineFault, match=r"stopped: read bus error .* at address 0x"):
            driver.run([x])
        driver.reset()
        assert bus.outstanding == 0
    with simulate(build) as bus:
        driver = Driver(bus, registers_of(build.target.register_map_for(build.config, build.program)), build.program)
        np.testing.assert_array_equal(only(driver.run([x])), expected)
        np.testing.assert_array_equal(only(driver.run([x])), expected)


def test_an_illegal_instruction_is_named(build):
    (x,) = build.program.encode(random_inputs(build.graph.input_ports, 0))
    with simulate(build) as bus:
        driver = Driver(bus, registers_of(build.target.register_map_for(build.config, build.program)), build.program)
        driver.load()
        driver.write_inputs([x])
        bus.memory[3 * 32 : 4 * 32] = 0
        driver.start()
        with pytest.raises(MachineFault, match=r"stopped: illegal instruction \(code 1\) at instruction 3 of"):
            driver.wait()
        np.testing.assert_array_equal(only(driver.run([x])), only(build.target.run(build.program, [x])))


def test_a_run_without_progress_names_the_oldest_waiting_instruction(build):
    """An instruction that waits for a token which nobody gives."""
    (x,) = build.program.encode(random_inputs(build.graph.input_ports, 0))
    with simulate(build) as bus:
        driver = Driver(bus, registers_of(build.target.register_map_for(build.config, build.program)), build.program)
        driver.load()
        driver.write_inputs([x])
        bus.memory[0] |= 0b100 << 4  # header: opcode 4 bits, then `wait`; bit 2 is the store queue
        driver.start()
        with pytest.raises(MachineFault) as caught:
            driver.wait()
        assert "makes no progress: status busy" in str(caught.value)
        assert "oldest waiting: instruction 0 at the head of the" in str(caught.value)
        assert "waits for a token from store" in str(caught.value)


def only(result: Result) -> np.ndarray:
    """The output of a network with one."""
    (output,) = result.outputs.values()
    return output


def simulate(build, options: MemoryOptions | None = None) -> SimulatedBus:
    return SimulatedBus(
        build.verilog,
        build.target.top,
        memory_bytes=memory_size(build.program),
        data_width=build.target.data_width(build.config),
        options=options or MemoryOptions.named("default"),
    )


def test_multipliers_that_are_not_exact_are_a_warning(shared_models, capsys, tmp_path):
    model = shared_models / "qonnx" / "kwsmlp_w3a3.onnx"
    small = {"rows": 4, "columns": 4, "result_width": 16, "multiplier_width": 8}
    given = [text for name, value in small.items() for text in ("--set", f"{name}={value}")]
    status, _, err = run(capsys, "compile", model, "--target", "systolic", *given, "-o", tmp_path / "b")
    assert status == 0
    for line in (
        "warning: 41: 234 of 256 channels take the nearest multipliers of 8 bits, a step off at sums near a threshold; "
        "15 bits would be exact (multiplier_width)\n",
        "warning: 54: 180 of 256 channels ",
    ):
        assert line in err
    build = gatewright.compile(model, "systolic", small | {"multiplier_width": 15})
    assert build.warnings == ()
