"""The bitfusion machine: what narrow operands gain, on convolutions and networks, and what composability costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

import gatewright
from bounds import Check
from gatewright import ir
from gatewright.build import Build
from gatewright.hdl import emit_verilog, synthesise
from gatewright.inputs import random_inputs
from gatewright.targets.array.hdl.array import Array, ArrayParameters
from gatewright.targets.bitfusion.hdl.array import FusionArray, fusion_parameters
from gatewright.targets.bitfusion.operands import products_per_unit
from narrow_networks import NETWORKS, convolution

__all__ = ["BitfusionFindings", "Layer", "Network", "Ratio", "measure_bitfusion"]

CONFIG = {"rows": 16, "columns": 16, "post_lanes": 16, "bus_bits": 256}
BUS_BYTES = 32
PAIRS = ((8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (6, 6), (6, 2))
SHAPES = ((256, 64, 14), (64, 64, 28))
WIDTHS = (8, 4, 2)
_SHARE = 0.9  # of the factor that is asked for
_OF_FORMULA = 1.03
_AREA_SIZE = 4
_AREA_SCRIPT = "synth_xilinx -family xcup -flatten -noiopad -nodsp"


@dataclass(frozen=True)
class Run:
    """Cycles in RTL and in the model, whether the engines agree, and cycles without a step."""

    rtl: int
    model: int
    equal: bool
    idle: int


@dataclass(frozen=True)
class Layer:
    """A convolution at a pair of widths; `speedup` is over 8 x 8, `wanted` the factor that fills all lanes."""

    shape: tuple[int, int, int]
    pair: tuple[int, int]
    run: Run
    speedup: float
    wanted: Fraction
    check: Check | None


@dataclass(frozen=True)
class Network:
    """A network at a width, beside the sum of its layers' formula and memory times."""

    name: str
    width: int
    run: Run
    formula: int
    check: Check


@dataclass(frozen=True)
class Ratio:
    """Lookup tables of an array of units and of one of 8 x 8 multipliers."""

    units: int
    multipliers: int


@dataclass(frozen=True)
class BitfusionFindings:
    layers: Sequence[Layer]
    networks: Sequence[Network]
    area: Ratio

    @property
    def checks(self) -> tuple[Check, ...]:
        layers = [one.check for one in self.layers if one.check is not None]
        return (*layers, *(one.check for one in self.networks))


def measure_bitfusion(say: Callable[[str], None]) -> BitfusionFindings:
    """All tables, measured in RTL."""
    layers = [one for shape in SHAPES for one in _layers(shape, say)]
    networks = [_network(name, width, say) for name in NETWORKS for width in WIDTHS]
    return BitfusionFindings(layers, networks, _area(say))


def _run(graph: ir.Graph, what: str, say: Callable[[str], None]) -> Run:
    build: Build = gatewright.compile(graph, "bitfusion", CONFIG)
    inputs = random_inputs(build.graph.input_ports, 0)
    meant, model, rtl = (gatewright.run(build, inputs, engine) for engine in ("evaluate", "model", "rtl"))
    equal = all(
        np.array_equal(values, other.outputs[name]) for other in (model, rtl) for name, values in meant.outputs.items()
    )
    counters = {name.lower(): value for name, value in rtl.results[0].counters.items()}
    say(f"{what}: {rtl.cycles:,} cycles in RTL, {model.cycles:,} in the model")
    return Run(rtl.cycles, model.cycles, equal, rtl.cycles - counters["compute_busy"])


def _layers(shape: tuple[int, int, int], say: Callable[[str], None]) -> list[Layer]:
    channels, filters, size = shape
    runs = {pair: _run(convolution(channels, filters, size, pair), f"{shape} at {pair}", say) for pair in PAIRS}
    found = []
    for pair, run in runs.items():
        speedup = runs[8, 8].rtl / run.rtl
        lanes = CONFIG["rows"] * products_per_unit(*pair)
        filled = Fraction(9 * channels) / lanes
        wanted = products_per_unit(*pair) * filled / ceil(filled)
        text = f"at least {_SHARE * float(wanted):.2f} times as fast as at 8 x 8"
        subject = f"{channels} to {filters} on {size} x {size} at {pair[0]} x {pair[1]} bits"
        asked = 6 not in pair and pair != (8, 8)
        check = Check(subject, text, run.equal and speedup >= _SHARE * wanted) if asked else None
        found.append(Layer(shape, pair, run, speedup, wanted, check))
    return found


def _network(name: str, width: int, say: Callable[[str], None]) -> Network:
    graph = NETWORKS[name](width)
    run = _run(graph, f"{name} at {width} bits", say)
    formula = _formula(graph)
    text, met = (f"≤ {_OF_FORMULA} ·", run.rtl <= _OF_FORMULA * formula) if width == 8 else ("below", run.rtl < formula)
    text = f"{text} Σ max(formula, layer bytes / {BUS_BYTES})"
    return Network(name, width, run, formula, Check(f"{name} at {width} bits", text, run.equal and met))


def _formula(graph: ir.Graph) -> int:
    """Σ max(cycles of the authors' simulator, cycles of loading the weights): the first layer and products fill lanes
    across taps, others across channels alone.
    """
    total = 0
    rows, columns = CONFIG["rows"], CONFIG["columns"]
    for index, node in enumerate(node for node in graph.nodes if isinstance(node.op, ir.Conv2d | ir.MatMul)):
        weights = graph.type_of(node.inputs[1])
        pair = graph.type_of(node.inputs[0]).dtype.width, weights.dtype.width
        lanes = rows * (8 // pair[0]) * (8 // pair[1])
        pixels = node.type.size // node.type.shape[-1] * ceil(node.type.shape[-1] / columns)
        depth = int(np.prod(weights.shape[1:]))
        taps = depth // weights.shape[-1]
        whole = index == 0 or isinstance(node.op, ir.MatMul)
        cycles = pixels * (ceil(depth / lanes) if whole else taps * ceil(weights.shape[-1] / lanes))
        total += max(cycles, ceil(weights.size * pair[1] / 8 / BUS_BYTES))
    return total


def _area(say: Callable[[str], None]) -> Ratio:
    """Arrays of `_AREA_SIZE` x `_AREA_SIZE`, without DSPs."""
    say("area of fusion units and of multipliers")
    size = _AREA_SIZE
    arrays = (FusionArray(fusion_parameters(size, size)), Array(ArrayParameters(size, size)))
    cells = [synthesise(emit_verilog(array, "top"), "top", _AREA_SCRIPT) for array in arrays]
    units, multipliers = (sum(count for cell, count in one.items() if cell.startswith("LUT")) for one in cells)
    return Ratio(units, multipliers)
