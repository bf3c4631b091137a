"""The Verilated core's vector unit against its instruction set in NumPy; its timing against the closed form."""

import random

import pytest
from tests.targets.array.hdl.bench import Command, core_bench
from tests.targets.array.hdl.programs import Layer
from tests.targets.array.hdl.vector_bench import UnitsBench, VectorCommand
from tests.targets.array.hdl.vector_programs import VectorLayer, vector_parameters

from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa_vector import LaneOperation, VectorOperation
from gatewright.targets.array.timing_vector import fetch_cycles, vector_compute_cycles

SMALL = {"activation_bytes": 4096, "weight_bytes": 1024, "output_bytes": 4096, "parameter_bytes": 2048}

CONFIGS = {
    "4 lanes": ArrayConfig(**SMALL, rows=2, columns=4, vector_lanes=4),
    "8 lanes": ArrayConfig(
        **SMALL,
        rows=2,
        columns=4,
        bus_bits=32,
        multiplier_width=24,
        vector_lanes=8,
        vector_sum_width=64,
    ),
    "4 lanes, int8": ArrayConfig(
        **SMALL,
        rows=2,
        columns=4,
        accumulator_width=40,
        post_lanes=1,
        vector_lanes=4,
        vector_sum_width=32,
        vector_operand_bytes=1,
        vector_result_bytes=1,
        vector_product_shift=False,
        vector_shift=False,
    ),
    "2 lanes, sums": ArrayConfig(
        **SMALL,
        rows=2,
        columns=4,
        multiplier_width=0,
        lut=False,
        vector_lanes=2,
        vector_sum_width=16,
        vector_result_bytes=2,
        vector_operand=False,
        vector_product_shift=False,
        vector_affine=False,
        vector_shift=False,
        vector_maximum=False,
        vector_table=False,
    ),
    "1 lane": ArrayConfig(**SMALL, rows=1, columns=1, post_lanes=1, vector_lanes=1, vector_product_shift=False),
}

TWO_CONFIGS = pytest.mark.parametrize("config", [CONFIGS["4 lanes"], CONFIGS["8 lanes"]], ids=["4 lanes", "8 lanes"])
EACH_CONFIG = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def operations(config: ArrayConfig) -> list[LaneOperation]:
    built = {
        LaneOperation.MULTIPLY_ADD: True,
        LaneOperation.MAX: config.vector_maximum,
        LaneOperation.ARG_MAX: config.vector_maximum,
        LaneOperation.AFFINE: config.vector_affine,
        LaneOperation.SHIFT: config.vector_shift,
    }
    return [operation for operation in LaneOperation if built[operation]]


@EACH_CONFIG
@pytest.mark.parametrize("taps", [1, 12])
def test_random_layers(config: ArrayConfig, taps: int) -> None:
    with core_bench(config, seed=taps, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=taps)
        bench.load()
        for seed in range(8):
            for operation in operations(config):
                bench.run(list(VectorLayer(config, seed, operation, taps).commands(4)))
                bench.check_outputs()
        bench.check_activations()


@EACH_CONFIG
def test_settings_change_while_results_are_on_their_way(config: ArrayConfig) -> None:
    """Layers of one short COMPUTE each: every command comes as soon as it is accepted."""
    with core_bench(config, seed=5, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=5)
        bench.load()
        for seed in range(6):
            layers = [
                VectorLayer(config, 10 * seed + index, operation, 1 + index % 2)
                for index, operation in enumerate(operations(config) * 6)
            ]
            bench.run([command for layer in layers for command in layer.commands(1, pixels=3)])
            bench.check_outputs()
        bench.check_activations()


@EACH_CONFIG
def test_traffic_and_pauses_change_nothing(config: ArrayConfig) -> None:
    with core_bench(config, seed=7, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=7)
        bench.load()
        for seed in range(20, 23):
            for operation in operations(config):
                bench.run(list(VectorLayer(config, seed, operation, 4).commands(2)), stall=0.8, disturb=0.7)
                bench.check_outputs()
        bench.check_activations()


