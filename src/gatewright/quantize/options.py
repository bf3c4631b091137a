"""What a user may choose about quantisation, and the short form of the widths (`a8w8`)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from gatewright.errors import ConfigError
from gatewright.ir import clean_name

__all__ = ["WIDTHS", "QuantiseOptions", "parse_bits"]

WIDTHS = (*range(2, 9), 16)
"""What activations and weights may have; 16 where the sums still fit the accumulator."""

_BYTE = 8

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
    `layers` gives single nodes with weights widths of their own, `{"conv1": (8, 8)}`: of the activation they read, and
    of their weights. An activation that several layers read has the greatest of their widths. Values of 16 bits have
    the 16-bit type of the same sign as `activation_type`.
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
    layers: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("activation_bits", "weight_bits", "output_bits"):
            _expect_width(name, getattr(self, name))
        for layer, (activation, weight) in self.layers.items():
            _expect_width(f"activation bits of layer {layer!r}", activation)
            _expect_width(f"weight bits of layer {layer!r}", weight)
        choices = {"scales": Scales, "calibration": Calibration, "activation_type": ActivationType}
        for name, literal in choices.items():
            value = getattr(self, name)
            if value not in get_args(literal):
                raise ConfigError(f"{name} must be one of {', '.join(get_args(literal))}, not {value!r}")
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

    def of_layers(self, names: Sequence[str]) -> "QuantiseOptions":
        """These options for a network of these layers; `layers` may name them as a graph and its reports do.

        Raises `ConfigError` for a name that no layer has.
        """
        known = {clean_name(name): name for name in names} | {name: name for name in names}
        unknown = sorted(name for name in self.layers if name not in known)
        if unknown:
            raise ConfigError(f"layers must be among {', '.join(names)}, not {', '.join(unknown)}")
        return replace(self, layers={known[name]: widths for name, widths in self.layers.items()})

    def widths(self, layer: str) -> tuple[int, int]:
        """The widths of what a layer reads: activation, weights."""
        return self.layers.get(layer, (self.activation_bits, self.weight_bits))

    def corrects_bias(self, weight_bits: int) -> bool:
        """Whether the mean error of weights of this width goes into the bias."""
        return weight_bits < _BYTE if self.bias_correction is None else self.bias_correction

    def method(self, bits: int) -> Calibration:
        """The calibration method for values of the given width, never `auto`."""
        if self.calibration != "auto":
            return self.calibration
        return "minmax" if bits >= _BYTE and not self.dyadic else "mse"


def parse_bits(text: str) -> tuple[int, int]:
    """`"a8w4"` means 8-bit activations and 4-bit weights: `(8, 4)`."""
    match = re.fullmatch(r"a([0-9]+)w([0-9]+)", text.strip().lower())
    if match is None:
        raise ConfigError(f"bits must be written like a8w8 (activations, weights), not {text!r}")
    activation, weight = int(match[1]), int(match[2])
    for name, bits in (("activation", activation), ("weight", weight)):
        if bits not in WIDTHS:
            raise ConfigError(f"{name} bits in {text!r} must be from 2 to 8, or 16, not {bits}")
    return activation, weight


def _expect_width(name: str, value: object) -> None:
    if not isinstance(value, int) or value not in WIDTHS:
        raise ConfigError(f"{name} must be a whole number from 2 to 8, or 16, not {value!r}")
