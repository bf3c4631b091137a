"""Build folders: whole or not at all, and enough to run from."""

import json
import shutil
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from fake_target import FakeTarget, install, small_graph

from gatewright.compile import compile as compile_model
from gatewright.emit import emit, load_build, read_report, write_report
from gatewright.errors import GatewrightError, ProgramError
from gatewright.host import Registers


@pytest.fixture
def build(monkeypatch):
    install(monkeypatch)
    return compile_model(small_graph(), "fake", {"lanes": 2})


def test_the_folder_holds_what_the_design_names(build, tmp_path):
    folder = emit(build, tmp_path / "out" / "small")
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert {
        "rtl/gatewright_fake.v",
        "program.json",
        "program.bin",
        "graph.txt",
        "constants.npz",
        "manifest.json",
        "report.json",
        "driver/gatewright.h",
        "driver/gatewright.c",
        "driver/gatewright_registers.h",
        "driver/gatewright_program.h",
        "driver/registers.json",
        "driver/python/gatewright/host/driver.py",
    } <= names
    assert not any("__pycache__" in name for name in names)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small"]


def test_a_folder_gives_the_build_back(build, tmp_path):
    loaded = load_build(emit(build, tmp_path / "b"))
    assert loaded.program == build.program
    assert str(loaded.graph) == str(build.graph)
    assert loaded.config == build.config
    assert loaded.verilog == build.verilog


def test_equal_builds_give_equal_folders(build, tmp_path):
    one, two = emit(build, tmp_path / "one"), emit(build, tmp_path / "two")
    for path in one.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path


def test_the_manifest_says_what_goes_in_and_what_stays_on_the_host(build, tmp_path):
    manifest = json.loads((emit(build, tmp_path / "b") / "manifest.json").read_text())
    assert manifest["inputs"][0]["type"] == "uint8"
    assert manifest["inputs"][0]["integers"] == "u8[1,4]"
    assert [step["kind"] for step in manifest["outputs"][0]["host_steps"]] == ["dequantize", "softmax"]
    assert manifest["config_digest"] == FakeTarget().digest(build.config)
    assert set(manifest["files"]) >= {"rtl/gatewright_fake.v", "program.bin", "driver/gatewright.c"}
    assert str(tmp_path) not in json.dumps(manifest)


def test_an_earlier_build_is_replaced_and_anything_else_is_not(build, tmp_path):
    folder = emit(build, tmp_path / "b")
    (folder / "left-over").write_text("x")
    assert not (emit(build, folder) / "left-over").exists()
    other = tmp_path / "other"
    other.mkdir()
    emit(build, other)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    with pytest.raises(GatewrightError, match="must be new, empty, or an earlier build folder"):
        emit(build, precious)
    assert [path.name for path in precious.iterdir()] == ["thesis.tex"]


def test_nothing_is_half_written(build, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(import_module("gatewright.emit"), "_write_driver", full)
    with pytest.raises(OSError, match="disk full"):
        emit(build, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["manifest.json", "program.bin", "graph.txt", "constants.npz"])
def test_an_incomplete_folder_is_refused(build, tmp_path, missing):
    folder = emit(build, tmp_path / "b")
    (folder / missing).unlink()
    with pytest.raises(ProgramError):
        load_build(folder)


def test_a_damaged_graph_is_refused(build, tmp_path):
    folder = emit(build, tmp_path / "b")
    (folder / "constants.npz").write_bytes(b"PK")
    with pytest.raises(GatewrightError):
        load_build(folder)


def test_reports_are_replaced_whole(build, tmp_path):
    folder = emit(build, tmp_path / "b")
    write_report(folder, {"cycles": 3})
    assert read_report(folder) == {"cycles": 3}
    with pytest.raises(ProgramError, match="Cannot read the report"):
        read_report(tmp_path)


def test_the_board_driver_needs_numpy_alone(build, tmp_path):
    """The copy in the build folder, in an interpreter in which only NumPy can be imported beside it."""
    folder = emit(build, tmp_path / "b") / "driver"
    script = f"""
import sys
sys.path.insert(0, {str(folder / "python")!r})
class Only:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"amaranth", "onnx", "onnxruntime", "rich", "typer", "onnx_ir"}}:
            raise ImportError(name)
sys.meta_path.insert(0, Only())
from pathlib import Path
import numpy as np
import gatewright
from gatewright.host import Driver, MmapBus, Registers, Window, memory_size
from gatewright.program import Program
assert Path(gatewright.__file__).is_relative_to({str(folder)!r})
program = Program.load({str(folder.parent)!r})
registers = Registers.load(Path({str(folder / "registers.json")!r}))
print(memory_size(program), registers.offset("STATUS"), program.encode(np.zeros((1, 4), np.uint8))[0].tolist())
"""
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=2) == ["12288", "20", "[[-128, -128, -128, -128]]\n"]


def test_the_c_files_compile_together(build, tmp_path):
    folder = emit(build, tmp_path / "b") / "driver"
    (folder / "main.c").write_text(
        '#include "gatewright.h"\n#include "gatewright_program.h"\n'
        "int main(void) { return gw_the_program.input_count == 1 ? 0 : 1; }\n"
    )
    compiler = shutil.which("cc") or "c++"
    sources = ["gatewright.c", "main.c"]
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", *sources, "-o", "main"], cwd=folder, check=True)
    subprocess.run([str(folder / "main")], check=True)


def test_registers_of_the_folder_are_those_of_the_machine(build, tmp_path):
    folder = emit(build, tmp_path / "b") / "driver"
    assert Registers.load(folder / "registers.json").offset("STAMP", 2) == 0x408


def test_the_emitted_program_runs_like_the_built_one(build, tmp_path):
    loaded = load_build(emit(build, tmp_path / "b"))
    x = np.arange(4, dtype=np.uint8)[None]
    (inputs,) = loaded.program.encode(x)
    expected = build.target.run(build.program, [inputs]).outputs
    np.testing.assert_array_equal(loaded.target.run(loaded.program, [inputs]).outputs["scores"], expected["scores"])
