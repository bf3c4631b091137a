"""Widths chosen layer by layer: as cheap as a budget of accuracy allows, measured on samples."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from gatewright.errors import ConfigError, DataError
from gatewright.frontends.onnx import normalise
from gatewright.quantize.choice import ChosenLayer, Sensitivity, WidthChoice
from gatewright.quantize.decide import decide_from, observe
from gatewright.quantize.execute import run_batches
from gatewright.quantize.hoist import hoist_activations
from gatewright.quantize.network import Network
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.plan import make_plan
from gatewright.quantize.qdq import insert
from gatewright.quantize.samples import Samples, check_samples
from gatewright.quantize.work import Cost, LayerWork, bit_operations, layer_work

__all__ = ["Loss", "WidthBudget", "choose_widths", "layer_works", "top1_loss"]

Widths = tuple[int, int]
Loss = Callable[[np.ndarray, np.ndarray], float]
"""What is lost, from the first output of the float network and of the quantised one for the same samples."""

_CANDIDATES = ((8, 8), (8, 4), (6, 6), (4, 4), (8, 2), (4, 2), (2, 2))


def top1_loss(exact: np.ndarray, found: np.ndarray) -> float:
    """The share of samples whose largest score stands elsewhere."""
    return float(np.mean(_largest(exact) != _largest(found)))


@dataclass(frozen=True)
class WidthBudget:
    """How much may be lost, and what is to be saved.

    `loss` is the most that `measure` may give; by default it is a share of samples (`top1_loss`), with labels the drop
    of accuracy against the float network. `cost` prices a layer at some widths. `candidates` are pairs of widths
    (activation read, weights), the first the most precise. `samples` of those given for calibration are measured on.
    `unit` is that of the cost.
    """

    loss: float = 0.01
    cost: Cost = bit_operations
    candidates: tuple[Widths, ...] = _CANDIDATES
    measure: Loss = top1_loss
    samples: int = 256
    unit: str = "bit operations"

    def __post_init__(self) -> None:
        if not self.loss >= 0:
            raise ConfigError(f"loss must be a number of at least 0, not {self.loss!r}")
        if len(self.candidates) < 2 or self.samples < 1:
            raise ConfigError("candidates must be at least two pairs of widths, and samples at least 1")
        for pair in self.candidates:
            QuantiseOptions(*pair)


def choose_widths(
    model: onnx.ModelProto,
    samples: Samples | None,
    budget: WidthBudget | None = None,
    options: QuantiseOptions | None = None,
    labels: np.ndarray | None = None,
) -> WidthChoice:
    """Choose the widths of every layer of a float model; `options` of the result are what `quantise` takes.

    1. Sensitivity: each layer is quantised to each candidate, all others to the first one, and the noise at the output
       is measured.
    2. Greedily, the step that saves most for the noise it adds is taken and measured; where too much is lost it is
       taken back, and this layer gets no noisier. It ends when no step is left.

    Layers that `options` give widths of their own keep them.
    """
    budget, options = budget or WidthBudget(), options or QuantiseOptions()
    search = _Search(model, samples, budget, options, labels)
    widest = dict.fromkeys(search.free, budget.candidates[0])
    first = search.assess(widest)
    if first.loss > budget.loss:
        wide = _text(budget.candidates[0])
        raise ConfigError(f"loss must be at least {first.loss:.4g}, which {wide} loses already, not {budget.loss:g}")
    alone = {
        (name, pair): search.assess(widest | {name: pair}) for name in search.free for pair in budget.candidates[1:]
    }
    alone |= {(name, budget.candidates[0]): first for name in search.free}
    widths, best = _descend(search, widest, first, {step: found.noise for step, found in alone.items()})
    layers = tuple(
        ChosenLayer(
            work,
            *search.widths(widths, work.name),
            {_text(pair): alone[work.name, pair].sensitivity for pair in budget.candidates if work.name in widths},
        )
        for work in search.works.values()
    )
    chosen = replace(options, layers={**options.layers, **widths})
    return WidthChoice(chosen, layers, best.loss, budget.loss, best.cost, first.cost, budget.unit, search.count)


def layer_works(model: onnx.ModelProto) -> tuple[LayerWork, ...]:
    """The layers with weights of a float model, in order."""
    network = _network(model)
    return tuple(layer_work(network, product) for product in make_plan(network).products)


def _network(model: onnx.ModelProto) -> Network:
    return Network(hoist_activations(normalise(model)))


@dataclass(frozen=True)
class _Assessment:
    sensitivity: Sensitivity
    noise: float  # mean squared error of the first output
    cost: float

    @property
    def loss(self) -> float:
        return self.sensitivity.loss


class _Search:
    """The network, what samples show of it, and what quantised forms of it make of some of them."""

    def __init__(
        self,
        model: onnx.ModelProto,
        samples: Samples | None,
        budget: WidthBudget,
        options: QuantiseOptions,
        labels: np.ndarray | None,
    ) -> None:
        self.network = _network(model)
        self.budget, self.options, self.count = budget, options, 0
        arrays = check_samples(self.network, samples)
        self.observed = observe(self.network, arrays)
        self.few = {name: array[: budget.samples] for name, array in arrays.items()}
        products = self.observed.plan.products
        self.works: dict[str, LayerWork] = {one.node: layer_work(self.network, one) for one in products}
        self.free = [name for name in self.works if name not in options.layers]
        if not self.free:
            raise ConfigError("the network must have a layer with weights whose widths are not given")
        self.exact = self._outputs(self.network, optimise=True)
        self.measure = budget.measure if labels is None else self._accuracy_loss(np.asarray(labels), arrays)

    def widths(self, chosen: Mapping[str, Widths], name: str) -> Widths:
        return chosen.get(name) or self.options.widths(name)

    def price(self, name: str, pair: Widths) -> float:
        return self.budget.cost(self.works[name], *pair)

    def assess(self, widths: Mapping[str, Widths]) -> _Assessment:
        """Quantise to these widths and run."""
        self.count += 1
        options = replace(self.options, layers={**self.options.layers, **widths})
        decisions = decide_from(self.network, self.observed, options)
        found = self._outputs(Network(insert(self.network, decisions)), optimise=False)
        pairs = {
            product.node: (decisions.encodings[product.x].bits, decisions.weights[product.node].bits)
            for product in self.observed.plan.products
        }
        cost = sum(self.price(name, pair) for name, pair in pairs.items())
        exact = self.exact.astype(np.float64)
        noise, signal = float(np.mean((found - exact) ** 2)), float(np.mean(exact**2))
        decibels = 10 * math.log10(signal / noise) if signal and noise else None
        return _Assessment(Sensitivity(self.measure(self.exact, found), decibels), noise, cost)

    def _outputs(self, network: Network, optimise: bool) -> np.ndarray:
        name = network.outputs[0]
        count = len(next(iter(self.few.values())))
        runs = run_batches(network, self.few, [name], optimise)
        return np.concatenate([found[name] for found in runs])[:count]

    def _accuracy_loss(self, labels: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Loss:
        count = len(next(iter(arrays.values())))
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise DataError(f"labels must be {count} integers, not {labels.dtype} of shape {list(labels.shape)}")
        wanted = labels[: self.budget.samples]

        def loss(exact: np.ndarray, found: np.ndarray) -> float:
            return float(np.mean(_largest(exact) == wanted) - np.mean(_largest(found) == wanted))

        return loss


def _descend(
    search: _Search, widths: dict[str, Widths], now: _Assessment, noise: Mapping[tuple[str, Widths], float]
) -> tuple[dict[str, Widths], _Assessment]:
    """Take the best step, again and again, as long as one keeps within the budget."""
    most = dict.fromkeys(widths, np.inf)  # the noise at which a layer lost too much
    while True:
        steps = sorted(_steps(search, widths, noise, most), key=lambda step: -step[0])
        if not steps:
            return widths, now
        _, name, pair = steps[0]
        tried = widths | {name: pair}
        found = search.assess(tried)
        if found.loss <= search.budget.loss:
            widths, now = tried, found
        else:
            most[name] = noise[name, pair]


def _steps(
    search: _Search,
    widths: Mapping[str, Widths],
    noise: Mapping[tuple[str, Widths], float],
    most: Mapping[str, float],
) -> Iterator[tuple[float, str, Widths]]:
    """Every cheaper pair of every layer: what it saves for the noise it adds."""
    for name, current in widths.items():
        for pair in search.budget.candidates:
            saved = search.price(name, current) - search.price(name, pair)
            if saved > 0 and noise[name, pair] < most[name]:
                added = max(noise[name, pair] - noise[name, current], 0.0)
                yield saved / (added + 1e-12), name, pair


def _text(pair: Widths) -> str:
    return f"a{pair[0]}w{pair[1]}"


def _largest(scores: np.ndarray) -> np.ndarray:
    return scores.reshape(len(scores), -1).argmax(axis=1)
