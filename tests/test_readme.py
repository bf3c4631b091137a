"""What the README shows works, and what it names exists."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import gatewright
from gatewright.targets import MACHINES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 15
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["found"].equal
    assert np.array_equal(names["run"].outputs["scores"].shape, (4, 10))
    assert capsys.readouterr().out.splitlines()[-1].startswith("True 0.")
    assert gatewright.load_build(tmp_path / "build" / "lenet5").program == names["build"].program


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_index():
    docs = ROOT / "docs"
    named = set(re.findall(r"\]\(([^)#]+\.md)\)", (docs / "index.md").read_text()))
    assert {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"index.md"} <= named


def test_the_code_map_is_complete():
    rows = README.split("## Code map")[1]
    named = set(re.findall(r"`([a-z_]+)(?:\.py)?`", rows))
    packages = {path.parent.name for path in (ROOT / "src" / "gatewright").glob("*/__init__.py")}
    assert packages <= named


def test_every_machine_is_in_the_table():
    rows = README.split("## Machines")[1].split("##")[0]
    assert all(f"| `{name}` |" in rows for name in MACHINES)
