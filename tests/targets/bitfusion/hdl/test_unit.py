"""Bricks, units and the array of them, as emitted, against products of integers."""

from itertools import product

import numpy as np
import pytest

from gatewright.ir.packing import pack, packed_bytes, stored_width, unpack
from gatewright.sim import Model
from gatewright.targets.array.timing import RESULT_LATENCY
from gatewright.targets.bitfusion.hdl.array import STEP_INPUT, FusionArray, fusion_parameters
from gatewright.targets.bitfusion.hdl.unit import BitBrick, FusionUnit, pair_word
from gatewright.targets.bitfusion.operands import products_per_unit, promoted
from gatewright.targets.bitfusion.packing import chunk_steps, chunk_weights, input_phase, lanes_of, step_weights

STORED = (2, 4, 6, 8)
PAIRS = list(product(STORED, STORED))
SIGNS = list(product((False, True), repeat=2))
VALID, FIRST, LAST = 1, 2, 4


def word(data: np.ndarray) -> int:
    return int.from_bytes(data.astype(np.uint8).tobytes(), "little")


def operands(rng: np.random.Generator, shape: tuple[int, ...], width: int, signed: bool) -> np.ndarray:
    """Random operands, many of them extremes."""
    low = -(1 << (width - 1)) if signed else 0
    values = rng.integers(low, low + (1 << width), shape)
    extreme = rng.random(shape) < 0.2
    return np.where(extreme, rng.choice([low, low + (1 << width) - 1], shape), values)


def test_every_product_of_a_brick():
    with Model.of(BitBrick()) as model:
        for x, y, x_signed, y_signed in product(range(4), range(4), range(2), range(2)):
            for name, value in (("x", x), ("y", y), ("x_signed", x_signed), ("y_signed", y_signed)):
                model.set(name, value)
            model.tick()
            expected = (x - 4 * (x_signed and x >> 1)) * (y - 4 * (y_signed and y >> 1))
            assert model.get("product", signed=True) == expected


def test_units_equal_their_reference_on_any_bytes():
    rng = np.random.default_rng(0)
    with Model.of(FusionUnit()) as model:
        for (inputs, weights), signs in product(PAIRS, SIGNS):
            model.set("pair", pair_word(inputs, weights, input_signed=signs[0], weight_signed=signs[1]))
            for phase in range(3 if inputs == 6 else 1):
                model.set("phase", phase)
                x, y = rng.integers(0, 256, (2, 100, 4))
                x[:2], y[:2] = 255, 128
                for step, expected in enumerate(FusionUnit.apply(x, y, (inputs, weights), signs, phase)):
                    model.set("inputs", word(x[step]))
                    model.set("weights", word(y[step]))
                    model.tick()
                    assert model.get("sum", signed=True) == expected


def dot_steps(x: np.ndarray, w: np.ndarray, widths: tuple[int, int], signed: bool) -> list[tuple[int, int, int]]:
    """(inputs, weights, phase) of each step of a dot product of packed operands."""
    lanes, period = lanes_of(widths[1]), chunk_steps(widths[0])
    data, chunks = pack(x, widths[0]), chunk_weights(w, *widths)
    steps = []
    for step in range(len(chunks) * period):
        part = (
            np.resize(data[step * lanes : (step + 1) * lanes], lanes) if step * lanes < len(data) else np.zeros(lanes)
        )
        weights = step_weights(chunks[step // period], widths, step % period, signed=signed)
        steps.append((word(part), word(weights), input_phase(widths[1], step % period)))
    return steps


@pytest.mark.parametrize("widths", PAIRS)
def test_a_dot_product_takes_the_steps_that_the_table_says(widths):
    """Exhaustive in the pairs of signs; as many steps as operands over products a unit finishes."""
    rng = np.random.default_rng(sum(widths))
    depth = 192
    for signs in SIGNS:
        x, w = operands(rng, (depth,), widths[0], signs[0]), operands(rng, (depth,), widths[1], signs[1])
        total, steps = 0, dot_steps(x, w, widths, signs[1])
        assert len(steps) == depth / products_per_unit(*widths)
        for inputs, weights, phase in steps:
            data = [np.frombuffer(value.to_bytes(4, "little"), np.uint8) for value in (inputs, weights)]
            total += int(FusionUnit.apply(*data, widths, signs, phase))
        assert total == int(x @ w)


@pytest.mark.parametrize("width", STORED)
def test_packed_operands_come_back(width):
    rng = np.random.default_rng(width)
    for signed, count in product((False, True), (1, 3, 4, 17)):
        values = operands(rng, (5, count), width, signed)
        data = pack(values, width)
        assert data.shape == (5, packed_bytes(count, width))
        np.testing.assert_array_equal(unpack(data, width, count, signed=signed), values)
    assert [stored_width(bits) for bits in (1, 2, 3, 5, 7, 8)] == [2, 2, 4, 6, 8, 8]
    assert [promoted(bits) for bits in (1, 3, 5, 6, 8)] == [2, 4, 8, 8, 8]


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_the_array_computes_products_of_matrices_and_changes_its_pair_in_between(size):
    rows, columns = size
    rng = np.random.default_rng(7)
    with Model.of(FusionArray(fusion_parameters(rows, columns))) as model:
        for (inputs, weights), signs in product(PAIRS, SIGNS):
            x = operands(rng, (rows, 29), inputs, signs[0])
            w = operands(rng, (columns, 29), weights, signs[1])
            pair = pair_word(inputs, weights, input_signed=signs[0], weight_signed=signs[1])
            results = _run(model, x, w, (inputs, weights), (pair, signs[1]))
            np.testing.assert_array_equal(results, x @ w.T)


def _run(model: Model, x: np.ndarray, w: np.ndarray, widths: tuple[int, int], how: tuple[int, bool]) -> np.ndarray:
    """Feed skewed steps, then take the results row after row."""
    rows, columns = len(x), len(w)
    pair, signed = how
    fed = [dot_steps(row, w[0], widths, signed) for row in x]
    weighed = [dot_steps(x[0], column, widths, signed) for column in w]
    count = len(fed[0])
    for cycle in range(count + rows + columns + RESULT_LATENCY):
        tap = (VALID | FIRST * (cycle == 0) | LAST * (cycle == count - 1)) if cycle < count else 0
        model.set("tap", tap)
        for row in range(rows):
            step = cycle - row
            inputs, _, phase = fed[row][step] if 0 <= step < count else (0xFFFFFFFF, 0, 0)
            value = inputs | phase << 32 | pair << 34
            model.set(f"activation_{row}", value - (1 << STEP_INPUT.size) * (value >> (STEP_INPUT.size - 1)))
        for column in range(columns):
            step = cycle - column
            value = weighed[column][step][1] if 0 <= step < count else 0xFFFFFFFF
            model.set(f"weight_{column}", value - (value >> 31 << 32))
        model.tick()
    results = []
    for row in range(rows):
        if rows > 1:
            model.set("row", row)
        results.append([model.get(f"result_{column}", signed=True) for column in range(columns)])
    return np.array(results)
