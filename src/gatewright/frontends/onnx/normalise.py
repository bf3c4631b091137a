"""One form for every model: a fixed batch, constants folded, shapes known, batch normalisation gone."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir
from onnx import version_converter
from onnx_ir.passes import common

from gatewright.errors import ModelError
from gatewright.frontends.onnx.batch_norm import fold_batch_normalisation
from gatewright.frontends.onnx.fold import fold_constants, make_initializer

__all__ = ["normalise", "prepare"]

_OLDEST_OPSET = 13  # from here on axes are inputs and quantisation is per axis
_OLDEST_IR = 4  # from here on initialisers need not be inputs too
_ROUNDS = 8  # of shape inference and folding; each resolves one more nest of shape arithmetic


def normalise(model: onnx.ModelProto, batch: int | None = None) -> onnx.ModelProto:
    """A float model ready for quantisation; the argument is not changed.

    1. Everything `prepare` does.
    2. BatchNormalization, and multiplication or addition by a constant per channel, is folded into the convolution or
       product before it; what remains is a depthwise 1 x 1 convolution.
    3. The type and shape of every value are known (as far as ONNX can infer them).
    """
    prepared = onnx_ir.from_proto(prepare(model, batch))
    fold_batch_normalisation(prepared)
    common.RemoveUnusedNodesPass()(prepared)
    _infer(prepared)
    return onnx_ir.to_proto(prepared)


def prepare(model: onnx.ModelProto, batch: int | None = None) -> onnx.ModelProto:
    """A model in the one form that import and quantisation read; the argument is not changed.

    1. The opset of the default domain is 13 or newer; functions are inlined; nodes are in topological order and named.
    2. Initialisers are not graph inputs.
    3. A dynamic first dimension of an input is `batch` (default 1); any other dynamic dimension is an error.
    4. A value that depends on constants alone is an initialiser, except where it comes from a DequantizeLinear:
       quantised weights stay integers.
    5. Identity and Dropout are gone, and so is whatever no output needs; Sum of two values is Add.
    """
    upgraded = _upgraded(model)
    try:
        result = onnx_ir.from_proto(upgraded)
        for step in (common.InlinePass(), common.RemoveInitializersFromInputsPass(), common.TopologicalSortPass()):
            step(result)
    except Exception as error:  # a broken model raises whatever it runs into
        raise ModelError(f"model must be well formed: {error}") from error
    _fix_batch(result.graph, batch)
    _name_sums(result)
    for _ in range(_ROUNDS):
        _remove_pass_through(result)
        _infer(result)
        if not fold_constants(result, keep=_keeps_integers) and not _fold_shapes(result):
            break
    for index, node in enumerate(result.graph):
        node.name = node.name or f"{node.op_type}_{index}"
    return onnx_ir.to_proto(result)


def _upgraded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every domain it uses imported, and the default domain at `_OLDEST_OPSET` or newer."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    domains = {_domain(entry.domain): entry.version for entry in result.opset_import}
    for node in result.graph.node:
        domains.setdefault(_domain(node.domain), 1)  # QONNX files use domains without importing them
    version = domains.get("", _OLDEST_OPSET)
    result.ir_version = max(result.ir_version, _OLDEST_IR)
    _import_domains(result, domains)
    if version < _OLDEST_OPSET:
        try:
            result = version_converter.convert_version(result, _OLDEST_OPSET)
        except Exception as error:  # the converter raises bare C++ exceptions
            raise ModelError(f"opset {version} cannot be brought to {_OLDEST_OPSET}: {error}") from error
    _import_domains(result, domains | {"": max(version, _OLDEST_OPSET)})  # the converter drops all but its own domain
    return result


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _import_domains(model: onnx.ModelProto, domains: Mapping[str, int]) -> None:
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in domains.items())


def _fix_batch(graph: onnx_ir.Graph, batch: int | None) -> None:
    """Give every input a static shape."""
    for value in graph.inputs:
        if value.shape is None:
            raise ModelError(f"input {value.name!r} must have a shape, but the model gives none")
        sizes = list(value.shape)
        dynamic = [axis for axis, size in enumerate(sizes) if not isinstance(size, int) or size <= 0]
        if dynamic not in ([], [0]):
            shape = "[" + ", ".join(str(size) for size in sizes) + "]"
            raise ModelError(f"input {value.name!r} may have a dynamic first dimension only, not {shape}")
        if dynamic:
            sizes[0] = batch or 1
        elif batch is not None and sizes and sizes[0] != batch:
            raise ModelError(f"input {value.name!r} has a fixed batch of {sizes[0]}, not {batch}")
        value.shape = onnx_ir.Shape(sizes)
    for value in graph.outputs:
        value.shape = None  # inferred again for this batch


def _infer(model: onnx_ir.Model) -> None:
    for node in model.graph:
        for value in node.outputs:
            value.shape = None  # what the file says may be of another batch
    common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)


def _remove_pass_through(model: onnx_ir.Model) -> None:
    """Drop Identity and Dropout, and what no output needs."""
    for node in list(model.graph):
        if node.op_type in ("Identity", "Dropout") and node.domain == "" and not node.outputs[0].is_graph_output():
            source = node.inputs[0]
            assert source is not None
            node.outputs[0].replace_all_uses_with(source)
    common.RemoveUnusedNodesPass()(model)


def _name_sums(model: onnx_ir.Model) -> None:
    """Write Sum of two values as Add, and Sum of one as the value."""
    for node in model.graph:
        if node.op_type == "Sum" and node.domain == "" and len(node.inputs) <= 2:
            node.op_type = "Add" if len(node.inputs) == 2 else "Identity"


def _keeps_integers(node: onnx_ir.Node) -> bool:
    return node.op_type == "DequantizeLinear"


def _fold_shapes(model: onnx_ir.Model) -> bool:
    """Replace each Shape of a value of static shape by a constant; whether any was replaced."""
    nodes = [node for node in model.graph if node.op_type == "Shape" and node.domain == ""]
    found = False
    for node in nodes:
        source = node.inputs[0]
        if source is None or source.shape is None or not source.shape.is_static():
            continue
        sizes = np.array(source.shape.numpy(), np.int64)
        start, end = (node.attributes.get(name) for name in ("start", "end"))
        sizes = sizes[start.as_int() if start else 0 : end.as_int() if end else None]
        replacement = make_initializer(model.graph, f"{node.outputs[0].name}.static", sizes)
        node.outputs[0].replace_all_uses_with(replacement, replace_graph_outputs=True)
        model.graph.remove(node, safe=True)
        found = True
    return found
