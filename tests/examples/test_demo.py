"""`make demo`, on a few images."""

import re
import subprocess
import sys
from pathlib import Path

from gatewright.emit import read_report

DEMO = Path(__file__).parents[2] / "examples" / "lenet5" / "demo.py"


def test_the_demo_runs(tmp_path):
    command = [sys.executable, str(DEMO), "--images", "6", "-o", str(tmp_path / "b")]
    done = subprocess.run(command, text=True, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {name: re.search(rf"{name}\W+([\d ]+)\.\.\.", done.stdout) for name in ("predicted", "labels")}
    assert all(len(match[1].split()) == 6 for match in found.values() if match)
    assert len(re.findall(r"(?:float network|quantised network|hardware \(RTL\)) +\d+\.\d\d%", done.stdout)) == 3
    assert re.search(r"engines agree +bit for bit", done.stdout)
    report = read_report(tmp_path / "b")
    assert report["equal"] is True
    assert report["cycles"]["rtl"] > 0
    assert all(layer["cycles"] for layer in report["layers"])
