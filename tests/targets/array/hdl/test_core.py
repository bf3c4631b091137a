"""The Verilated core against the instruction set in NumPy; its timing against the closed form in every run."""

import random

import pytest
from tests.targets.array.hdl.bench import Command, core_bench
from tests.targets.array.hdl.programs import Layer, random_parameters

from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa import Operation
from gatewright.targets.array.timing import compute_cycles

SMALL = {"activation_bytes": 4096, "weight_bytes": 4096, "output_bytes": 4096, "parameter_bytes": 2048}

CONFIGS = {
    "8x8": ArrayConfig(**SMALL),
    "8x8 dyadic": ArrayConfig(**SMALL, multiplier_width=0),
    "4x16": ArrayConfig(**SMALL, rows=4, columns=16, multiplier_width=24, bus_bits=128),
    "3x5": ArrayConfig(**SMALL, rows=3, columns=5, post_lanes=2, bus_bits=32),
    "3x5 plain": ArrayConfig(**SMALL, rows=3, columns=5, post_lanes=8, residual=False, pool=False, lut=False),
    "1x1": ArrayConfig(**SMALL, rows=1, columns=1, post_lanes=1),
    "1x8": ArrayConfig(**SMALL, rows=1, columns=8, post_lanes=1, lut=False),
    "9x4": ArrayConfig(**SMALL, rows=9, columns=4, post_lanes=2, feed_words=9, bus_bits=32),
    "5x3": ArrayConfig(**SMALL, rows=5, columns=3, post_lanes=4, feed_words=7, multiplier_width=0),
    "3x4 wide": ArrayConfig(
        **SMALL,
        rows=3,
        columns=4,
        post_lanes=2,
        activation_width=16,
        weight_width=16,
        accumulator_width=48,
        result_width=16,
    ),
    "5x3 mixed": ArrayConfig(
        **SMALL,
        rows=5,
        columns=3,
        post_lanes=4,
        feed_words=5,
        activation_width=12,
        accumulator_width=36,
        result_width=32,
    ),
    "4x4 wide weights": ArrayConfig(
        **SMALL, rows=4, columns=4, post_lanes=1, weight_width=13, result_width=16, multiplier_width=0, bus_bits=32
    ),
    "8x8 two lanes": ArrayConfig(**SMALL, post_lanes=2),
    "4x16 all lanes": ArrayConfig(**SMALL, rows=4, columns=16, post_lanes=16, bus_bits=128),
    "5x8": ArrayConfig(**SMALL, rows=5, columns=8, post_lanes=8, feed_words=5),
    "20x9": ArrayConfig(**SMALL, rows=20, columns=9, post_lanes=1, feed_words=20, residual=False, lut=False),
    "16x2": ArrayConfig(**SMALL, rows=16, columns=2, post_lanes=2, accumulator_width=24, pool=False),
}

EACH_CONFIG = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


TWO_CONFIGS = pytest.mark.parametrize("config", [CONFIGS["8x8"], CONFIGS["3x5"]], ids=["8x8", "3x5"])


@EACH_CONFIG
@pytest.mark.parametrize("words", [1, 9])
def test_random_layers(config: ArrayConfig, words: int) -> None:
    with core_bench(config, seed=words) as bench:
        random_parameters(bench.reference, seed=words)
        bench.load()
        for seed in range(10):
            bench.run(list(Layer(config, seed, words).commands(4)))
            bench.check_outputs()
        bench.check_activations()


@EACH_CONFIG
def test_traffic_and_pauses_change_nothing(config: ArrayConfig) -> None:
    with core_bench(config, seed=7) as bench:
        random_parameters(bench.reference, seed=7)
        bench.load()
        for seed in range(20, 24):
            bench.run(list(Layer(config, seed, 4).commands(3)), stall=0.8, disturb=0.7)
            bench.check_outputs()
        bench.check_activations()


@TWO_CONFIGS
def test_addresses_wrap(config: ArrayConfig) -> None:
    """Anything may be read, from before the start of the memory to after its end."""
    with core_bench(config, seed=8) as bench:
        random_parameters(bench.reference, seed=8)
        bench.load()
        for seed in range(30, 34):
            chance = random.Random(seed)
            for command in Layer(config, seed, 6).commands(3):
                fields = dict(command.given)
                if command.opcode == Operation.CONFIG_POST:
                    fields |= {"to_activation": 0, "to_output": 1}
                if command.opcode == Operation.COMPUTE:
                    fields |= {"base": chance.randrange(1 << 20), "output_base": chance.randrange(1 << 20)}
                if command.opcode == Operation.CONFIG_TAPS:
                    fields |= {"pitch": chance.randrange(1 << 20), "row_bytes": chance.randrange(1 << 10)}
                bench.run([Command(command.opcode, fields | {"residual": 0} if "residual" in fields else fields)])
            bench.check_outputs()


@TWO_CONFIGS
def test_partial_sums(config: ArrayConfig) -> None:
    """A sum over three COMPUTEs with taps of their own, while the results before it drain."""
    with core_bench(config, seed=9) as bench:
        random_parameters(bench.reference, seed=9)
        bench.load()
        for seed in range(40, 44):
            layer = Layer(config, seed, 4)
            whole = list(layer.commands(1))
            compute = whole[-1].given | {"filter_tiles": 1, "outer_count": 1}
            pixels = layer.pixels | {"count0": config.rows - seed % 2, "count1": 1, "count2": 1}
            bench.run(whole[:-1])
            for part in range(3):
                taps = Layer(config, 100 * seed + part, 2).taps | {"row_bytes": 60, "pitch": 64}
                flags = {"first": int(part == 0), "last": int(part == 2)}
                place = {"base": 64 * part, "height": 6, "x0": part - 1, "weight_base": 64 * part}
                bench.run(
                    [
                        Command(Operation.CONFIG_PIXELS, pixels),
                        Command(Operation.CONFIG_TAPS, taps),
                        Command(Operation.COMPUTE, compute | flags | place),
                    ]
                )
            bench.check_outputs()


def test_closed_form() -> None:
    config = CONFIGS["8x8"]
    with core_bench(config) as bench:
        for pixels, words, filter_tiles in ((8, 9, 1), (21, 9, 3), (17, 1, 2)):
            bench.run(
                [
                    Command(Operation.CONFIG_PIXELS, {"count0": pixels, "count1": 1, "count2": 1, "dx0": 8}),
                    Command(Operation.CONFIG_TAPS, {"words": words, "count_s": 1, "count_r": 1, "row_bytes": 1000}),
                    Command(Operation.CONFIG_POST, {"pool_count": 1, "out_count": 1, "to_output": 1}),
                ]
            )
            start = bench.cycle
            compute = {"outer_count": 1, "height": 1, "filter_tiles": filter_tiles, "last_columns": 8}
            bench.run([Command(Operation.COMPUTE, compute | {"first": 1, "last": 1})])
            assert bench.completed[-1] - start == compute_cycles(config, words, pixels, filter_tiles)


@TWO_CONFIGS
def test_soft_reset_in_the_midst(config: ArrayConfig) -> None:
    with core_bench(config, seed=11) as bench:
        random_parameters(bench.reference, seed=11)
        bench.load()
        for seed in range(50, 53):
            layer = Layer(config, seed, 4)
            harmless = [Command(Operation.CONFIG_POST, layer.post | {"to_activation": 0, "to_output": 0})]
            bench.abandon(
                [*harmless, *(c for c in layer.commands(2) if c.opcode != Operation.CONFIG_POST)], 97 * (seed - 49)
            )
            bench.run(list(Layer(config, 100 + seed, 4).commands(2)))
            bench.check_outputs()
