"""What a user may choose about quantisation, and the short form of the widths (`a8w8`)."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from gatewright.errors import ConfigError

__all__ = ["BITS", "QuantiseOptions", "parse_bits"]

BITS = range(2, 9)

Scales = Literal["float", "pow2"]
Calibration = Literal["auto", "minmax", "percentile", "mse"]
ActivationType = Literal["uint8", "int8"]


@dataclass(frozen=True)
class QuantiseOptions:
    """How a float network becomes integers.

    `scales="pow2"` makes every scale a power of two, so that requantisation is a shift; it also changes two defaults to
    what shift-only machines were designed for: one scale per weight tensor instead of one per output channel
    (`per_channel`), and activations around a fixed zero point, 128 for uint8 and 0 for int8 (`symmetric_activations`).
    Saying True or False overrides either.

    `calibration` turns observed values into a range: `minmax` covers all of them, `percentile` all but the given share
    of outliers, `mse` minimises the mean squared error; `auto` is minmax at 8 bits with float scales, otherwise mse.
    `bias_correction` adds the mean error that rounding the weights causes to the bias; None does so below 8 bits.
    `output_bits` is the least width of what leaves the network: nothing multiplies it, so it need not be narrow.
    """

    activation_bits: int = 8
    weight_bits: int = 8
    output_bits: int = 8
    per_channel: bool | None = None
    symmetric_activations: bool | None = None
    scales: Scales = "float"
    activation_type: ActivationType = "uint8"
    calibration: Calibration = "auto"
    percentile: float = 99.99
    bias_correction: bool | None = None

    def __post_init__(self) -> None:
        for field in ("activation_bits", "weight_bits", "output_bits"):
            value = getattr(self, field)
            if not isinstance(value, int) or value not in BITS:
                raise ConfigError(f"{field} must be a whole number from {BITS[0]} to {BITS[-1]}, not {value!r}")
        choices = {"scales": Scales, "calibration": Calibration, "activation_type": ActivationType}
        for field, literal in choices.items():
            value = getattr(self, field)
            if value not in get_args(literal):
                raise ConfigError(f"{field} must be one of {', '.join(get_args(literal))}, not {value!r}")
        if not 50 < self.percentile <= 100:
            raise ConfigError(f"percentile must be above 50 and at most 100, not {self.percentile!r}")

    @property
    def dyadic(self) -> bool:
        """Whether every scale is a power of two."""
        return self.scales == "pow2"

    @property
    def channelwise(self) -> bool:
        """Whether weights have one scale per output channel."""
        return not self.dyadic if self.per_channel is None else self.per_channel

    @property
    def symmetric(self) -> bool:
        """Whether activations have the fixed zero point."""
        return self.dyadic if self.symmetric_activations is None else self.symmetric_activations

    @property
    def corrects_bias(self) -> bool:
        """Whether the mean error of the weights goes into the bias."""
        return self.weight_bits < BITS[-1] if self.bias_correction is None else self.bias_correction

    def method(self, bits: int) -> Calibration:
        """The calibration method for values of the given width, never `auto`."""
        if self.calibration != "auto":
            return self.calibration
        return "minmax" if bits == BITS[-1] and not self.dyadic else "mse"


def parse_bits(text: str) -> tuple[int, int]:
    """`"a8w4"` means 8-bit activations and 4-bit weights: `(8, 4)`."""
    match = re.fullmatch(r"a([0-9]+)w([0-9]+)", text.strip().lower())
    if match is None:
        raise ConfigError(f"bits must be written like a8w8 (activations, weights), not {text!r}")
    activation, weight = int(match[1]), int(match[2])
    for name, bits in (("activation", activation), ("weight", weight)):
        if bits not in BITS:
            raise ConfigError(f"{name} bits in {text!r} must be from {BITS[0]} to {BITS[-1]}, not {bits}")
    return activation, weight
