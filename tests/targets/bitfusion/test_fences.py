"""Layers start while the results of the one before are still under way: what they read is written, always."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.conformance.cases import inputs_of
from tests.targets.bitfusion.machines import MACHINES
from tests.targets.bitfusion.narrow import NarrowMaker
from tests.targets.bitfusion.test_model import check
from tests.targets.bitfusion.test_rtl import build_of, simulate
from tests.targets.bitfusion.test_rtl import check as check_rtl

from gatewright import ir
from gatewright.errors import ProgramError
from gatewright.passes import run_passes
from gatewright.targets.array.assembler import Step
from gatewright.targets.bitfusion.assembler import decode_steps
from gatewright.targets.bitfusion.blocks import Operation, carried, words_of
from gatewright.targets.bitfusion.cycles import count_cycles
from gatewright.targets.bitfusion.fences import UnderWay, prove_fences
from gatewright.targets.bitfusion.isa import Fusion, Op, format_text, parse_text
from gatewright.targets.bitfusion.lower import lower
from gatewright.targets.bitfusion.timing import written_cycles

CONFIG = MACHINES["4x8"]


def chain(height: int, width: int, *kernels: tuple[int, int], seed: int = 0, channels: int = 8) -> ir.Graph:
    """Convolutions one after the other, with residual sums between where shapes allow, all values on chip."""
    maker = NarrowMaker(f"chain{seed}", (4, 4))
    x = maker.layer(maker.input(1, height, width, channels), channels, (3, 3))
    for place, kernel in enumerate(kernels):
        y = maker.layer(x, channels, kernel, x_zero=place)
        x = maker.add(y, x) if place % 2 else y
    return run_passes(maker.build(x))


def fences_of(steps: list[Step]) -> dict[int, int]:
    """Immediates of the `block-end`s, by the instruction that carries them."""
    return {
        index: word.immediate
        for index, step in enumerate(steps)
        if step.opcode in (Operation.BLOCK, Operation.RUN)
        for word in words_of(step.fields)
        if word.op == Op.BLOCK_END
    }


def under_way(graph: ir.Graph) -> list[int]:
    return list(fences_of(decode_steps(lower(graph, CONFIG).regions[0].data)).values())


def test_how_many_tiles_may_be_under_way():
    """Tiles have four pixels; what begins before all is written reads the first rows."""
    assert under_way(chain(16, 4, (3, 3), (3, 3))) == [12, 12]
    assert under_way(chain(8, 8, (3, 3))) == [10]  # the first rows, and those that the `compute` behind them reads
    assert under_way(chain(2, 4, (3, 3))) == [0]  # the first row needs all rows before
    assert under_way(chain(1, 4, (1, 1))) == [0]


def test_fences_that_leave_tiles_under_way_save_cycles(monkeypatch):
    graph = chain(16, 4, (3, 3), (3, 3), (3, 3))
    fewer = count_cycles(lower(graph, CONFIG), CONFIG).cycles
    monkeypatch.setattr(UnderWay, "begins", lambda *_: 0)
    saved = count_cycles(lower(graph, CONFIG), CONFIG).cycles - fewer
    assert 0.6 <= saved / (3 * written_cycles(CONFIG.array())) <= 1


@pytest.mark.parametrize("most", [0, 1, 2, 15])
def test_the_model_counts_what_the_hardware_waits(most, monkeypatch):
    """With any number of tiles, whether or not results are right with it."""
    monkeypatch.setattr(UnderWay, "begins", lambda *_: most)
    build = build_of(chain(6, 4, (3, 3), (1, 1), (3, 3)), "4x8")
    inputs = inputs_of(build.graph)
    assert simulate(build, inputs, "default", 1).cycles == build.target.run(build.program, inputs).cycles


@pytest.mark.parametrize("seed", range(10))
def test_results_are_right_whatever_the_memory_does(seed):
    random = np.random.default_rng(seed)
    height, width = (int(size) for size in random.integers(1, 17, 2))
    kernels = [(int(random.choice([1, 3, 5])),) * 2 for _ in range(4)]
    graph = chain(height, width, *kernels, seed=seed, channels=int(random.choice([4, 8, 12])))
    check(graph, CONFIG)
    build = build_of(graph, "4x8")
    check_rtl(build)
    check_rtl(build, "stalls", seed)


def test_a_fence_that_leaves_too_many_is_refused():
    steps = decode_steps(lower(chain(6, 4, (3, 3), (3, 3)), CONFIG).regions[0].data)
    place, most = next(iter(fences_of(steps).items()))
    changed = [
        replace(word, immediate=most + 1) if word.op == Op.BLOCK_END else word for word in words_of(steps[place].fields)
    ]
    steps[place].fields |= carried(changed)
    with pytest.raises(ProgramError, match=f"Instruction {place} may leave {most} tiles under way, not {most + 1}"):
        prove_fences(steps, CONFIG.array())


def test_a_block_end_says_how_many():
    words = [Fusion(Op.BLOCK_END, 0, 0, 5), Fusion(Op.BLOCK_END)]
    assert format_text(words) == "block-end 5\nblock-end\n"
    assert parse_text(format_text(words).splitlines()) == words
