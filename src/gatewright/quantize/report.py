"""What quantisation did: for each layer its scales, and how far its values are from the float network's."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from gatewright.quantize.execute import run_batches
from gatewright.quantize.network import Network
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.plan import CARRIERS
from gatewright.quantize.products import Product, weights_of
from gatewright.quantize.qdq import Decisions
from gatewright.quantize.scales import Encoding

__all__ = ["Agreement", "LayerReport", "QuantisationReport", "WeightReport", "measure"]


@dataclass(frozen=True)
class Agreement:
    """How close values are to exact ones: signal to noise in dB (None without noise), cosine, largest error."""

    sqnr_db: float | None
    cosine: float
    max_abs_error: float


@dataclass(frozen=True)
class WeightReport:
    """The width and scales of a layer's weights (one, or one per output channel), and what rounding lost."""

    bits: int
    scales: tuple[float, ...]
    sqnr_db: float | None


@dataclass(frozen=True)
class LayerReport:
    """One tensor that became integers: the node that makes it (or the input), its encoding, its error."""

    name: str
    op: str
    tensor: str
    encoding: Encoding
    agreement: Agreement
    weights: WeightReport | None = None


@dataclass(frozen=True)
class QuantisationReport:
    """Errors accumulate from the input: a layer's error contains that of the layers before it."""

    options: QuantiseOptions
    samples: int
    layers: tuple[LayerReport, ...]
    outputs: Mapping[str, Agreement]
    accuracy: Mapping[str, float] | None = None

    def with_accuracy(self, **accuracies: float) -> "QuantisationReport":
        """The report with measured accuracies, e.g. `float=0.99, quantised=0.985`."""
        return replace(self, accuracy=accuracies)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def table(self) -> Table:
        """One row a layer."""
        table = Table(title=f"Quantisation, measured on {self.samples} samples")
        for heading in ("layer", "op", "type", "scale", "weights", "weight scale", "SQNR dB", "cosine", "max error"):
            table.add_column(heading, justify="left" if heading in ("layer", "op") else "right", overflow="fold")
        for layer in self.layers:
            table.add_row(*_row(layer))
        if self.accuracy:
            table.caption = ", ".join(f"{name} accuracy {value:.2%}" for name, value in self.accuracy.items())
        return table

    def __str__(self) -> str:
        text = io.StringIO()
        Console(width=132, file=text).print(self.table())
        return text.getvalue()

    def save(self, path: Any) -> None:
        """Write the report as JSON."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.to_json(), file, indent=2)
            file.write("\n")


class _Comparison:
    """Sums, over batches, of what `Agreement` is made of."""

    def __init__(self) -> None:
        self.signal = self.noise = self.product = self.power = self.largest = 0.0

    def add(self, exact: np.ndarray, found: np.ndarray) -> None:
        exact, found = exact.astype(np.float64).ravel(), found.astype(np.float64).ravel()
        off = found - exact
        self.signal += float(exact @ exact)
        self.power += float(found @ found)
        self.noise += float(off @ off)
        self.product += float(exact @ found)
        self.largest = max(self.largest, float(np.abs(off).max(initial=0.0)))

    def result(self) -> Agreement:
        lengths = math.sqrt(self.signal * self.power)
        cosine = self.product / lengths if lengths else float(self.signal == self.power)
        return Agreement(_decibel(self.signal, self.noise), min(1.0, cosine), self.largest)


def measure(
    network: Network,
    quantised: Network,
    decisions: Decisions,
    samples: Mapping[str, np.ndarray],
    options: QuantiseOptions,
) -> QuantisationReport:
    """Run both models on samples and compare every encoded tensor that a computing node makes, and the outputs."""
    made = {name: network.producer.get(name) for name in decisions.plan.encoded}
    tensors = [name for name, node in made.items() if node is None or node.op_type not in CARRIERS]
    found_name = {name: f"{name}.dequantised" if name in network.inputs else name for name in tensors}
    outputs = [name for name in network.outputs if network.is_float(name)]
    comparisons = {name: _Comparison() for name in (*tensors, *outputs)}
    names = list(comparisons)
    exact_runs = run_batches(network, samples, names, optimise=False)
    found_runs = run_batches(quantised, samples, [found_name.get(name, name) for name in names], optimise=False)
    for exact, found in zip(exact_runs, found_runs, strict=True):
        for name in names:
            comparisons[name].add(exact[name], found[found_name.get(name, name)])
    results = {name: comparison.result() for name, comparison in comparisons.items()}
    count = len(next(iter(samples.values())))
    layers = tuple(_layer(network, decisions, name, results[name]) for name in tensors)
    return QuantisationReport(options, count, layers, {name: results[name] for name in outputs})


def _layer(network: Network, decisions: Decisions, tensor: str, agreement: Agreement) -> LayerReport:
    encoding = decisions.encodings[tensor]
    node = network.producer.get(tensor)
    if node is None:
        return LayerReport(tensor, "input", tensor, encoding, agreement)
    ops = [node.op_type]
    while (name := _inner(network, decisions, node)) is not None:
        node = network.producer[name]
        ops.insert(0, node.op_type)
    product = next((product for product in decisions.plan.products if product.node == node.name), None)
    weights = None if product is None else _weights(network, decisions, product)
    return LayerReport(node.name, " ".join(ops), tensor, encoding, agreement, weights)


def _inner(network: Network, decisions: Decisions, node: onnx.NodeProto) -> str | None:
    """The operand of a node that exists only between the node and the one before it."""
    computed = [name for name in node.input if name in network.producer and name not in decisions.encodings]
    return computed[0] if computed else None


def _weights(network: Network, decisions: Decisions, product: Product) -> WeightReport:
    found, (exact, _) = decisions.weights[product.node], weights_of(network, product)
    off = found.dequantise() - exact
    noise = _decibel(float(np.vdot(exact, exact)), float(np.vdot(off, off)))
    return WeightReport(found.bits, tuple(map(float, found.scales)), noise)


def _decibel(signal: float, noise: float) -> float | None:
    """Signal to noise; None without either."""
    return 10 * math.log10(signal / noise) if signal and noise else None


def _row(layer: LayerReport) -> tuple[str, ...]:
    encoding, weights, agreement = layer.encoding, layer.weights, layer.agreement
    kind = f"{'u' if encoding.dtype.startswith('u') else 'i'}{encoding.bits} zero {encoding.zero}"
    width = f"i{weights.bits}" if weights else ""
    scales = (
        "" if weights is None else " to ".join(f"{s:.3g}" for s in sorted({min(weights.scales), max(weights.scales)}))
    )
    sqnr = "exact" if agreement.sqnr_db is None else f"{agreement.sqnr_db:.1f}"
    errors = (sqnr, f"{agreement.cosine:.6f}", f"{agreement.max_abs_error:.3g}")
    return (layer.name, layer.op, kind, f"{encoding.scale:.4g}", width, scales, *errors)
