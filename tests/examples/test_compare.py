"""The comparison of widths: fewer bits are faster, and what may be lost is kept on images that no choice saw."""

import re
import subprocess
import sys
from pathlib import Path

COMPARE = Path(__file__).parents[2] / "examples" / "lenet5_keras" / "compare.py"


def test_the_comparison_runs(tmp_path):
    done = subprocess.run([sys.executable, str(COMPARE)], text=True, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^([\w%]+) +accuracy ([\d.]+)%(?: +([\d,]+) cycles)?$", done.stdout, re.MULTILINE)
    accuracy = {name: float(share) for name, share, _ in found}
    cycles = {name: int(count.replace(",", "")) for name, _, count in found if count}
    assert list(accuracy) == ["float", "a8w8", "a6w6", "a4w4", "a2w2", "1%", "3%"]
    assert accuracy["float"] > 98
    for loss in (1, 3):
        assert accuracy["float"] - accuracy[f"{loss}%"] <= loss
    assert cycles["a8w8"] > cycles["a6w6"] > cycles["a4w4"] > cycles["a2w2"]
    assert cycles["3%"] < cycles["a4w4"]
    assert cycles["3%"] < cycles["1%"] < cycles["a6w6"]
