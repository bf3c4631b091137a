"""The pipeline, and nothing else: from a model to a program for one machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from gatewright.build import Build
from gatewright.errors import ModelError
from gatewright.frontends.models import read_model
from gatewright.frontends.onnx import ImportOptions, import_onnx, is_quantised, standard_form
from gatewright.ir import Graph, verify
from gatewright.passes import PASSES, run_passes
from gatewright.quantize import QuantisationReport, QuantiseOptions, Samples, WidthChoice, quantise_model
from gatewright.targets import Target, get_target

__all__ = ["Model", "compile", "load"]

Model = str | Path | onnx.ModelProto | Graph
"""A file, an ONNX model, or a graph that exists already."""


def compile(
    model: Model,
    target: str | Target[Any] = "systolic",
    config: Mapping[str, object] | None = None,
    samples: Samples | None = None,
    options: QuantiseOptions | WidthChoice | None = None,
    batch: int | None = None,
) -> Build:
    """Compile a model for a machine: read, quantise if need be, import, every pass, check, lower.

    `config` are the machine's parameters that differ from their defaults; some of the others may be chosen for the
    network. A model in floating point is quantised with `options`, calibrated on `samples`; with a choice of widths, on
    those samples that the choice calibrated on. `batch` is for models that leave their first dimension open.
    """
    machine = get_target(target) if isinstance(target, str) else target
    configuration = machine.parse_config(config or {})
    choice = None
    if isinstance(options, WidthChoice):
        choice, options = options, options.options
        samples = None if samples is None else choice.calibration(samples)
    source, quantisation = _read(model, samples, options, batch)
    importing = ImportOptions(batch, machine.multiplier_bits(configuration), rounding=None, exact=False)
    notes: list[str] = []
    imported = _import(model, source, importing, notes)
    graph = run_passes(imported, (*PASSES, *machine.passes))
    configuration = machine.fitted(graph, configuration, (config or {}).keys())
    machine.check(graph, configuration)
    program = machine.lower(graph, configuration)
    reference = None if isinstance(source, Graph) else standard_form(source, batch)
    return Build(
        imported, program, machine, machine.config_of(program), reference, quantisation, choice, warnings=tuple(notes)
    )


def load(model: Model, batch: int | None = None) -> Graph:
    """The integer graph of a quantised model, as it is imported, before any pass."""
    source, _ = _read(model, None, None, batch)
    return _import(model, source, ImportOptions(batch, rounding=None), [])


def _read(
    model: Model, samples: Samples | None, options: QuantiseOptions | None, batch: int | None
) -> tuple[onnx.ModelProto | Graph, QuantisationReport | None]:
    """The quantised model or graph, and what quantisation did if it was floating point before."""
    if isinstance(model, Graph):
        return verify(model), None
    source = model if isinstance(model, onnx.ModelProto) else read_model(model)
    if not is_quantised(source):
        return quantise_model(source, samples, options, batch)
    if samples is not None or options is not None:
        raise ModelError("the model is quantised already: calibration samples and quantisation options do not apply")
    return source, None


def _import(model: Model, source: onnx.ModelProto | Graph, importing: ImportOptions, notes: list[str]) -> Graph:
    """The graph, named after its file where there is one: what exporters call a graph says little."""
    graph = source if isinstance(source, Graph) else import_onnx(source, options=importing, notes=notes)
    return replace(graph, name=Path(model).stem) if isinstance(model, str | Path) else graph
