"""ONNX networks as records: the project's one importer and quantiser do the work."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright import ir
from gatewright.errors import ModelError
from gatewright.frontends.onnx import ImportOptions, import_onnx, is_quantised, load_model, normalise
from gatewright.ng.dtypes import dtype_info, int32
from gatewright.ng.errors import ArgumentError
from gatewright.ng.imported import Imported, Records
from gatewright.ng.records import Numeric, Operator
from gatewright.ng.samples import Samples
from gatewright.ng.storage import constant, placeholder, variable
from gatewright.quantize import QuantiseOptions, quantise_model

__all__ = ["Source", "from_onnx", "sources"]

_DEFAULT_BITS = 8
_LAYERS = ("Conv", "Gemm", "MatMul")

Tensors = OrderedDict[str, Numeric]


@dataclass(frozen=True)
class _Widths:
    """The types a script asks for."""

    given: Mapping[str, dtype_info]
    placeholder: dtype_info
    variable: dtype_info
    operator: dtype_info
    scale: dtype_info

    def options(self, model: Any) -> QuantiseOptions:
        """The quantiser's options: symmetric, signed, for each layer the widths of what it reads and of its weights."""
        general = _bits("operators", self.operator), _bits("variables", self.variable)
        inputs = {value.name for value in model.graph.input}
        weights = {tensor.name for tensor in model.graph.initializer}
        layers = {}
        for node in model.graph.node:
            if node.op_type in _LAYERS and node.input[1] in weights:
                x, w = node.input[:2]
                read = self.given.get(x, self.placeholder if x in inputs else self.operator)
                layers[node.name] = _bits(x, read), _bits(w, self.given.get(w, self.variable))
        return QuantiseOptions(
            activation_bits=general[0],
            weight_bits=general[1],
            output_bits=2,
            symmetric_activations=True,
            activation_type="int8",
            calibration="auto" if general[0] == _DEFAULT_BITS else "minmax",
            layers={name: bits for name, bits in layers.items() if bits != general},
        )

    @property
    def importing(self) -> ImportOptions:
        """Rounding as everywhere in the interface; multipliers that fit the type of scales."""
        bits = min(17, self.scale.width - self.scale.signed)
        return ImportOptions(multiplier_bits=max(bits, 2), rounding=ir.Rounding.HALF_AWAY)


class Source:
    """A model in floating point behind records, which are quantised from it as often as asked."""

    def __init__(self, model: Any, widths: _Widths) -> None:
        self.model, self.widths = model, widths
        normal = normalise(model)
        self.options = widths.options(normal)
        graph, factors = self._quantise(_noise(normal))
        self.records = Records(graph, _names(model), factors)
        for record in self.records.of_kind(Imported):
            record.source = self  # type: ignore[attr-defined]

    def quantise(self, samples: Samples) -> None:
        """Quantise anew on these samples; the records have the new numbers afterwards."""
        inputs = {record.name or "": record for record in self.records.of_kind(placeholder)}
        graph, factors = self._quantise({name: self._draw(record, samples) for name, record in inputs.items()})
        for port in graph.input_ports:
            wanted = samples.factor(inputs[port.name])  # type: ignore[arg-type]
            if port.scale is None or abs(port.scale * wanted - 1) > 1e-3:
                found = "none" if port.scale is None else f"{1 / port.scale:g}"
                raise ModelError(f"scale factor of input {port.name!r} must be {found} in this network, not {wanted:g}")
        self.records.refresh(graph, factors)

    def _quantise(self, arrays: Mapping[str, np.ndarray]) -> tuple[ir.Graph, dict[str, float]]:
        """The graph, and the integer that stands for 1.0 in each tensor of the model."""
        quantised, report = quantise_model(self.model, arrays, self.options)
        factors = {layer.tensor: 1 / layer.encoding.scale for layer in report.layers}
        return import_onnx(quantised, options=self.widths.importing), factors

    def _draw(self, record: Any, samples: Samples) -> np.ndarray:
        """Real numbers in the model's own layout. The first is as large as the integers go: it fixes the scale."""
        port = self.records.inputs[record.name]
        plain = replace(port, tail=(), scale=None, model_dtype="int64", model_zero_point=port.zero_point)
        values = np.concatenate([plain.decode(each) for each in samples.draw(record)]).astype(np.float64)
        values.flat[0] = (1 << (record.dtype.width - 1)) - 1
        return (values / samples.factor(record)).astype(np.float32)


def sources(records: Iterable[Numeric]) -> list[Source]:
    """The models that these records were imported from and that can be quantised."""
    found = [record.source for record in records if isinstance(record, Imported) and record.source is not None]
    return list(dict.fromkeys(found))


