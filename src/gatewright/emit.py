"""Build folders: everything that a compilation made, as files, and back."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from gatewright import ir
from gatewright.build import Build
from gatewright.errors import GatewrightError, ProgramError, file_reason, reason
from gatewright.host.export import c_header, c_program, registers_of
from gatewright.ipxact import IpCore, write_ipxact
from gatewright.program import Program
from gatewright.report import build_manifest, report_figures, synthesis_log

__all__ = ["emit", "load_build", "read_report", "write_report"]

MANIFEST = "manifest.json"
_BOARD_MODULES = ("errors.py", "program.py", "ir", "host")
_C_RUNTIME = ("gatewright.c", "gatewright.h")


def emit(build: Build, folder: Path | str, report: Mapping[str, Any] | None = None) -> Path:
    """Write a build folder: RTL, program, graph, driver, report and manifest. Returns its path.

    The folder appears whole or not at all. An earlier build folder of this name is replaced.

    Raises
    ------
    GatewrightError
        If the folder exists and holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MANIFEST).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GatewrightError(f"{folder} must be new, empty, or an earlier build folder; it holds something else")
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gatewright-", dir=folder.absolute().parent) as parent:
        fresh = Path(parent, "build")
        fresh.mkdir()
        _write(build, fresh, report or report_figures(build))
        if folder.exists():
            os.replace(folder, Path(parent, "earlier"))
        os.replace(fresh, folder)
    return folder


def load_build(folder: Path | str) -> Build:
    """The build that `emit` wrote; it needs neither model nor compiler.

    Raises
    ------
    ProgramError
        If the folder is not a build folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise ProgramError(f"{folder} must be a build folder, but it has no {MANIFEST}")
    program = Program.load(folder)
    try:
        graph = ir.load(folder)
        verilog = "".join(path.read_text() for path in sorted((folder / "rtl").glob("*.v")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ProgramError(f"Cannot read the build folder {folder}: {file_reason(error)}") from None
    return Build.of(graph, program, emitted=verilog)


def read_report(folder: Path | str) -> Mapping[str, Any]:
    """The contents of a build folder's `report.json`."""
    path = Path(folder) / "report.json"
    try:
        report: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ProgramError(f"Cannot read the report {path}: {reason(error)}") from None
    return report


def write_report(folder: Path | str, report: Mapping[str, Any]) -> None:
    """Replace a build folder's `report.json`."""
    _write_json(Path(folder) / "report.json", report)


def _write(build: Build, folder: Path, report: Mapping[str, Any]) -> None:
    (folder / "rtl").mkdir()
    (folder / "rtl" / f"{build.target.top_module(build.config)}.v").write_text(build.verilog)
    build.program.save(folder)
    ir.save(build.graph, folder)
    if build.quantisation is not None:
        build.quantisation.save(folder / "quantisation.json")
    _write_driver(build, folder / "driver")
    synthesis_log(build).save(folder / "synthesis.log")
    _write_ipxact(build, folder / "ipxact")
    _write_json(folder / MANIFEST, build_manifest(build, folder))
    _write_json(folder / "report.json", report)


def _write_driver(build: Build, folder: Path) -> None:
    """The C runtime with its two headers of numbers, and the Python driver with all that it imports."""
    registers = build.target.register_map_for(build.config, build.program)
    folder.mkdir()
    (folder / "gatewright_registers.h").write_text(c_header(registers))
    (folder / "gatewright_program.h").write_text(c_program(build.program))
    registers_of(registers).save(folder / "registers.json")
    package = folder / "python" / "gatewright"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""The part of Gatewright that drives a machine; it needs NumPy alone."""\n')
    with as_file(files("gatewright")) as source:
        for name in _C_RUNTIME:
            shutil.copyfile(source / "host" / "native" / name, folder / name)
        for name in _BOARD_MODULES:
            _copy(source / name, package / name)


def _write_ipxact(build: Build, folder: Path) -> None:
    """The machine as a package that tools import, if it is hardware."""
    pins = build.target.pins(build.config)
    if pins is not None:
        text = f"{build.program.name} on {build.target.summary}"
        registers = build.target.register_map_for(build.config, build.program)
        top = build.target.top_module(build.config)
        write_ipxact(IpCore(top, top, build.verilog, registers, pins, text), folder)


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__", "native", "export.py"))
    else:
        shutil.copyfile(source, destination)


def _write_json(path: Path, contents: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(contents, indent=2) + "\n")
    os.replace(partial, path)
