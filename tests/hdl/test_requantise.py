"""Requantiser and residual adder, a new input in every cycle, against the numerics."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from gatewright.hdl.requantise import (
    RESULT,
    ROUNDING_CODES,
    Requantiser,
    ResidualAdder,
    ShiftRoundClip,
    conversion_layout,
)
from gatewright.ir import Rounding
from gatewright.sim import Model

CASES = 4000
WHOLE = {"zero": 0, "low": -256, "high": 255}
CONVERSIONS = [
    {"zero": -128, "low": -128, "high": 127},
    {"zero": 255, "low": 0, "high": 255},
    {"zero": -256, "low": -256, "high": 255},
    {"zero": 3, "low": 3, "high": 9},
    WHOLE,
]


def pack(conversion: Mapping[str, int], rounding: Rounding) -> int:
    word = ROUNDING_CODES[rounding]
    for place, name in enumerate(("zero", "low", "high")):
        word |= (conversion[name] & 0x1FF) << (2 + RESULT.width * place)
    return word


def stream(model: Model, latency: int, inputs: Mapping[str, Sequence[int]]) -> Iterator[int]:
    """Put in one set of inputs a cycle; what comes out `latency` cycles later."""
    count = len(next(iter(inputs.values())))
    for cycle in range(count + latency):
        if cycle >= latency:
            yield model.get("result", signed=True)
        for name, values in inputs.items():
            model.set(name, int(values[min(cycle, count - 1)]))
        model.tick()


def numbers(rng: np.random.Generator, width: int) -> np.ndarray:
    """Signed numbers of all magnitudes, ties and extremes among them."""
    sizes = rng.integers(0, width, CASES)
    values = rng.integers(-(1 << width - 1), 1 << width - 1, CASES) >> sizes
    ties = rng.random(CASES) < 0.2
    values = np.where(ties, (values | 1) << np.minimum(sizes, width - 2), values)
    values = values << 64 - width >> 64 - width
    values[:4] = -(1 << width - 1), (1 << width - 1) - 1, 0, -1
    return values


@pytest.mark.parametrize("widths", [(32, 17), (32, 24), (32, 0), (16, 2), (20, 0)])
def test_requantiser(widths: tuple[int, int]) -> None:
    component = Requantiser(*widths)
    accumulator_width, multiplier_width = widths
    rng = np.random.default_rng(sum(widths))
    with Model.of(component) as model:
        for case, rounding in enumerate([*Rounding, *Rounding]):
            conversion = CONVERSIONS[case % len(CONVERSIONS)]
            negative_shift = (0, 3, 31)[case % 3]
            bias = numbers(rng, accumulator_width)
            inputs = {
                "bias": bias,
                "sum": (numbers(rng, accumulator_width) - bias) << 64 - accumulator_width >> 64 - accumulator_width,
                "multiplier": rng.integers(0, 1 << max(multiplier_width, 1), CASES),
                "shift": rng.integers(0 if multiplier_width else -20, 64 - negative_shift, CASES),
            }
            model.set("negative_shift", negative_shift)
            model.set("conversion", pack(conversion, rounding))
            expected = component.apply(
                **inputs, negative_shift=negative_shift, conversion=conversion | {"rounding": rounding}
            )
            assert np.array_equal(list(stream(model, component.LATENCY, inputs)), expected)


@pytest.mark.parametrize("rounding", Rounding)
def test_requantiser_rounds_each_quarter(rounding: Rounding) -> None:
    component = Requantiser(16, 0)
    inputs = {"sum": np.arange(-40, 41), "bias": np.zeros(81), "shift": np.full(81, 2)}
    expected = {
        Rounding.FLOOR: [-2, -2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1],
        Rounding.HALF_UP: [-2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2],
        Rounding.HALF_EVEN: [-2, -2, -2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2],
        Rounding.HALF_AWAY: [-2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 1, 2, 2],
    }
    with Model.of(component) as model:
        model.set("conversion", pack(WHOLE, rounding))
        assert list(stream(model, component.LATENCY, inputs))[32:48] == expected[rounding]


@pytest.mark.parametrize("rounding", Rounding)
def test_residual_adder(rounding: Rounding) -> None:
    rng = np.random.default_rng(5)
    with Model.of(ResidualAdder()) as model:
        for case, conversion in enumerate(CONVERSIONS):
            inputs = {"a": rng.integers(-256, 256, CASES), "b": rng.integers(-128, 128, CASES)}
            settings = {
                "multiplier_a": int(rng.integers(-(1 << 17), 1 << 17)),
                "multiplier_b": int(rng.integers(-(1 << 17), 1 << 17)),
                "bias": int(rng.integers(-(1 << 27), 1 << 27)),
                "shift": (0, 1, 17, 20, 63)[case],
            }
            for name, value in settings.items():
                model.set(name, value)
            model.set("conversion", pack(conversion, rounding))
            expected = ResidualAdder.apply(**inputs, **settings, conversion=conversion | {"rounding": rounding})
            assert np.array_equal(list(stream(model, ResidualAdder.LATENCY, inputs)), expected)


@pytest.mark.parametrize("widths", [(48, 17, 16), (64, 24, 32), (36, 0, 16), (40, 0, 32), (33, 4, 8), (16, 2, 32)])
def test_requantiser_of_wide_results(widths: tuple[int, int, int]) -> None:
    component = Requantiser(*widths)
    accumulator, multiplier, width = widths
    rng = np.random.default_rng(sum(widths))
    with Model.of(component) as model:
        for rounding in Rounding:
            low, high = sorted(int(bound) for bound in numbers(rng, width)[4:6])
            conversion = {"zero": int(numbers(rng, width)[7]), "low": low, "high": high}
            inputs = {
                "bias": numbers(rng, accumulator),
                "sum": numbers(rng, accumulator),
                "multiplier": rng.integers(0, 1 << max(multiplier, 1), CASES),
                "shift": rng.integers(0 if multiplier else -63, 64, CASES),
            }
            model.set("negative_shift", 0)
            fields = {**conversion, "rounding": ROUNDING_CODES[rounding]}
            model.set("conversion", conversion_layout(width).const(fields).as_value().value)
            expected = component.apply(**inputs, negative_shift=0, conversion=conversion | {"rounding": rounding})
            assert np.array_equal(list(stream(model, component.LATENCY, inputs)), expected)


@pytest.mark.parametrize("rounding", Rounding)
def test_residual_adder_of_16_bits(rounding: Rounding) -> None:
    rng = np.random.default_rng(6)
    component = ResidualAdder(16)
    with Model.of(component) as model:
        for shift in (0, 17, 33):
            low, high = sorted(int(bound) for bound in numbers(rng, 16)[4:6])
            conversion = {"zero": int(numbers(rng, 16)[7]), "low": low, "high": high}
            inputs = {"a": rng.integers(-(1 << 16), 1 << 16, CASES), "b": rng.integers(-(1 << 15), 1 << 15, CASES)}
            settings = {
                "multiplier_a": int(rng.integers(-(1 << 17), 1 << 17)),
                "multiplier_b": int(rng.integers(-(1 << 17), 1 << 17)),
                "bias": int(rng.integers(-(1 << 35), 1 << 35)),
                "shift": shift,
            }
            for name, value in settings.items():
                model.set(name, value)
            fields = {**conversion, "rounding": ROUNDING_CODES[rounding]}
            model.set("conversion", conversion_layout(16).const(fields).as_value().value)
            expected = component.apply(**inputs, **settings, conversion=conversion | {"rounding": rounding})
            assert np.array_equal(list(stream(model, component.LATENCY, inputs)), expected)


@pytest.mark.parametrize(("width", "result"), [(65, 32), (49, 16), (20, 16), (44, 8), (9, 8)])
def test_shift_round_clip_of_every_width(width: int, result: int) -> None:
    rng = np.random.default_rng(width)
    component = ShiftRoundClip(width, result)
    layout = conversion_layout(result)
    with Model.of(component) as model:
        for rounding in Rounding:
            values = numbers(rng, min(width, 63))
            low, high = sorted(int(bound) for bound in numbers(rng, result)[4:6])
            conversion = {"zero": int(numbers(rng, result)[0]), "low": low, "high": high}
            shift = np.minimum(rng.integers(0, 64, CASES) >> rng.integers(0, 4, CASES), 63)
            fields = {**conversion, "rounding": ROUNDING_CODES[rounding]}
            model.set("conversion", layout.const(fields).as_value().value)
            expected = component.apply(values, shift, conversion | {"rounding": rounding})
            found = stream(model, component.LATENCY, {"value": values, "shift": shift})
            assert np.array_equal(list(found), expected)
