"""The cache of built models, and what is said when a tool is missing or refuses."""

import os
import subprocess
import sys
import time

import pytest

from gatewright.errors import ToolError
from gatewright.sim import Model, verilator
from gatewright.sim.build import build
from gatewright.sim.cache import cache_folder, trim

INVERTER = "module top(input [3:0] a, output [3:0] b);\n  assign b = ~a;\nendmodule\n"


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """A cache of the test's own, but with the runtime already built, which takes long."""
    build(INVERTER, "top")
    shared = cache_folder()
    monkeypatch.setenv("GATEWRIGHT_CACHE", str(tmp_path))
    for runtime in shared.glob("runtime-*"):
        (tmp_path / runtime.name).symlink_to(runtime)
    return tmp_path


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("GATEWRIGHT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gatewright"
    monkeypatch.setenv("GATEWRIGHT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_equal_designs_are_built_once(own_cache):
    first = build(INVERTER, "top")
    stamp = first.library.stat().st_mtime_ns
    assert build(INVERTER, "top") == first
    assert first.library.stat().st_mtime_ns == stamp
    assert build(INVERTER.replace("~", ""), "top").library != first.library
    assert build(INVERTER, "top", trace=True).library != first.library


def test_processes_that_ask_at_once_build_once(own_cache):
    program = (
        "import sys; from gatewright.sim import build as module; from pathlib import Path\n"
        "compile = module.run_compiler\n"
        "module.run_compiler = lambda *given: (print('compiles'), compile(*given))\n"
        "print(module.build(Path(sys.argv[1]).read_text(), 'top').library.name)\n"
    )
    design = own_cache / "design.v"
    design.write_text(INVERTER)
    command = [sys.executable, "-c", program, str(design)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in running]
    assert sorted(said) == [["compiles", "compiles", "model.so"], ["model.so"]]
    assert not list(own_cache.glob("build-*"))


def test_old_models_are_removed_beyond_a_count(tmp_path):
    for index in range(5):
        (tmp_path / str(index)).mkdir()
        age = time.time() - (5 - index) * 100_000
        os.utime(tmp_path / str(index), (age, age))
    (tmp_path / "new").mkdir()
    trim(tmp_path, keep=2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["4", "new"]


def test_recent_models_are_spared(tmp_path):
    for index in range(5):
        (tmp_path / str(index)).mkdir()
    trim(tmp_path, keep=2)
    assert len(list(tmp_path.iterdir())) == 5


def test_missing_compiler_is_told_with_advice(own_cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    verilator.compiler.cache_clear()
    verilator.compiler_version.cache_clear()
    with pytest.raises(
        ToolError, match=r"C\+\+20 compiler, and neither g\+\+ nor clang\+\+ is on the path; install one"
    ):
        build(INVERTER, "top")
    verilator.compiler.cache_clear()


def test_refused_verilog_is_told(own_cache):
    with pytest.raises(ToolError, match=r"(?s)Verilator refuses the design:.*syntax error"):
        build("module top(;", "top")


def test_ports_are_read_from_the_design():
    built = build("module top(input [299:0] a__b, output [2:0] c, input clk); assign c = a__b[2:0]; endmodule", "top")
    ports = {port.name: (port.is_input, port.width, port.bytes) for port in built.ports}
    assert ports == {"a__b": (True, 300, 40), "clk": (True, 1, 1), "c": (False, 3, 1)}
    with Model(built) as model:
        model.set("a__b", 5)
        assert model.get("c") == 5
