"""The Verilated core against the instruction set in NumPy; its timing against the closed form in every run."""

import pytest
from tests.targets.systolic.hdl.bench import core_bench
from tests.targets.systolic.hdl.programs import Layer, random_parameters

from gatewright.targets.systolic.config import SystolicConfig

SMALL = {"activation_bytes": 4096, "weight_bytes": 4096, "output_bytes": 4096, "parameter_bytes": 2048}

CONFIGS = {
    "8x8": SystolicConfig(**SMALL),
    "8x8 dyadic": SystolicConfig(**SMALL, multiplier_width=0),
    "4x16": SystolicConfig(**SMALL, rows=4, columns=16, multiplier_width=24, bus_bits=128),
    "3x5": SystolicConfig(**SMALL, rows=3, columns=5, post_lanes=2, bus_bits=32),
    "3x5 plain": SystolicConfig(**SMALL, rows=3, columns=5, post_lanes=8, residual=False, pool=False, lut=False),
    "1x1": SystolicConfig(**SMALL, rows=1, columns=1, post_lanes=1),
    "1x8": SystolicConfig(**SMALL, rows=1, columns=8, post_lanes=1, lut=False),
    "16x2": SystolicConfig(**SMALL, rows=16, columns=2, post_lanes=2, accumulator_width=24, pool=False),
}

EACH_CONFIG = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


@EACH_CONFIG
@pytest.mark.parametrize("words", [1, 9])
def test_random_layers(config: SystolicConfig, words: int) -> None:
    with core_bench(config, seed=words) as bench:
        random_parameters(bench.reference, seed=words)
        bench.load()
        for seed in range(6):
            bench.run(list(Layer(config, seed, words).commands(4)))
            bench.check_outputs()
        bench.check_activations()
