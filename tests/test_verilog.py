"""The cache of emitted machines: used when nothing changed, and only then."""

import re
from pathlib import Path

import pytest
from fake_target import FakeConfig, FakeTarget

from gatewright import verilog
from gatewright.verilog import machine_verilog


class Counted(FakeTarget):
    """A machine that passes for one of the package, and counts how often it is emitted."""

    def __init__(self) -> None:
        self.emitted = 0

    def hardware(self, config: FakeConfig) -> str:
        self.emitted += 1
        return super().hardware(config)


Counted.__module__ = "gatewright.targets.counted"


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWRIGHT_CACHE", str(tmp_path))


def test_an_unchanged_machine_is_emitted_once():
    machine = Counted()
    texts = {machine_verilog(machine, FakeConfig()) for _ in range(3)}
    assert texts == {FakeTarget().hardware(FakeConfig())}
    assert machine.emitted == 1


def test_each_configuration_is_a_machine_of_its_own():
    machine = Counted()
    assert machine_verilog(machine, FakeConfig(3)) != machine_verilog(machine, FakeConfig(4))
    assert machine.emitted == 2


@pytest.mark.parametrize("changed", ["_sources", "version"])
def test_new_sources_and_new_tools_make_new_machines(monkeypatch, changed):
    machine = Counted()
    machine_verilog(machine, FakeConfig())
    monkeypatch.setattr(verilog, changed, lambda *_: "changed")
    machine_verilog(machine, FakeConfig())
    assert machine.emitted == 2


def test_machines_from_outside_are_not_kept(tmp_path):
    machine_verilog(FakeTarget(), FakeConfig())
    assert list(tmp_path.iterdir()) == []


def test_machines_are_made_from_the_sources_that_count():
    """Whatever targets import, at any depth, is part of the key."""
    package = Path(verilog.__file__).parent
    for name in verilog._SOURCES:
        paths = (package / name).rglob("*.py") if (package / name).is_dir() else [package / name]
        for path in paths:
            found = re.findall(r"(?m)^ *(?:from|import) gatewright\.(\w+)", path.read_text())
            assert {f"{one}.py" if (package / f"{one}.py").exists() else one for one in found} <= set(verilog._SOURCES)
