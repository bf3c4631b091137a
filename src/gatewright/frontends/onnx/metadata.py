"""What ONNX has no field for: metadata of nodes that quantise, written by the quantiser and read by the importer."""

import onnx_ir

from gatewright.frontends.onnx.context import Unsupported
from gatewright.ir import IntType, Rounding

__all__ = ["HIGH", "LOW", "ROUNDING", "read_range", "read_rounding"]

LOW, HIGH = "gatewright.low", "gatewright.high"  # of a QuantizeLinear, and of the DequantizeLinear of weights
ROUNDING = "gatewright.rounding"  # of a QuantizeLinear


def read_range(node: onnx_ir.Node, dtype: IntType) -> tuple[int, int]:
    """The range of integers a node allows, that of their type by default."""
    try:
        low, high = int(node.metadata_props.get(LOW, dtype.min)), int(node.metadata_props.get(HIGH, dtype.max))
    except ValueError as error:
        raise Unsupported(f"metadata {LOW} and {HIGH} must be integers") from error
    if not dtype.min <= low <= high <= dtype.max:
        raise Unsupported(f"metadata {LOW} and {HIGH} must be a range within {dtype}, not {low}..{high}")
    return low, high


def read_rounding(node: onnx_ir.Node) -> Rounding:
    """How a node rounds, half to even by default."""
    name = node.metadata_props.get(ROUNDING, Rounding.HALF_EVEN.value)
    if name not in [rounding.value for rounding in Rounding]:
        raise Unsupported(f"metadata {ROUNDING} must be one of {', '.join(map(str, Rounding))}, not {name!r}")
    return Rounding(name)
