"""The pipeline, and nothing else: from a model to a program for one machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from gatewright.build import Build
from gatewright.errors import ModelError
from gatewright.frontends.onnx import import_onnx, is_quantised, load_model
from gatewright.ir import Graph, verify
from gatewright.passes import PASSES
from gatewright.quantize import QuantiseOptions, Samples, quantise
from gatewright.targets import Target, get_target

__all__ = ["Model", "compile", "load"]

Model = str | Path | onnx.ModelProto | Graph
"""A file, an ONNX model, or a graph that exists already."""


def compile(
    model: Model,
    target: str | Target[Any] = "systolic",
    config: Mapping[str, object] | None = None,
    samples: Samples | None = None,
    options: QuantiseOptions | None = None,
    batch: int = 1,
) -> Build:
    """Compile a model for a machine: load, every pass, check what the machine supports, lower.

    `config` are the machine's parameters that differ from their defaults. A model in floating point is quantised with
    `options`, calibrated on `samples`.
    """
    machine = get_target(target) if isinstance(target, str) else target
    configuration = machine.parse_config(config or {})
    source = _open(model)
    imported = load(source, samples, options, batch)
    graph = imported
    for transform in (*PASSES, *machine.passes):
        graph = verify(transform(graph))
    machine.check(graph, configuration)
    program = machine.lower(graph, configuration)
    reference = None if isinstance(source, Graph) else source
    quantised_here = reference is not None and not is_quantised(reference)
    return Build(imported, program, machine, configuration, reference, quantised_here)


def load(model: Model, samples: Samples | None = None, options: QuantiseOptions | None = None, batch: int = 1) -> Graph:
    """The integer graph of a model; one in floating point is quantised, for which it takes `samples`."""
    source = _open(model)
    if isinstance(source, Graph):
        return verify(source)
    if is_quantised(source):
        if samples is not None or options is not None:
            raise ModelError(
                "the model is quantised already: calibration samples and quantisation options do not apply"
            )
        return import_onnx(source, batch)
    graph, _ = quantise(source, samples, options)
    return graph


def _open(model: Model) -> onnx.ModelProto | Graph:
    return load_model(Path(model)) if isinstance(model, str | Path) else model
