"""Batch normalisation, and any scale and offset per channel, folded into the convolution or product before it."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from gatewright.frontends.onnx.fold import make_initializer

__all__ = ["fold_batch_normalisation", "scale_and_offset"]


@dataclass(frozen=True)
class _Affine:
    """`y = x · scale + offset`, along the channels (axis 1); both arrays have one entry or one a channel."""

    x: onnx_ir.Value
    scale: np.ndarray
    offset: np.ndarray


def fold_batch_normalisation(model: onnx_ir.Model) -> None:
    """Fold, in place, every scale and offset per channel into a Conv, Gemm or MatMul by constants.

    A BatchNormalization of an image that follows nothing of the kind becomes a depthwise 1 x 1 Conv.
    """
    graph = model.graph
    for node in list(graph):
        affine = _affine(node)
        if affine is None:
            continue
        producer = affine.x.producer()
        alone = len(affine.x.uses()) == 1 and not affine.x.is_graph_output()
        folded = _fold_into(graph, producer, affine) if producer is not None and alone else None
        if folded is not None:
            _replace(graph, [node, producer], folded)
        elif node.op_type == "BatchNormalization" and len(affine.x.shape or ()) == 4:
            _replace(graph, [node], _depthwise(graph, node.name or "scale", affine))


def _replace(graph: onnx_ir.Graph, old: list[onnx_ir.Node | None], new: onnx_ir.Node) -> None:
    nodes = [node for node in old if node is not None]
    onnx_ir.convenience.replace_nodes_and_values(graph, nodes[0], nodes, [new], [nodes[0].outputs[0]], [new.outputs[0]])


def _affine(node: onnx_ir.Node) -> _Affine | None:
    """The scale and offset a node applies, if that is all it does."""
    if node.domain != "":
        return None
    if node.op_type == "BatchNormalization":
        return _batch_normalisation(node)
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    first, second = node.inputs
    if _array(first) is not None and node.op_type in ("Add", "Mul"):
        first, second = second, first
    constant = None if first is None else _per_channel(_array(second), len(first.shape or ()))
    if first is None or constant is None or first.const_value is not None:
        return None
    one, none = np.ones(1), np.zeros(1)
    match node.op_type:
        case "Add":
            return _Affine(first, one, constant)
        case "Sub":
            return _Affine(first, one, -constant)
        case "Mul":
            return _Affine(first, constant, none)
    return _Affine(first, 1 / constant, none) if np.all(constant) else None


def _batch_normalisation(node: onnx_ir.Node) -> _Affine | None:
    x, *parameters = node.inputs
    arrays = [_array(value) for value in parameters]
    training = node.attributes.get("training_mode")
    if x is None or any(array is None for array in arrays) or (training is not None and training.as_int()):
        return None
    epsilon = node.attributes.get("epsilon")
    gamma, beta, mean, variance = (array for array in arrays if array is not None)
    margin = epsilon.as_float() if epsilon is not None else 1e-5
    return _Affine(x, *scale_and_offset(gamma, beta, mean, variance, margin))


def scale_and_offset(
    gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """What batch normalisation multiplies each channel by, and what it then adds."""
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _array(value: onnx_ir.Value | None) -> np.ndarray | None:
    """A floating-point constant in double precision."""
    if value is None or value.const_value is None or not value.const_value.dtype.is_floating_point():
        return None
    return value.const_value.numpy().astype(np.float64)


def _per_channel(array: np.ndarray | None, rank: int) -> np.ndarray | None:
    """A constant with one entry, or one a channel, against a value of this rank; None when it is anything else."""
    if array is None or rank < 2 or array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    return array.reshape(-1) if array.size == shape[1] or array.size == 1 else None


def _fold_into(graph: onnx_ir.Graph, producer: onnx_ir.Node, affine: _Affine) -> onnx_ir.Node | None:
    """The producer with the scale and offset in its weights and bias, as a new node; None where that is impossible."""
    if producer.domain != "" or producer.op_type not in ("Conv", "Gemm", "MatMul"):
        return None
    x, weight_value, bias_value = (*producer.inputs, None)[:3]
    weights, bias = _array(weight_value), _array(bias_value)
    if x is None or weights is None or (bias_value is not None and bias is None):
        return None
    if producer.op_type == "Conv":
        attributes = dict(producer.attributes)
        channels = weights.shape[0]
        weights = weights * affine.scale.reshape(-1, *(1,) * (weights.ndim - 1))
        kind = "Conv"
    elif weights.ndim == 2 and len(x.shape or ()) == 2:
        weights, bias, attributes = _plain_product(producer, weights, bias)
        channels = weights.shape[1]
        weights = weights * affine.scale
        kind = "Gemm"
    else:
        return None
    if affine.scale.size not in (1, channels) or affine.offset.size not in (1, channels):
        return None
    total = np.broadcast_to((0 if bias is None else bias) * affine.scale + affine.offset, (channels,))
    return _node(graph, kind, producer.name or kind, [x], weights, total, attributes)


def _plain_product(
    node: onnx_ir.Node, weights: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, dict[str, onnx_ir.Attr]]:
    """Weights [K, O] and bias of a Gemm or MatMul with alpha, beta and transB resolved; transA remains."""
    attributes = dict(node.attributes)
    alpha, beta, transposed = (attributes.pop(name, None) for name in ("alpha", "beta", "transB"))
    weights = weights.T if transposed is not None and transposed.as_int() else weights
    weights = weights * (alpha.as_float() if alpha is not None else 1.0)
    if bias is not None:
        bias = bias.reshape(-1) * (beta.as_float() if beta is not None else 1.0)
    return weights, bias, attributes


def _depthwise(graph: onnx_ir.Graph, name: str, affine: _Affine) -> onnx_ir.Node:
    channels = affine.scale.size
    attributes = {"group": onnx_ir.AttrInt64("group", channels)}
    return _node(graph, "Conv", name, [affine.x], affine.scale.reshape(-1, 1, 1, 1), affine.offset, attributes)


def _node(
    graph: onnx_ir.Graph,
    kind: str,
    name: str,
    inputs: list[onnx_ir.Value],
    weights: np.ndarray,
    bias: np.ndarray,
    attributes: dict[str, onnx_ir.Attr],
) -> onnx_ir.Node:
    operands = [
        make_initializer(graph, f"{name}.weight", weights.astype(np.float32)),
        make_initializer(graph, f"{name}.bias", bias.astype(np.float32)),
    ]
    return onnx_ir.node(kind, [*inputs, *operands], attributes, name=name)
