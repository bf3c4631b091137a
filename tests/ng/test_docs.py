"""The page is true, and the example runs."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_page_run():
    result = doctest.testfile(str(ROOT / "docs" / "ng.md"), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_hello(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "ng" / "hello.py"), "-o", str(tmp_path / "image.bin")]
    done = subprocess.run(command, text=True, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = re.search(r"^scores +([-\d ]+)$", done.stdout, re.MULTILINE)[1].split()
    assert len(scores) == 10
    found, exact = re.search(r"^class +(\d) in floating point (\d)$", done.stdout, re.MULTILINE).groups()
    assert found == exact
    assert float(re.search(r"([\d.]+) dB", done.stdout)[1]) > 25
    assert np.fromfile(tmp_path / "image.bin", np.uint8).size == 4238080
    assert "[64-4159] placeholder placeholder 'image'" in done.stdout
    assert "[43968-4238271] parameter variable 'hidden_weights'" in done.stdout
