"""Verification: what counts as a step, and what is worth a warning."""

from importlib import import_module

import numpy as np
import onnx
import pytest
from fake_target import FakeSimulatedBus, install, small_graph

import gatewright
from gatewright.errors import ConfigError
from gatewright.ir import I8, HostStep, Port, TensorType

SHAPE = (2, 4)


@pytest.fixture
def build(monkeypatch):
    install(monkeypatch)
    return gatewright.compile(small_graph(), "fake")


def compare(monkeypatch, port: Port, ours: np.ndarray, theirs: np.ndarray) -> "gatewright.verify.Reference":
    """The comparison with a reference that gives `theirs`, for a build that gives the integers `ours`."""
    module = import_module("gatewright.verify")
    monkeypatch.setattr(module, "run_reference", lambda model, inputs: {"y": theirs})
    monkeypatch.setattr(module, "decode_outputs", lambda build, result: {"y": port.decode(ours)})

    class One:
        model = onnx.ModelProto()
        graph = type("Graph", (), {"input_ports": (), "output_ports": (port,)})

    return module._compare_reference(One(), [{}], [None])


def port(dtype="int8", tail=(), **more) -> Port:
    return Port("y", dtype, SHAPE, None, 0.5, tail=tail, type=TensorType(SHAPE, I8), **more)


X = np.array([[1, 2, 3, 4], [4, 3, 2, 1]])


def test_integers_differ_by_steps(monkeypatch):
    theirs = X.astype(np.int8)
    theirs[1] = [4, 3, 2, 5]
    found = compare(monkeypatch, port(), X, theirs)
    assert (found.mismatch_rate, found.max_steps, found.top1_equal) == (1 / 8, 4, 0.5)


def test_floats_are_counted_in_steps_of_their_scale(monkeypatch):
    theirs = (X * 0.5).astype(np.float32) + np.float32(1e-6)
    theirs[0, 0] += 1.5
    found = compare(monkeypatch, port("float32"), X, theirs)
    assert (found.mismatch_rate, found.max_steps) == (1 / 8, 3)


def test_probabilities_are_counted_in_256ths(monkeypatch):
    tail = (HostStep("dequantize", scale=0.5), HostStep("softmax"))
    theirs = port("float32", tail).decode(X)
    theirs[0, 0] += 2 / 256
    found = compare(monkeypatch, port("float32", tail), X, theirs)
    assert (found.mismatch_rate, found.max_steps, found.top1_equal) == (1 / 8, 2, 1.0)


def test_indices_have_no_steps(monkeypatch):
    found = compare(monkeypatch, port("int64", (HostStep("argmax"),)), X, np.array([3, 2]))
    assert (found.mismatch_rate, found.max_steps, found.top1_equal) == (0.5, None, 0.5)


def test_a_graph_without_a_model_has_no_reference(build):
    found = gatewright.verify(build)
    assert found.equal
    assert found.warnings == ()
    assert found.report["reference"] is None


def test_every_batch_is_compared(build, monkeypatch):
    calls = []
    monkeypatch.setattr(FakeSimulatedBus, "interpret", counting(FakeSimulatedBus.interpret, calls))
    assert gatewright.verify(build, options=gatewright.VerifyOptions(count=3)).equal
    x = np.zeros((5, 4), np.uint8)
    assert gatewright.verify(build, x).equal
    assert len(calls) == 3 + 5


def counting(function, calls, wrong=None):
    """Interpret, count, and spoil the result of one run."""

    def counted(self, bus):
        calls.append(bus)
        function(self, bus)
        if len(calls) == wrong:
            self.memory[self.region(2)] ^= 1

    return counted


def test_one_wrong_batch_of_many_is_found(build, monkeypatch):
    monkeypatch.setattr(FakeSimulatedBus, "interpret", counting(FakeSimulatedBus.interpret, [], wrong=7))
    found = gatewright.verify(build, options=gatewright.VerifyOptions(count=8))
    assert not found.equal
    assert found.comparison.max_abs_difference == 1


def test_progress_grows(build):
    seen = []
    gatewright.verify(
        build, options=gatewright.VerifyOptions(2, progress=lambda text, share: seen.append((text, share)))
    )
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert [text for text, _ in seen][:3] == ["evaluate 1/2", "model 1/2", "rtl 1/2"]


def test_a_count_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="count must be at least 1, not 0"):
        gatewright.VerifyOptions(count=0)


def test_an_unknown_engine_is_refused(build):
    with pytest.raises(ConfigError, match="engine must be one of rtl, model, evaluate, not 'fpga'"):
        gatewright.run(build, np.zeros((1, 4), np.uint8), "fpga")


@pytest.mark.parametrize("engine", ["rtl", "model", "evaluate"])
def test_run_gives_outputs_of_the_model(build, engine):
    done = gatewright.run(build, np.full((3, 4), 130, np.uint8), engine)
    assert done.outputs["scores"].shape == (3, 3)
    assert done.outputs["scores"].dtype == np.float32
    np.testing.assert_allclose(done.outputs["scores"].sum(axis=1), 1, rtol=1e-6)
    assert len(done.results) == 3
    assert done.cycles == (None if engine == "evaluate" else 100)