@TWO_CONFIGS
def test_addresses_wrap(config: ArrayConfig) -> None:
    """Anything may be read, from before the start of a memory to after its end."""
    with core_bench(config, seed=8, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=8)
        bench.load()
        for seed in range(30, 46):
            chance = random.Random(seed)
            of_b = seed % 2  # b lies anywhere and results go to the other memory, or a and the results lie anywhere
            wild = {
                VectorOperation.COMPUTE: ("b_base",) if of_b else ("base", "output_base"),
                VectorOperation.CONFIG_TAPS: () if of_b else ("pitch",),
                VectorOperation.CONFIG_WALK: (),
            }
            fixed = {
                VectorOperation.CONFIG_WALK: {"to_activation": of_b, "to_output": 1 - of_b, "out_step": 37},
                VectorOperation.CONFIG_LANES: {"operand": of_b},
            }
            operation = chance.choice(list(LaneOperation))
            for command in VectorLayer(config, seed, operation, 6).commands(3):
                fields = {name: chance.randrange(1 << 20) for name in wild.get(command.opcode, ())}
                bench.run([VectorCommand(command.opcode, {**command.given, **fields, **fixed.get(command.opcode, {})})])
            bench.check_outputs()
        bench.check_activations()


@TWO_CONFIGS
def test_both_units_take_turns(config: ArrayConfig) -> None:
    with core_bench(config, seed=9, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=9)
        bench.load()
        for seed in range(50, 56):
            commands: list[Command] = []
            streams = [
                list(Layer(config, seed, 2).commands(5)),
                list(VectorLayer(config, seed, LaneOperation(seed % 5), 3).commands(5)),
            ]
            while any(streams):
                stream = bench.random.choice([stream for stream in streams if stream])
                commands.append(stream.pop(0))
            bench.run(commands, disturb=0.2)
            bench.check_outputs()
        bench.check_activations()


@EACH_CONFIG
def test_closed_form(config: ArrayConfig) -> None:
    one = {"count1": 1, "count2": 1}
    with core_bench(config, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=0)
        bench.load()
        for pixels, taps, groups, per_channel in ((1, 1, 3, 1), (1, 1, 3, 0), (1, 2, 4, 1), (20, 9, 2, 1)):
            bench.run(
                [
                    VectorCommand(VectorOperation.CONFIG_PIXELS, {"count0": pixels, **one}),
                    VectorCommand(VectorOperation.CONFIG_TAPS, {"count0": taps, "row_bytes": 1000, **one}),
                    VectorCommand(VectorOperation.CONFIG_LANES, {}),
                    VectorCommand(VectorOperation.CONFIG_POST, {"per_channel": per_channel}),
                    VectorCommand(VectorOperation.CONFIG_WALK, {"out_count": 1, "to_output": 1}),
                ]
            )
            start = bench.cycle
            compute = {"outer_count": 1, "height": 1, "groups": groups, "last_lanes": 1}
            bench.run([VectorCommand(VectorOperation.COMPUTE, compute)])
            taken = bench.completed[-1] - start
            assert taken == vector_compute_cycles(config, taps, pixels, groups, bool(per_channel))
            if pixels == taps == groups - 2 == 1:
                last_fetch = 2 * fetch_cycles(config) if per_channel else 2
                assert taken == last_fetch + vector_compute_cycles(config, 1, 1, 1, False)


@TWO_CONFIGS
def test_soft_reset_in_the_midst(config: ArrayConfig) -> None:
    with core_bench(config, seed=11, kind=UnitsBench) as bench:
        vector_parameters(bench.reference, seed=11)
        bench.load()
        for seed in range(60, 66):
            operation = LaneOperation(seed % 5)
            harmless = [
                VectorCommand(command.opcode, {**command.given, "to_activation": 0, "to_output": 0})
                if command.opcode == VectorOperation.CONFIG_WALK
                else command
                for command in VectorLayer(config, seed, operation, 4).commands(3)
            ]
            bench.abandon(harmless, 23 * (seed - 59))
            bench.run(list(VectorLayer(config, 100 + seed, operation, 4).commands(2)))
            bench.check_outputs()
