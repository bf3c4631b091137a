"""What a search for widths found: the widths, what they lose, what they save."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.samples import Samples, spread
from gatewright.quantize.work import LayerWork

__all__ = ["ChosenLayer", "Sensitivity", "WidthChoice"]


@dataclass(frozen=True)
class Sensitivity:
    """What is lost, and the signal to noise of the first output (None without noise)."""

    loss: float
    sqnr_db: float | None


@dataclass(frozen=True)
class ChosenLayer:
    """A layer's work, its widths and their cost; `alone` is what each candidate does where only this layer has it."""

    work: LayerWork
    activation_bits: int
    weight_bits: int
    cost: float
    widest_cost: float
    alone: Mapping[str, Sensitivity]


@dataclass(frozen=True)
class WidthChoice:
    """The options to quantise with, what they lose of a `budget`, and their price against that of the widest.

    `loss` was measured on `held_out` samples, which neither calibration nor search had seen; with `confidence` the loss
    on all samples like them is at most `loss + margin`. `calibrated` samples were calibrated on and searched with.
    """

    options: QuantiseOptions
    layers: tuple[ChosenLayer, ...]
    loss: float
    margin: float
    budget: float
    confidence: float
    calibrated: int
    held_out: int
    cost: float
    widest_cost: float
    unit: str
    measured: int  # quantised networks that were run

    @property
    def confirmed(self) -> bool:
        """Whether the samples held out are enough to show that the budget is kept."""
        return self.loss + self.margin <= self.budget

    @property
    def caution(self) -> str:
        """What too few samples held out leave open."""
        return (
            f"{self.held_out} samples held out show no more than that at most {self.loss + self.margin:.2%} is lost, "
            f"not {self.budget:.2%}: give more of them; the widths chosen lose no more there than the widest"
        )

    @property
    def summary(self) -> str:
        """What is lost, how sure that is, and the price, as a line."""
        return (
            f"{self.loss:.2%} lost of {self.budget:.2%} allowed (at most {self.loss + self.margin:.2%} with "
            f"{self.confidence:.0%} confidence, {self.held_out} samples held out), "
            f"{self.cost:,.0f} {self.unit} instead of {self.widest_cost:,.0f}"
        )

    def calibration(self, samples: Samples) -> Samples:
        """Those of the samples given that were calibrated on: on these `quantise` gives the same network."""
        arrays = samples if isinstance(samples, Mapping) else {"": samples}
        picked = {name: array[spread(len(array), self.calibrated)] for name, array in arrays.items()}
        return picked if isinstance(samples, Mapping) else picked[""]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"summary": self.summary, "confirmed": self.confirmed, **asdict(self)}

    def table(self) -> Table:
        """One row a layer, with the signal to noise of the output where only this layer has some widths."""
        table = Table(title=f"Widths: {self.summary}")
        candidates = list(dict.fromkeys(name for layer in self.layers for name in layer.alone))
        headings = ("layer", "MACs", "widths", self.unit, *(f"{name} dB" for name in candidates))
        for heading in headings:
            table.add_column(heading, justify="left" if heading in ("layer", "widths") else "right")
        for layer in self.layers:
            alone = [_decibels(layer.alone.get(name)) for name in candidates]
            widths = f"a{layer.activation_bits}w{layer.weight_bits}"
            table.add_row(layer.work.name, f"{layer.work.macs:,}", widths, f"{layer.cost:,.0f}", *alone)
        return table

    def __str__(self) -> str:
        text = io.StringIO()
        Console(width=132, file=text).print(self.table())
        return text.getvalue()


def _decibels(sensitivity: Sensitivity | None) -> str:
    if sensitivity is None:
        return "given"
    return "exact" if sensitivity.sqnr_db is None else f"{sensitivity.sqnr_db:.1f}"
