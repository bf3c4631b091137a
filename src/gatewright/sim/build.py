"""Verilog to a shared library: Verilator, one C++ file, and a cache that parallel processes share."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from gatewright.hdl.pins import Pins
from gatewright.locks import file_lock
from gatewright.sim.cache import cache_folder, trim
from gatewright.sim.verilator import (
    compiler_version,
    include_folder,
    run_compiler,
    run_verilator,
    verilator_version,
)

__all__ = ["BuiltModel", "Port", "build", "pin_defines"]

_FORMAT = 1
_PREFIX = "Vtop"
# Noise instead of zeroes in whatever the design does not initialise: memories, and results that do not matter.
_NOISE = ("--x-initial", "unique", "--x-assign", "unique")
_VERILATOR = ("-O3", *_NOISE, "--assert", "-Wno-fatal", "-Wno-lint", "-Wno-style")
# -O2 takes twice as long as -O1 to compile a machine, and what comes out is no faster.
_COMPILER = ("-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-DVL_USER_STOP", "-DVL_USER_FATAL", "-w")
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp", "verilated_vcd_c.cpp")
_PRELUDE = "prelude.h"
_PRELUDE_INCLUDES = ("verilated.h", "cstring", "string", "vector")
_PORT = re.compile(r"VL_(IN|OUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)(?:,\d+)?\);")


@dataclass(frozen=True)
class Port:
    """A port of the top module; `bytes` is the size of the C++ variable that holds it."""

    name: str
    is_input: bool
    width: int

    @property
    def bytes(self) -> int:
        return next((size for size in (1, 2, 4, 8) if self.width <= 8 * size), -(-self.width // 32) * 4)


@dataclass(frozen=True)
class BuiltModel:
    """A shared library with the C interface of the harness sources it was built with, and its design's ports."""

    library: Path
    ports: tuple[Port, ...]


