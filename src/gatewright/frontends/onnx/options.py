"""What an import may be told."""

from dataclasses import dataclass

from gatewright.ir import Rounding

__all__ = ["ImportOptions"]


@dataclass(frozen=True)
class ImportOptions:
    """`batch` replaces a dynamic first dimension (1 when None); the rest shapes every requantisation of the graph.

    `multiplier_bits` is the width of the multipliers that stand for real scales; those of sums of two activations have
    `add_bits` at most. `rounding` is ONNX's half to even
    unless the network was made for another; None takes what the metadata of each QuantizeLinear says.

    QONNX is imported exactly. What no multiplier of that width and zero point of nine bits can do takes wider ones with
    `exact`, which some machines refuse, and is an error where those do not help; else the nearest multiplier is taken,
    which differs by a step at a few sums near a threshold.
    """

    batch: int | None = None
    multiplier_bits: int = 17
    add_bits: int = 17
    rounding: Rounding | None = Rounding.HALF_EVEN
    exact: bool = True
