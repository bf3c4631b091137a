"""The manifest of a build folder: what it was made from, what goes in and comes out, and every file with its hash."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gatewright.build import Build
from gatewright.ir import Port

__all__ = ["build_manifest"]


def build_manifest(build: Build, folder: Path) -> dict[str, Any]:
    """The contents of `manifest.json` for a folder that holds everything else already."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "gatewright": version("gatewright"),
        "model": build.program.name,
        "target": build.program.target,
        "config": dict(build.program.config),
        "config_digest": build.program.config_digest,
        "top": build.target.top_module(build.config),
        "inputs": [_describe(port) for port in build.graph.input_ports],
        "outputs": [_describe(port) for port in build.graph.output_ports],
        "files": {str(path.relative_to(folder)): _hash(path) for path in files},
    }


def _describe(port: Port) -> dict[str, Any]:
    """One end of the network; `host_steps` are what the host does after the machine, or before it quantises."""
    return {
        "name": port.name,
        "type": port.model_dtype,
        "shape": list(port.concrete_shape),
        "integers": str(port.graph_type),
        "scale": port.scale,
        "zero_point": port.zero_point,
        "host_steps": [step.to_json() for step in (*port.head, *port.tail)],
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