def from_onnx(
    filename: str | Path,
    value_dtypes: Mapping[str, dtype_info] | None = None,
    value_shapes: Mapping[str, Sequence[int]] | None = None,
    default_placeholder_dtype: dtype_info = int32,
    default_variable_dtype: dtype_info = int32,
    default_constant_dtype: dtype_info = int32,
    default_operator_dtype: dtype_info = int32,
    default_scale_dtype: dtype_info = int32,
    default_bias_dtype: dtype_info = int32,
    onnx_input_layout: Sequence[str] = ("N", "C", "H", "W"),
    onnx_filter_layout: Sequence[str] = ("O", "I", "H", "W"),
    disable_fusion: bool = False,
    verbose: bool = False,
) -> tuple[Tensors, Tensors, Tensors, Tensors, Tensors]:
    """Outputs, placeholders, variables, constants and operators of an ONNX model, by name.

    A model in floating point is quantised, on noise until `ng.quantize` is told how inputs look; one that is quantised
    already is taken as it is. Types of 2 to 8 bits are possible for activations and weights; int32, the default, leaves
    them at 8. Layouts are found out and layers fused whatever the last arguments say.
    """
    for name, dtype in (("default_bias_dtype", default_bias_dtype), ("default_scale_dtype", default_scale_dtype)):
        if not isinstance(dtype, dtype_info):
            raise ArgumentError(f"{name} must be a type such as ng.int32, not {dtype!r}")
    if not isinstance(filename, str | Path):
        raise ArgumentError(f"filename must be a path, not {filename!r}")
    for name, mapping in (("value_dtypes", value_dtypes), ("value_shapes", value_shapes)):
        if not isinstance(mapping, Mapping | None):
            raise ArgumentError(f"{name} must be a mapping by name, not {mapping!r}")
    model = _shaped(load_model(filename), value_shapes or {})
    _expect_values(model, value_dtypes or {})
    if is_quantised(model):
        records = Records(import_onnx(model), _names(model), {})
    else:
        widths = (default_placeholder_dtype, default_variable_dtype, default_operator_dtype, default_scale_dtype)
        records = Source(model, _Widths(value_dtypes or {}, *widths)).records
    if verbose:
        for record in records.by_value.values():
            print(f"{record!r} scale_factor:{record.scale_factor:g}")
    groups = [records.of_kind(kind) for kind in (placeholder, variable, constant, Operator)]
    found = [OrderedDict((record.name or "", record) for record in group) for group in groups]
    return records.outputs, found[0], found[1], found[2], found[3]


def _bits(name: str, dtype: dtype_info) -> int:
    """The width to quantise to."""
    if dtype == int32:
        return _DEFAULT_BITS
    if not dtype.signed or not 2 <= dtype.width <= _DEFAULT_BITS:
        legal = f"a signed type of 2 to {_DEFAULT_BITS} bits (or int32: {_DEFAULT_BITS} bits)"
        raise ArgumentError(f"type of {name!r} must be {legal} for a network in floating point, not {dtype.to_str()}")
    return dtype.width


def _names(model: Any) -> dict[str, str]:
    """The model's names of tensors by what the graph calls their integers."""
    names = [output for node in model.graph.node for output in node.output]
    clean = {name: re.sub(r"[^A-Za-z0-9_.]", "_", name) for name in names}
    return {f"{clean[name]}{ending}": name for name in names for ending in ("", ".integers")}


def _expect_values(model: Any, names: Iterable[str]) -> None:
    """Raise an `ArgumentError` for a name that is none of the model's inputs, parameters and results."""
    graph = model.graph
    known = [each.name for each in (*graph.input, *graph.initializer)]
    known += [name for node in graph.node for name in (*node.output, *node.input)]
    for name in names:
        if name not in known:
            listed = ", ".join(dict.fromkeys(each for each in known if each))
            raise ArgumentError(f"value_dtypes must name values of the model ({listed}), not {name!r}")


def _noise(model: Any) -> dict[str, np.ndarray]:
    """Something to quantise on before it is known how inputs look."""
    random = np.random.default_rng(0)
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in model.graph.input
        if value.name not in constants
    }
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _shaped(model: Any, shapes: Mapping[str, Sequence[int]]) -> Any:
    """The model with these shapes of inputs."""
    inputs = {value.name: value for value in model.graph.input}
    for name, shape in shapes.items():
        if name not in inputs:
            raise ArgumentError(f"value_shapes must name inputs ({', '.join(inputs)}), not {name!r}")
        sizes = inputs[name].type.tensor_type.shape.dim
        if len(sizes) != len(shape):
            raise ArgumentError(f"shape of {name!r} must have {len(sizes)} sizes, not {tuple(shape)!r}")
        for size, number in zip(sizes, shape, strict=True):
            size.dim_value = int(number)
    return model
