"""One network, one machine: what is chosen, what is left out, and that the RTL with its program inside is exact."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from tests.conformance.cases import CASES, Maker

from gatewright import ir
from gatewright.compile import compile
from gatewright.errors import ConfigError, GatewrightError, ProgramError
from gatewright.hdl.shell_model import MemoryTiming
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.passes import run_passes, to_signed
from gatewright.report import report_figures
from gatewright.sim import MEMORIES, MemoryOptions, SimulatedBus
from gatewright.targets.array.cycles import count_cycles
from gatewright.targets.generated import GeneratedConfig, GeneratedTarget
from gatewright.targets.generated.choose import choose

MACHINE = GeneratedTarget()


def _graph(case: str, *, dyadic: bool = False) -> object:
    return CASES[case](Maker(case, dyadic=dyadic))


def _chosen(case: str, *, dyadic: bool = False, **wish: int) -> GeneratedConfig:
    graph = run_passes(_graph(case, dyadic=dyadic))  # type: ignore[arg-type]
    return choose(to_signed(graph), GeneratedConfig(**wish))


@pytest.mark.parametrize("budget", [1, 7, 36, 64])
def test_the_array_stays_within_the_budget(budget: int) -> None:
    chosen = _chosen("residual_chain", multipliers=budget)
    assert 1 <= chosen.rows * chosen.columns <= budget


def test_more_multipliers_are_not_slower() -> None:
    graph = _graph("residual_chain")
    cycles = []
    for budget in (4, 16, 64):
        build = compile(graph, "generated", {"multipliers": budget})  # type: ignore[arg-type]
        inputs = [np.zeros(b.type.shape, np.int8) for b in build.program.inputs]
        cycles.append(MACHINE.run(build.program, inputs).cycles)
    assert cycles == sorted(cycles, reverse=True)


@pytest.mark.parametrize(
    ("kernel", "size", "channels", "filters", "strides", "multipliers", "share"),
    [
        (3, 8, 8, 8, 1, 36, 0.65),
        (3, 24, 16, 16, 1, 36, 0.85),
        (1, 28, 64, 64, 1, 144, 0.80),
        (3, 56, 3, 32, 2, 36, 0.85),
    ],
)
def test_the_array_is_used_well(
    kernel: int, size: int, channels: int, filters: int, strides: int, multipliers: int, share: float
) -> None:
    maker = Maker("one", dyadic=False)
    x = maker.input(1, size, size, channels)
    graph = maker.build(maker.layer(x, filters, (kernel, kernel), strides=(strides, strides)))
    build = compile(graph, "generated", {"multipliers": multipliers, "bus_bits": 128})
    zeros = [np.zeros(b.type.shape, np.int8) for b in build.program.inputs]
    cycles = MACHINE.run(build.program, zeros).cycles
    assert cycles is not None
    assert build.program.macs / multipliers / cycles > share


@pytest.mark.parametrize(("memory", "bus"), [(1 << 13, 32), (1 << 18, 32), (1 << 18, 128)])
def test_no_run_is_faster_than_the_limit_of_its_memory(memory: int, bus: int) -> None:
    maker = Maker("one", dyadic=False)  # with memory enough, the product's weights come while the convolutions compute
    x = maker.layer(maker.layer(maker.input(1, 16, 16, 4), 16), 8, strides=(2, 2))
    graph = maker.build(maker.product(maker.op(ir.Reshape((1, 512)), x), 96))
    build = compile(graph, "generated", {"multipliers": 64, "memory_bytes": memory, "bus_bits": bus})
    reachable = report_figures(build)["reachable_cycles"]
    assert (
        sum(layer.limit_cycles for layer in build.program.layers) <= reachable <= sum(MACHINE.schedule(build.program))
    )


def test_a_row_of_the_kernel_fits_one_word() -> None:
    maker = Maker("one", dyadic=False)
    graph = maker.build(maker.layer(maker.input(1, 20, 20, 3), 16))
    chosen = choose(run_passes(graph), GeneratedConfig(multipliers=36))
    assert chosen.feed_words == 9


def test_units_that_the_network_does_not_use_are_left_out() -> None:
    plain, pooled = _chosen("conv_basic"), _chosen("classifier", dyadic=True)
    assert (plain.residual, plain.pool, plain.lut) == (False, False, False)
    assert plain.multiplier_width == 17
    assert (pooled.residual, pooled.pool, pooled.lut) == (False, True, False)
    assert pooled.multiplier_width == 0


def test_what_the_user_gives_stays() -> None:
    chosen = _chosen("conv_basic", rows=2, columns=3, weight_bytes=4096, multipliers=8)
    assert (chosen.rows, chosen.columns, chosen.weight_bytes) == (2, 3, 4096)


@pytest.mark.parametrize("wish", [{"columns": 9, "multipliers": 8}, {"rows": 6, "feed_words": 5}])
def test_shapes_that_cannot_be(wish: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="rows x columns must be at most multipliers"):
        _chosen("conv_basic", **wish)


def test_scratchpads_fit_the_network() -> None:
    """A small network does not pay for the memory that the budget would allow."""
    chosen = _chosen("conv_basic")
    assert chosen.activation_bytes <= 2048
    assert chosen.output_bytes <= 2048


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"rows": 9, "columns": 9}, r"rows x columns must be at most multipliers = 64, not 9 x 9"),
        ({"bus_bits": 48}, r"bus_bits must be 32, 64, 128 or 256, not 48"),
        ({"multipliers": 0}, r"multipliers must be at least 1, not 0"),
    ],
)
def test_impossible_wishes(wish: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneratedConfig(**wish)


@pytest.mark.parametrize(
    ("case", "bus_bits"), [("residual_chain", 32), ("moves", 32), ("conv_stride_3", 64), ("concat", 256)]
)
def test_rtl_equals_the_model(case: str, bus_bits: int) -> None:
    """Also with rows of inputs and outputs that are no whole words of the bus."""
    build = compile(_graph(case), "generated", {"multipliers": 16, "bus_bits": bus_bits})  # type: ignore[arg-type]
    random = np.random.default_rng(0)
    inputs = [random.integers(-128, 128, b.type.shape).astype(np.int8) for b in build.program.inputs]
    expected = MACHINE.run(build.program, inputs)
    for memory in ("default", "nngen", "stalls"):
        with SimulatedBus(
            build.verilog,
            MACHINE.top_module(build.config),
            memory_bytes=memory_size(build.program),
            data_width=build.config.bus_bits,
            options=MemoryOptions.named(memory),
            seed=5,
            pins=MACHINE.pins(build.config),
        ) as bus:
            driver = Driver(bus, registers_of(MACHINE.register_map_for(build.config, build.program)), build.program)
            for _ in range(2):  # the program in ROM starts anew
                result = driver.run(inputs)
                for name, values in expected.outputs.items():
                    np.testing.assert_array_equal(result.outputs[name], values)
        if memory != "stalls":
            timing = MemoryTiming(**{each.name: getattr(MEMORIES[memory], each.name) for each in fields(MemoryTiming)})
            modelled = count_cycles(build.program, build.config.array(), timing, rom=True).cycles
            assert result.cycles is not None
            assert abs(modelled - result.cycles) <= max(0.02 * result.cycles, 50)


def test_a_machine_refuses_the_program_of_another_network() -> None:
    first = compile(_graph("residual_chain"), "generated", {"multipliers": 16})  # type: ignore[arg-type]
    other = compile(_graph("moves"), "generated", {"multipliers": 16})  # type: ignore[arg-type]
    with (
        SimulatedBus(
            first.verilog,
            MACHINE.top_module(first.config),
            memory_bytes=memory_size(other.program),
            data_width=32,
            pins=MACHINE.pins(first.config),
        ) as bus,
        pytest.raises(ProgramError),
    ):
        Driver(bus, registers_of(MACHINE.register_map_for(other.config, other.program)), other.program)


def test_there_is_no_machine_without_a_network() -> None:
    with pytest.raises(GatewrightError, match="emitted from a compiled network"):
        MACHINE.hardware(GeneratedConfig())
