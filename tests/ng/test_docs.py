"""The page is true, and the example runs."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_page_run():
    result = doctest.testfile(str(ROOT / "docs" / "ng.md"), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_hello(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "ng" / "hello.py")]
    done = subprocess.run(command, text=True, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = re.search(r"^scores +([-\d ]+)$", done.stdout, re.MULTILINE)[1].split()
    assert len(scores) == 10
    found, exact = re.search(r"^class +(\d) in floating point (\d)$", done.stdout, re.MULTILINE).groups()
    assert found == exact
    assert float(re.search(r"([\d.]+) dB", done.stdout)[1]) > 25
    assert re.search(r"^the Verilog gives +the same scores$", done.stdout, re.MULTILINE)
    assert int(re.search(r"^simulated +(\d+) cycles$", done.stdout, re.MULTILINE)[1]) <= 1_750_000
    assert re.search(r"^multipliers +36$", done.stdout, re.MULTILINE)
    assert re.search(r"^64-4159 +register 140 +placeholder +image ", done.stdout, re.MULTILINE)
    assert (tmp_path / "hello_v1_0" / "component.xml").exists()