@dataclass(frozen=True)
class _Recipe:
    """Everything a model is made from; equal recipes give the same model."""

    verilog: str
    top: str
    harness: tuple[str, ...]
    defines: tuple[str, ...]
    trace: bool

    @property
    def key(self) -> str:
        surroundings = [_FORMAT, verilator_version(), compiler_version(), _VERILATOR, _COMPILER, _native_sources()]
        text = json.dumps([surroundings, asdict(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def build(
    verilog: str,
    top: str,
    harness: Sequence[str] = (),
    *,
    defines: Sequence[str] = (),
    trace: bool = False,
    check: Callable[[Sequence[Port]], None] = lambda ports: None,
) -> BuiltModel:
    """Build the module `top` of a Verilog text, with the named sources of the harness, or find it in the cache.

    Two processes that ask for the same model at once build it once. `trace` adds the code that writes a VCD file.
    `check` may raise an error about ports that the harness needs, before the compiler stumbles over them.
    """
    recipe = _Recipe(verilog, top, tuple(harness), tuple(defines), trace)
    home = cache_folder()
    model = home / "models" / recipe.key
    if not model.exists():
        with file_lock(home / "locks" / recipe.key):
            if not model.exists():
                with tempfile.TemporaryDirectory(prefix="build-", dir=home) as folder:
                    _build_in(Path(folder), recipe, _runtime(home), check)
                    model.parent.mkdir(exist_ok=True)
                    os.replace(Path(folder, "model"), model)
                _tidy(home)
    os.utime(model)
    ports = json.loads((model / "ports.json").read_text())
    return BuiltModel(model / "model.so", tuple(Port(**port) for port in ports))


def pin_defines(pins: Pins | None) -> tuple[str, ...]:
    """What tells the harness the names of a design's pins; none are those of `Pins()`."""
    if pins is None or pins == Pins():
        return ()
    return (
        f"GW_CLOCK={pins.clock}",
        f"GW_RESET={pins.reset}",
        f"GW_RESET_LEVEL={int(not pins.reset_active_low)}",
        f"GW_INTERRUPT={pins.interrupt or 'no_interrupt'}",
        f"GW_MASTER={pins.master}",
        f"GW_SLAVE={pins.slave}",
    )


def _tidy(home: Path) -> None:
    trim(home / "models")
    trim(home, keep=2, pattern="runtime-*")
    trim(home, keep=0, pattern="build-*")  # of processes that were killed


def _native_sources() -> dict[str, str]:
    folder = files("gatewright.sim").joinpath("native")
    return {entry.name: entry.read_text() for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)}


def _build_in(folder: Path, recipe: _Recipe, runtime: Path, check: Callable[[Sequence[Port]], None]) -> None:
    (folder / "design.v").write_text(recipe.verilog)
    command = ["--cc", "design.v", "--top-module", recipe.top, "--Mdir", "obj", "--prefix", _PREFIX, *_VERILATOR]
    run_verilator([*command, *(["--trace"] if recipe.trace else [])], folder)
    ports = _read_ports((folder / "obj" / f"{_PREFIX}.h").read_text())
    check(ports)
    (folder / "ports.inc").write_text("".join(f"GW_PORT({port.name.replace('__', '___05F')})\n" for port in ports))
    for name, text in _native_sources().items():
        (folder / name).write_text(text)
    # One file that includes all: each on its own would parse Verilator's headers again.
    generated = sorted(f"obj/{path.name}" for path in (folder / "obj").glob("*.cpp"))
    included = ["noise.h", *generated, "model.cpp", *recipe.harness]
    (folder / "unity.cpp").write_text("".join(f'#include "{name}"\n' for name in included))
    defines = [f"-D{define}" for define in (*recipe.defines, *(["GW_TRACE"] if recipe.trace else []))]
    include = ["-include", str(runtime / _PRELUDE), "-I.", "-Iobj", *_includes()]
    run_compiler([*_COMPILER, *defines, *include, "-c", "unity.cpp", "-o", "unity.o"], folder)
    objects = [str(runtime / name.replace(".cpp", ".o")) for name in _RUNTIME if recipe.trace or "vcd" not in name]
    (folder / "model").mkdir()
    run_compiler(["-shared", "unity.o", *objects, "-pthread", "-o", "model/model.so"], folder)
    (folder / "model" / "ports.json").write_text(json.dumps([asdict(port) for port in ports]))


def _read_ports(header: str) -> tuple[Port, ...]:
    ports = []
    for direction, name, high, low in _PORT.findall(header):
        ports.append(Port(name.replace("___05F", "__"), direction == "IN", int(high) - int(low) + 1))
    return tuple(ports)


def _includes() -> list[str]:
    return [f"-I{include_folder()}", f"-I{include_folder() / 'vltstd'}"]


def _runtime(home: Path) -> Path:
    """Return the folder of what every model links with and includes, built once a machine: it takes some 15 s."""
    text = json.dumps([_FORMAT, verilator_version(), compiler_version(), _COMPILER])
    runtime = home / f"runtime-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not runtime.exists():
        with file_lock(home / "locks" / runtime.name):
            if not runtime.exists():
                with tempfile.TemporaryDirectory(prefix="build-", dir=home) as folder:
                    _build_runtime_in(Path(folder, "runtime"))
                    os.replace(Path(folder, "runtime"), runtime)
    os.utime(runtime)
    return runtime


def _build_runtime_in(folder: Path) -> None:
    folder.mkdir()
    for name in _RUNTIME:
        source = str(include_folder() / name)
        run_compiler([*_COMPILER, *_includes(), "-c", source, "-o", name.replace(".cpp", ".o")], folder)
    # Precompiled, since parsing it takes longer than compiling a small design.
    (folder / _PRELUDE).write_text("".join(f"#include <{name}>\n" for name in _PRELUDE_INCLUDES))
    run_compiler([*_COMPILER, *_includes(), "-x", "c++-header", _PRELUDE, "-o", f"{_PRELUDE}.gch"], folder)
