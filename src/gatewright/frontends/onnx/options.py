"""What an import may be told."""

from dataclasses import dataclass

from gatewright.ir import Rounding

__all__ = ["ImportOptions"]


@dataclass(frozen=True)
class ImportOptions:
    """`batch` replaces a dynamic first dimension (1 when None); the rest shapes every requantisation of the graph.

    `multiplier_bits` is the width of the multipliers that stand for real scales. `rounding` is ONNX's half to even
    unless the network was made for another; None takes what the metadata of each QuantizeLinear says.
    """

    batch: int | None = None
    multiplier_bits: int = 17
    rounding: Rounding | None = Rounding.HALF_EVEN
