"""docs/simulation.md: its examples run, and it names every memory there is."""

import re
from pathlib import Path

import pytest

from gatewright.sim import MEMORIES

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_example_runs(example):
    exec(compile(example, str(PAGE), "exec"), {"__name__": "__example__"})


def test_every_memory_is_described():
    assert re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE) == list(MEMORIES)
