"""The array on its own, fed and emptied by hand."""

import numpy as np
import pytest

from gatewright.hdl import emit_verilog, synthesise
from gatewright.sim import Model, lint
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.array import Array, ArrayParameters, emit_core
from gatewright.targets.array.timing import RESULT_LATENCY

VALID, FIRST, LAST = 1, 2, 4


class ArrayBench:
    """Feeds sums with their skew, one tap a cycle, and takes results out row after row."""

    def __init__(self, model: Model, parameters: ArrayParameters) -> None:
        self.model, self.parameters = model, parameters

    def feed(self, activations: np.ndarray, weights: np.ndarray, taps: list[int]) -> None:
        """Taps in order; where one is 0 the array holds, and its operands are noise."""
        rows, columns = self.parameters.rows, self.parameters.columns
        used = np.cumsum([tap != 0 for tap in taps]) - 1
        for cycle in range(len(taps) + rows + columns + RESULT_LATENCY):
            self.model.set("tap", taps[cycle] if cycle < len(taps) else 0)
            for row in range(rows):
                self.model.set(f"activation_{row}", self._operand(activations[row], used, taps, cycle - row))
            for column in range(columns):
                self.model.set(f"weight_{column}", self._operand(weights[:, column], used, taps, cycle - column))
            self.model.tick()

    def _operand(self, values: np.ndarray, used: np.ndarray, taps: list[int], tap: int) -> int:
        return int(values[used[tap]]) if 0 <= tap < len(taps) and taps[tap] else -1

    def results(self) -> np.ndarray:
        rows, columns = self.parameters.rows, self.parameters.columns
        found = []
        for cycle in range(rows + self.parameters.registers):
            self._choose(min(cycle, rows - 1))
            if cycle >= self.parameters.registers:
                found.append([self.model.get(f"result_{column}", signed=True) for column in range(columns)])
            self.model.tick()
        return np.array(found)

    def _choose(self, row: int) -> None:
        if self.parameters.rows > 1:
            self.model.set("row", row)

    def preload(self, start: np.ndarray) -> None:
        for row, values in enumerate(start):
            self._choose(row)
            for column, value in enumerate(values):
                self.model.set(f"preload_{column}", int(value))
                self.model.set(f"load_{column}", 1)
            self.model.tick()
        for column in range(self.parameters.columns):
            self.model.set(f"load_{column}", 0)


def operands(parameters: ArrayParameters, taps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(taps)
    limits = [1 << width - 1 for width in (parameters.activation_width, parameters.weight_width)]
    return (
        rng.integers(-limits[0], limits[0], (parameters.rows, taps)),
        rng.integers(-limits[1], limits[1], (taps, parameters.columns)),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        ArrayParameters(3, 5),
        ArrayParameters(1, 1),
        ArrayParameters(4, 2, 4, 6, 16),
        ArrayParameters(2, 3, preload=True),
        ArrayParameters(5, 2, registers=1),
        ArrayParameters(35, 2, registers=1),
        ArrayParameters(18, 1, registers=2),
    ],
    ids=str,
)
def test_sums(parameters: ArrayParameters) -> None:
    array = Array(parameters)
    with Model.of(array) as model:
        bench = ArrayBench(model, parameters)
        for taps in (1, 2, 40):
            activations, weights = operands(parameters, taps)
            start: np.ndarray | int = 0
            if parameters.preload:
                start = np.random.default_rng(taps).integers(-(1 << 30), 1 << 30, (parameters.rows, parameters.columns))
                bench.preload(start)
            flags = [VALID] * taps
            flags[0] |= FIRST
            flags[-1] |= LAST
            bench.feed(activations, weights, flags)
            assert np.array_equal(bench.results(), array.apply(activations, weights, start))


def test_holds_between_taps() -> None:
    parameters = ArrayParameters(3, 4)
    array = Array(parameters)
    with Model.of(array) as model:
        bench = ArrayBench(model, parameters)
        activations, weights = operands(parameters, 5)
        bench.feed(activations, weights, [VALID | FIRST, 0, VALID, VALID, 0, 0, 0, VALID, 0, VALID | LAST])
        assert np.array_equal(bench.results(), array.apply(activations, weights))


@pytest.mark.parametrize("preload", [False, True])
def test_elements_are_one_module(preload: bool) -> None:
    text = emit_verilog(Array(ArrayParameters(3, 4, preload=preload)), "top")
    assert text.count("\nmodule ") == 2
    assert text.count("top_element element_") == 12
    assert lint(text, "top") == ""


def test_an_array_of_one_row_has_no_choice_of_rows() -> None:
    verilog = emit_core(ArrayConfig(rows=1, columns=2, post_lanes=2))
    assert "row" not in verilog.splitlines()[2].split("(")[1].split(", ")
    assert lint(verilog, "gatewright_systolic_array") == ""


def test_maps_to_one_dsp_an_element() -> None:
    cells = synthesise(emit_core(ArrayConfig(rows=2, columns=2, post_lanes=2)), "gatewright_systolic_array")
    assert cells["DSP48E1"] == 4
