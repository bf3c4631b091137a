"""From PyTorch to RTL."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "generated" / "from_torch.py"


@pytest.mark.slow
def test_a_network_of_pytorch_runs_in_rtl(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT)], text=True, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"RTL: [\d,]+ cycles, the same outputs", done.stdout)
