"""One network, quantised to widths after widths: what each costs and loses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from gatewright.errors import ConfigError, DataError
from gatewright.frontends.onnx import normalise
from gatewright.quantize.budget import WidthBudget, Widths
from gatewright.quantize.decide import decide_from, observe
from gatewright.quantize.execute import run_batches
from gatewright.quantize.hoist import hoist_activations
from gatewright.quantize.loss import Estimate, estimate
from gatewright.quantize.network import Network
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.plan import make_plan
from gatewright.quantize.qdq import insert
from gatewright.quantize.samples import HeldOut, Samples, check_samples, spread
from gatewright.quantize.work import LayerWork, layer_work

__all__ = ["Assessment", "Search", "layer_works"]


_Labelled = tuple[dict[str, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Assessment:
    """What some widths lose, their noise (mean squared error of the first output), its decibels, and their cost."""

    estimate: Estimate
    noise: float
    sqnr_db: float | None
    cost: float


@dataclass(frozen=True)
class _Shown:
    """Samples, their labels, and the first output of the float network."""

    arrays: dict[str, np.ndarray]
    labels: np.ndarray | None
    exact: np.ndarray


class Search:
    """The network, what some samples show of it, and what its quantised forms make of these and of others held out.

    Samples that are spread evenly over those given calibrate and are searched on; without any held out, half of those
    given are.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        samples: Samples | None,
        budget: WidthBudget,
        options: QuantiseOptions,
        labels: np.ndarray | None,
        held_out: HeldOut | None,
    ) -> None:
        self.network = _network(model)
        self.budget, self.count = budget, 0
        arrays, labels = self._checked(samples, labels, "labels")
        count = _length(arrays)
        if held_out is None:
            if count < 2:
                raise DataError("samples to choose widths with must be at least 2: some calibrate, the others check")
            used = spread(count, min(count // 2, budget.samples))
            others = _pick(arrays, labels, ~used)
        else:
            if (labels is None) != (held_out.labels is None):
                raise DataError("labels must be given for both, the samples and those held out, or for neither")
            used = spread(count, min(count, budget.samples))
            others = self._checked(held_out.samples, held_out.labels, "labels held out")
        self.known = self._shown(*_pick(arrays, labels, used))
        self.held_out = self._shown(*others)
        self.observed = observe(self.network, self.known.arrays)
        products = self.observed.plan.products
        self.works: dict[str, LayerWork] = {one.node: layer_work(self.network, one) for one in products}
        self.options = options = options.of_layers(list(self.works))
        self.free = [name for name in self.works if name not in options.layers]
        if not self.free:
            raise ConfigError("the network must have a layer with weights whose widths are not given")

    def widths(self, chosen: Mapping[str, Widths], name: str) -> Widths:
        """Of a layer, those chosen or those given."""
        return chosen.get(name) or self.options.widths(name)

    def price(self, name: str, pair: Widths) -> float:
        """The cost of one layer."""
        return self.budget.cost(self.works[name], *pair)

    def assess(self, widths: Mapping[str, Widths], held_out: bool = False) -> Assessment:
        """Quantise to these widths and run on the samples that are searched on, or on those held out."""
        self.count += 1
        shown = self.held_out if held_out else self.known
        options = replace(self.options, layers={**self.options.layers, **widths})
        decisions = decide_from(self.network, self.observed, options)
        found = _outputs(Network(insert(self.network, decisions)), shown.arrays, optimise=False)
        pairs = {
            product.node: (decisions.encodings[product.x].bits, decisions.weights[product.node].bits)
            for product in self.observed.plan.products
        }
        cost = sum(self.price(name, pair) for name, pair in pairs.items())
        exact = shown.exact.astype(np.float64)
        noise, signal = float(np.mean((found - exact) ** 2)), float(np.mean(exact**2))
        decibels = 10 * math.log10(signal / noise) if signal and noise else None
        lost = estimate(self.budget.measure, shown.exact, found, shown.labels, self.budget.confidence)
        return Assessment(lost, noise, decibels, cost)

    def _checked(self, samples: Samples | None, labels: np.ndarray | None, what: str) -> _Labelled:
        arrays = check_samples(self.network, samples)
        if labels is None:
            return arrays, None
        labels, count = np.asarray(labels), _length(arrays)
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise DataError(f"{what} must be {count} integers, not {labels.dtype} of shape {list(labels.shape)}")
        return arrays, labels

    def _shown(self, arrays: dict[str, np.ndarray], labels: np.ndarray | None) -> _Shown:
        return _Shown(arrays, labels, _outputs(self.network, arrays, optimise=True))


def layer_works(model: onnx.ModelProto) -> tuple[LayerWork, ...]:
    """The layers with weights of a float model, in order."""
    network = _network(model)
    return tuple(layer_work(network, product) for product in make_plan(network).products)


def _network(model: onnx.ModelProto) -> Network:
    return Network(hoist_activations(normalise(model)))


def _outputs(network: Network, arrays: Mapping[str, np.ndarray], optimise: bool) -> np.ndarray:
    name = network.outputs[0]
    count = _length(arrays)
    return np.concatenate([found[name] for found in run_batches(network, arrays, [name], optimise)])[:count]


def _length(arrays: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(arrays.values())))


def _pick(arrays: Mapping[str, np.ndarray], labels: np.ndarray | None, used: np.ndarray) -> _Labelled:
    return {name: array[used] for name, array in arrays.items()}, None if labels is None else labels[used]
