"""Rows of the kernel that lie outside the image are left out on the array, too: fewer cycles, the same results."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conformance.cases import Maker
from tests.conformance.machines import SYSTOLIC

from gatewright import ir
from gatewright.compile import compile
from gatewright.engines import RunOptions, run_once
from gatewright.inputs import random_inputs
from gatewright.program import Result
from gatewright.targets.array import bands as module
from gatewright.targets.array.bands import Band, taps_of
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.layers import layers_of
from gatewright.targets.array.map_mac import map_conv2d
from gatewright.targets.array.tiling import tap_blocks, whole


def checked(graph: ir.Graph, config: ArrayConfig, engine: str = "model") -> Result:
    """What an engine makes of a graph, once its outputs are what the graph means."""
    build = compile(graph, "systolic", {name: getattr(config, name) for name in config.names()})
    inputs = random_inputs(build.graph.input_ports, 3)
    found = run_once(build, inputs, engine, RunOptions())
    meant = run_once(build, inputs, "evaluate", RunOptions())
    for name, values in meant.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], values)
    return found


def chain(zero: int, size: int = 16) -> ir.Graph:
    maker = Maker("chain", dyadic=False)
    x = maker.input(1, size, size, 16)
    for _ in range(3):
        x = maker.layer(x, 16, x_zero=zero)
    return maker.build(x)


@pytest.mark.parametrize("zero", [0, -128, 9])
def test_bands_save_cycles(zero: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the steps of the first and of the last row, of two tiles of pixels each, for two tiles of filters."""
    config = SYSTOLIC["8x8"]
    fewer = checked(chain(zero), config).layer_cycles
    monkeypatch.setattr(module, "_cuts", lambda job, tile, *_: [tile.row, tile.row_stop])
    cycles = checked(chain(zero), config).layer_cycles
    assert fewer is not None
    assert cycles is not None
    saved = 2 * 2 * 2 * (9 * 16) // 3
    assert saved - 8 * 3 <= cycles[1] - fewer[1] <= saved  # without the ends of the network, which wait for the bus
    assert all(few < many for few, many in zip(fewer, cycles, strict=True))


@pytest.mark.parametrize("machine", SYSTOLIC)
def test_bands_in_rtl(machine: str) -> None:
    config = SYSTOLIC[machine]
    maker = Maker("border", dyadic=config.dyadic)
    x = maker.input(1, 8, 8, 8)
    x = maker.layer(x, 16, (5, 3), x_zero=-11)
    graph = maker.build(maker.layer(x, 16, x_zero=7, groups=16), maker.layer(x, 9, strides=(2, 2)))
    modelled, cycles = (checked(graph, config, engine).cycles for engine in ("model", "rtl"))
    assert modelled is not None
    assert cycles is not None
    assert abs(cycles - modelled) <= max(0.02 * cycles, 50)


@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions(seed: int) -> None:
    random = np.random.default_rng(seed)
    config = list(SYSTOLIC.values())[seed % len(SYSTOLIC)]
    maker = Maker("random", dyadic=config.dyadic, seed=seed)
    kernel = tuple(int(size) for size in random.integers(1, 6, 2))
    pads = tuple(int(pad) for pad in random.integers(0, 4, 4))
    strides = tuple(int(step) for step in random.integers(1, 3, 2))
    zero = int(random.choice([0, -128, 5]))
    x = maker.input(int(random.integers(1, 3)), *(int(size) for size in random.integers(6, 20, 2)), 8)
    x = maker.layer(x, int(random.integers(1, 24)), kernel, pads=pads, strides=strides, x_zero=zero)
    checked(maker.build(x), config)


def test_taps_of_a_band() -> None:
    config = SYSTOLIC["8x8"]
    graph = compile(chain(0), "systolic").graph
    (job,) = map_conv2d(graph, layers_of(graph, config)[0], config)
    (taps,) = tap_blocks(job, config, config.weight_bytes)
    used = taps_of(taps, Band(whole(job)[0], 1, 3), job)
    assert (used.rows, used.dy, used.start, used.depth) == (2, 1, 48, 96)
