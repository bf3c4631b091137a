"""The examples of the generated machine: small networks to RTL, large ones in a small size."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gatewright

FOLDER = Path(__file__).parents[2] / "examples" / "generated"


@pytest.fixture
def examples(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_mlp_runs_in_rtl(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "mlp.py")], text=True, capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"RTL: [\d,]+ cycles, the same outputs", done.stdout)
    assert re.search(r"total +101,632 +25,408", done.stdout)


@pytest.mark.slow
def test_cnn_runs_in_rtl(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "cnn.py")], text=True, capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"RTL: [\d,]+ cycles, the same outputs", done.stdout)


@pytest.mark.parametrize(
    ("name", "size", "rest", "macs"),
    [("resnet18", 32, {}, 37_016_576), ("vgg11", 32, {"features": 64}, 152_801_920)],
)
def test_large_networks_in_a_small_size(examples, capsys, name, size, rest, macs):
    """The model computes what the integer network means; layers are reported, and their cycles sum to the total."""
    module = examples(name)
    image = module.samples(1, size)
    build = gatewright.compile(module.network(size, 10, **rest), "generated", {"multipliers": 144}, samples=image)
    assert build.program.macs == macs
    found, meant = (gatewright.run(build, image, engine) for engine in ("model", "evaluate"))
    for title, values in meant.outputs.items():
        np.testing.assert_array_equal(found.outputs[title], values)
    examples("report").print_cycles(build, image)
    cycles = [int(line.split()[-1].replace(",", "")) for line in capsys.readouterr().out.splitlines()[2:-1]]
    assert sum(cycles) == found.cycles
    assert len(cycles) == len(build.program.layers)
