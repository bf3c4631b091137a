"""Every operator on hardware: the simulated Verilog computes what `ng.eval` says, whatever the memory does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tests.ng.rtl_cases import ALL, Maker

import gatewright.ng as ng


@cache
def design(kind: str) -> tuple[Maker, tuple[ng.conv2d, ...]]:
    """All cases of a kind as outputs of one network."""
    maker = Maker()
    outputs = []
    for index, case in enumerate(ALL[kind].values()):
        outputs.append(case(maker))
        outputs[-1].name = f"y{index}"
    return maker, tuple(outputs)


def inputs(maker: Maker, seed: int) -> dict[str, np.ndarray]:
    """Noise over the whole range, with the ends of the range in it."""
    random = np.random.default_rng(seed)
    found = {}
    for name, record in maker.placeholders.items():
        integer = record.dtype.integer
        found[name] = random.integers(integer.min, integer.max + 1, record.shape)
        found[name].flat[:2] = integer.min, integer.max
    return found


@pytest.mark.parametrize("memory", ["nngen", "stalls"])
@pytest.mark.parametrize("kind", ALL)
def test_hardware_computes_what_eval_says(kind, memory):
    maker, outputs = design(kind)
    given = inputs(maker, seed=len(memory))
    simulated = ng.simulate(outputs, memory=memory, seed=3, **given)
    for title, expected, found in zip(ALL[kind], ng.eval(outputs, **given), simulated.outputs, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=f"{kind}: {title}")
    assert sum(simulated.layers.values()) == simulated.cycles > 0


def test_cases_mean_something():
    """Results are neither all the same nor all at the ends of the range."""
    for kind in ALL:
        maker, outputs = design(kind)
        for title, result in zip(ALL[kind], ng.eval(outputs, **inputs(maker, 1)), strict=True):
            assert result.size == 1 or np.unique(result).size > 2, f"{kind}: {title}"
