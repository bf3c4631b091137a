"""Widths chosen layer by layer: as cheap as a budget of accuracy allows, which samples held out confirm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from gatewright.errors import ConfigError
from gatewright.quantize.budget import WidthBudget, Widths
from gatewright.quantize.choice import ChosenLayer, Sensitivity, WidthChoice
from gatewright.quantize.loss import Estimate
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.samples import HeldOut, Samples
from gatewright.quantize.search import Assessment, Search

__all__ = ["choose_widths"]


def choose_widths(
    model: onnx.ModelProto,
    samples: Samples | None,
    budget: WidthBudget | None = None,
    options: QuantiseOptions | None = None,
    labels: np.ndarray | None = None,
    held_out: HeldOut | None = None,
) -> WidthChoice:
    """Choose the widths of every layer of a float model: `options` of the result are what `quantise` takes, with the
    samples that its `calibration` picks.

    1. Sensitivity: each layer is quantised to each candidate, all others to the first one, and the noise at the output
       is measured.
    2. Greedily, the step that saves most for the noise it adds is taken and measured; where too much is lost it is
       taken back, and this layer gets no noisier. It ends when no step is left.
    3. Step by step the way is gone again on the samples held out, half of those given unless there are others, as long
       as the loss with its margin is within the budget. As the order is settled before, the first step too many ends it
       and no step is tried for luck: the confidence in one step is that in all of them.

    Layers that `options` give widths of their own keep them.
    """
    budget, options = budget or WidthBudget(), options or QuantiseOptions()
    search = Search(model, samples, budget, options, labels, held_out)
    widest = dict.fromkeys(search.free, budget.candidates[0])
    start = _Step(widest, search.assess(widest))
    checked = search.assess(widest, held_out=True)
    lost = max(start.found.estimate.loss, checked.estimate.loss)
    if lost > budget.loss:
        wide = _text(budget.candidates[0])
        raise ConfigError(f"loss must be at least {lost:.4g}, which {wide} loses already, not {budget.loss:g}")
    alone = {
        (name, pair): search.assess(widest | {name: pair}) for name in search.free for pair in budget.candidates[1:]
    }
    alone |= {(name, budget.candidates[0]): start.found for name in search.free}
    steps = _descend(search, start, {step: found.noise for step, found in alone.items()})
    last, confirmed = _confirm(search, steps, checked.estimate)
    return WidthChoice(
        options=replace(options, layers={**search.options.layers, **last.widths}),
        layers=tuple(_layers(search, last.widths, alone)),
        loss=confirmed.loss,
        margin=confirmed.margin,
        budget=budget.loss,
        confidence=budget.confidence,
        calibrated=start.found.estimate.samples,
        held_out=confirmed.samples,
        cost=last.found.cost,
        widest_cost=start.found.cost,
        unit=budget.unit,
        measured=search.count,
    )


@dataclass(frozen=True)
class _Step:
    widths: dict[str, Widths]
    found: Assessment


def _descend(search: Search, start: _Step, noise: Mapping[tuple[str, Widths], float]) -> list[_Step]:
    """Take the best step, again and again, as long as one keeps within the budget; every step taken."""
    most = dict.fromkeys(start.widths, np.inf)  # the noise at which a layer lost too much
    taken = [start]
    while steps := sorted(_steps(search, taken[-1].widths, noise, most), key=lambda step: -step[0]):
        _, name, pair = steps[0]
        tried = taken[-1].widths | {name: pair}
        found = search.assess(tried)
        if found.estimate.loss <= search.budget.loss:
            taken.append(_Step(tried, found))
        else:
            most[name] = noise[name, pair]
    return taken


def _steps(
    search: Search,
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


def _confirm(search: Search, steps: list[_Step], first: Estimate) -> tuple[_Step, Estimate]:
    """The last step whose loss with its margin, and that of all before it, is within the budget on samples held out;
    where there are too few to show even that of the first step, no more is lost than by that one.
    """
    limit = max(search.budget.loss, first.most)
    last, confirmed = steps[0], first
    for step in steps[1:]:
        found = search.assess(step.widths, held_out=True).estimate
        if found.most > limit:
            break
        last, confirmed = step, found
    return last, confirmed


def _layers(
    search: Search, widths: Mapping[str, Widths], alone: Mapping[tuple[str, Widths], Assessment]
) -> Iterator[ChosenLayer]:
    candidates = search.budget.candidates
    for name, work in search.works.items():
        pair = search.widths(widths, name)
        shown = {each: alone[name, each] for each in candidates if name in widths}
        sensitivities = {_text(each): Sensitivity(one.estimate.loss, one.sqnr_db) for each, one in shown.items()}
        costs = search.price(name, pair), search.price(name, candidates[0] if name in widths else pair)
        yield ChosenLayer(work, *pair, *costs, sensitivities)


def _text(pair: Widths) -> str:
    return f"a{pair[0]}w{pair[1]}"
