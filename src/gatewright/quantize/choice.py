"""What a search for widths found: the widths, what they lose, what they save."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.work import LayerWork

__all__ = ["ChosenLayer", "Sensitivity", "WidthChoice"]


@dataclass(frozen=True)
class Sensitivity:
    """What is lost, and the signal to noise of the first output (None without noise)."""

    loss: float
    sqnr_db: float | None


@dataclass(frozen=True)
class ChosenLayer:
    """A layer's work and its widths; `alone` is what each candidate does where only this layer has it."""

    work: LayerWork
    activation_bits: int
    weight_bits: int
    alone: Mapping[str, Sensitivity]


@dataclass(frozen=True)
class WidthChoice:
    """The options to quantise with, what they lose of a `budget`, and their price against that of the widest."""

    options: QuantiseOptions
    layers: tuple[ChosenLayer, ...]
    loss: float
    budget: float
    cost: float
    widest_cost: float
    unit: str
    measured: int  # quantised networks that were run

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def table(self) -> Table:
        """One row a layer, with the signal to noise of the output where only this layer has some widths."""
        price = f"{self.cost:,.0f} {self.unit} instead of {self.widest_cost:,.0f}"
        table = Table(title=f"Widths: {self.loss:.2%} lost of {self.budget:.2%} allowed, {price}")
        candidates = list(dict.fromkeys(name for layer in self.layers for name in layer.alone))
        headings = ("layer", "MACs", "widths", *(f"{name} dB" for name in candidates))
        for heading in headings:
            table.add_column(heading, justify="left" if heading in ("layer", "widths") else "right")
        for layer in self.layers:
            alone = [_decibels(layer.alone.get(name)) for name in candidates]
            widths = f"a{layer.activation_bits}w{layer.weight_bits}"
            table.add_row(layer.work.name, f"{layer.work.macs:,}", widths, *alone)
        return table

    def __str__(self) -> str:
        text = io.StringIO()
        Console(width=132, file=text).print(self.table())
        return text.getvalue()


def _decibels(sensitivity: Sensitivity | None) -> str:
    if sensitivity is None:
        return "given"
    return "exact" if sensitivity.sqnr_db is None else f"{sensitivity.sqnr_db:.1f}"
