"""The boundary of a generated machine, driven by NNgen's register numbers: what its users' scripts and drivers do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.conformance.cases import CASES, Maker

from gatewright.build import Build
from gatewright.compile import compile
from gatewright.errors import ConfigError
from gatewright.hdl.outline import Outline
from gatewright.host import Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.sim import MemoryOptions, SimulatedBus, lint
from gatewright.targets.generated import GeneratedConfig, GeneratedTarget

MACHINE = GeneratedTarget()
START, BUSY, RESET, EXTERN, ISR, IER, IAR, COUNT, COUNT_STATE, COUNT_DIV = 16, 20, 24, 28, 36, 40, 44, 48, 52, 56
PATIENCE = 1_000_000
ADDRESS_SPACE, GLOBAL_OFFSET, BASE, STATUS, CYCLES, STAMPS = 124, 128, 132, 0x414, 0x480, 0x800


def _compile(**config: object) -> Build:
    graph = CASES["residual_chain"](Maker("residual_chain", dyadic=False))
    return compile(graph, "generated", {"multipliers": 16, **config})


def _bus(build: Build, memory: str = "default", seed: int = 0) -> SimulatedBus:
    _, size = build.config.default_placement(build.program)
    return SimulatedBus(
        build.verilog,
        MACHINE.top_module(build.config),
        memory_bytes=max(size, memory_size(build.program)),
        data_width=build.config.bus_bits,
        options=MemoryOptions.named(memory),
        seed=seed,
        pins=MACHINE.pins(build.config),
    )


def _inputs(build: Build) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(-128, 128, b.type.shape).astype(np.int8) for b in build.program.inputs]


@pytest.fixture(scope="module")
def build() -> Build:
    return _compile(header0=0x1234, header3=7)


class Board:
    """The machine with all its data where it lies without BASE written."""

    def __init__(self, build: Build, bus: SimulatedBus) -> None:
        self.build, self.bus = build, bus
        self.places, _ = build.config.default_placement(build.program)
        for region, place in zip(build.program.memory_regions, self.places, strict=True):
            bus.memory[place : place + len(region.data)] = np.frombuffer(region.data, np.uint8)
        inputs = _inputs(build)
        for binding, array in zip(build.program.inputs, inputs, strict=True):
            place = self.places[binding.region] + binding.offset
            bus.memory[place : place + binding.size] = np.frombuffer(binding.pack(array), np.uint8)
        self.expected = MACHINE.run(build.program, inputs).outputs
        bus.write32(GLOBAL_OFFSET, bus.base)

    def start(self) -> None:
        self.bus.write32(START, 1)
        while self.bus.read32(START):
            pass

    def wait(self) -> None:
        while self.bus.read32(BUSY):
            pass

    def check(self) -> None:
        """The outputs are right, and so they will be the next time only if they are computed again."""
        for binding in self.build.program.outputs:
            place = self.places[binding.region] + binding.offset
            data = self.bus.memory[place : place + binding.size]
            np.testing.assert_array_equal(binding.unpack(data), self.expected[binding.name])
            data[:] = 0x55
        assert self.bus.outstanding == 0
        assert self.bus.read32(STATUS) == 2


@pytest.fixture
def board(build: Build) -> Iterator[Board]:
    with _bus(build) as bus:
        yield Board(build, bus)


def test_nngens_protocol_runs_it(board: Board) -> None:
    for _ in range(2):
        board.start()
        assert board.bus.read32(BUSY) == 1
        board.wait()
        board.check()


def test_bases_place_regions(build: Build, board: Board) -> None:
    """Every region is moved by 64 KiB, some of it by GLOBAL_OFFSET, the rest by BASE."""
    with SimulatedBus(
        build.verilog,
        MACHINE.top_module(build.config),
        memory_bytes=1 << 18,
        data_width=32,
        pins=MACHINE.pins(build.config),
    ) as bus:
        moved = Board(build, bus)
        bus.memory[1 << 16 :] = np.concatenate([bus.memory[: 1 << 16]] * 3)
        bus.memory[: 1 << 16] = 0xEE
        bus.write32(GLOBAL_OFFSET, bus.base + (1 << 15))
        for index, place in enumerate(moved.places):
            assert bus.read32(BASE + 4 * index) == place
            bus.write32(BASE + 4 * index, place + (1 << 15))
        moved.places = tuple(place + (1 << 16) for place in moved.places)
        moved.start()
        moved.wait()
        moved.check()


def test_the_interrupt(board: Board) -> None:
    bus = board.bus
    bus.write32(IER, 1)
    board.start()
    assert bus.read32(ISR) == 0
    assert bus.wait_interrupt(PATIENCE)
    assert bus.read32(BUSY) == 0
    assert bus.read32(ISR) == 1
    bus.write32(IAR, 2)
    assert bus.read32(ISR) == 1
    bus.write32(IAR, 1)
    assert bus.read32(ISR) == 0
    assert not bus.wait_interrupt(100)
    board.check()
    bus.write32(IER, 0)
    board.start()
    board.wait()
    assert bus.read32(ISR) == 1
    assert not bus.wait_interrupt(100)
    bus.write32(IER, 1)
    assert bus.wait_interrupt(100)


def test_a_reset_waits_for_the_bus(board: Board) -> None:
    bus = board.bus
    for cycles in (50, 333, 700):
        board.start()
        bus.step(cycles)
        assert bus.read32(BUSY) == 1
        bus.write32(RESET, 1)
        board.wait()
        assert (bus.read32(RESET), bus.read32(ISR), bus.read32(STATUS), bus.outstanding) == (0, 0, 0, 0)
    assert bus.read32(GLOBAL_OFFSET) == bus.base
    board.start()
    board.wait()
    board.check()


def test_a_start_while_busy_waits(board: Board) -> None:
    bus = board.bus
    board.start()
    bus.write32(START, 1)
    assert (bus.read32(START), bus.read32(BUSY)) == (1, 1)
    while bus.read32(START):
        pass
    assert bus.read32(CYCLES) < 100
    assert bus.read32(BUSY) == 1
    board.wait()
    board.check()


def test_a_run_that_fails_ends(board: Board) -> None:
    bus = board.bus
    bus.write32(GLOBAL_OFFSET, 0x1000)
    bus.write32(IER, 1)
    board.start()
    assert bus.wait_interrupt(PATIENCE)
    assert bus.read32(BUSY) == 0
    assert bus.read32(STATUS) >> 2 & 1
    bus.write32(START, 1)
    assert (bus.read32(START), bus.read32(BUSY)) == (0, 0)
    bus.write32(RESET, 1)
    board.wait()
    bus.write32(GLOBAL_OFFSET, bus.base)
    board.start()
    board.wait()
    board.check()


def test_cycles_of_one_layer(board: Board) -> None:
    bus = board.bus
    for layer, divisor in ((1, 0), (2, 0), (2, 3)):
        bus.write32(COUNT_STATE, layer)
        bus.write32(COUNT_DIV, divisor)
        board.start()
        board.wait()
        ends = [0, *(bus.read32(STAMPS + 4 * index) for index in range(layer))]
        assert abs(bus.read32(COUNT) - (ends[layer] - ends[layer - 1]) // (divisor + 1)) <= 1


def test_numbers_that_never_change(build: Build, board: Board) -> None:
    bus = board.bus
    assert [bus.read32(4 * index) for index in range(4)] == [0x1234, 0, 0, 7]
    assert bus.read32(ADDRESS_SPACE) == build.config.default_placement(build.program)[1]
    assert (bus.read32(EXTERN), bus.read32(32)) == (0, 0)


def test_accesses_that_mean_nothing(board: Board) -> None:
    bus = board.bus
    for offset in (60, 120, BASE + 4 * len(board.places), 0x3FC, 0xFFC):
        bus.write32(offset, 0xFFFF_FFFF)
        assert bus.read32(offset) == 0
    bus.write32(0, 5)
    assert bus.read32(0) == 0x1234
    bus.write32(32, 1)
    board.start()
    board.wait()
    board.check()


def test_the_slave_looks_at_the_lower_address_pins(board: Board) -> None:
    assert board.bus.read32(0xA000_0000) == 0x1234


OTHER = {
    "register_map": "1.0",
    "module_name": "mine",
    "clock_name": "aclk",
    "reset_name": "areset",
    "reset_polarity": "high",
    "maxi_addrwidth": 40,
    "saxi_addrwidth": 12,
    "axi_coherent": True,
    "bus_bits": 64,
}


@pytest.fixture(scope="module")
def other() -> Build:
    return _compile(**OTHER)


@pytest.mark.parametrize("memory", ["default", "stalls"])
def test_other_names_and_the_older_map(other: Build, memory: str) -> None:
    inputs = _inputs(other)
    registers = registers_of(MACHINE.register_map_for(other.config, other.program))
    with _bus(other, memory, seed=4) as bus:
        result = Driver(bus, registers, other.program).run(inputs)
        assert bus.read32(36) == bus.base
    for name, values in MACHINE.run(other.program, inputs).outputs.items():
        np.testing.assert_array_equal(result.outputs[name], values)


def test_ports(build: Build, other: Build) -> None:
    found = {port.name: (port.direction, port.width) for port in Outline(build.verilog).module(build_top(build)).ports}
    assert [found[name] for name in ("CLK", "RESETN", "irq")] == [("input", 1), ("input", 1), ("output", 1)]
    assert (found["maxi_awaddr"], found["maxi_aruser"], found["saxi_araddr"]) == (
        ("output", 32),
        ("output", 2),
        ("input", 32),
    )
    assert not {"maxi_awid", "maxi_bid", "maxi_arid", "maxi_rid", "clk", "rst"} & found.keys()
    found = {port.name: (port.direction, port.width) for port in Outline(other.verilog).module("mine").ports}
    assert "irq" not in found
    assert (found["maxi_awaddr"], found["saxi_araddr"], found["maxi_wstrb"]) == (
        ("output", 40),
        ("input", 12),
        ("output", 8),
    )
    assert {"aclk", "areset"} <= found.keys()


def test_a_coherent_master_says_so(build: Build, other: Build) -> None:
    assert "assign maxi_arcache = 4'd15;" in other.verilog
    assert "assign maxi_aruser = 2'd1;" in other.verilog
    assert "assign maxi_arcache = 4'd3;" in build.verilog


def test_all_modules_are_named_after_the_top_module(other: Build) -> None:
    modules = [line.split()[1] for line in other.verilog.splitlines() if line.startswith("module ")]
    assert len(modules) > 10
    assert all(name.startswith("mine") for name in modules)


@pytest.mark.parametrize("which", ["build", "other"])
def test_there_is_nothing_to_lint(which: str, request: pytest.FixtureRequest) -> None:
    built = request.getfixturevalue(which)
    assert lint(built.verilog, build_top(built)) == ""


def build_top(build: Build) -> str:
    return MACHINE.top_module(build.config)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"register_map": "2.0"}, r"register_map must be 1.3.4 or 1.0, not '2.0'"),
        ({"reset_polarity": "HIGH"}, r"reset_polarity must be low or high, not 'HIGH'"),
        ({"saxi_datawidth": 64}, r"saxi_datawidth must be 32, not 64"),
        ({"saxi_addrwidth": 8}, r"saxi_addrwidth must be 12..64, not 8"),
        ({"maxi_addrwidth": 65}, r"maxi_addrwidth must be 1..64, not 65"),
        ({"clock_name": "a b"}, r"name of a pin must be letters, digits and '_', .* not 'a b'"),
        ({"clock_name": "RESETN"}, r"pins must have different names; RESETN is the name of two"),
        ({"header2": 1 << 32}, r"header2 must be in 0..4294967295, not 4294967296"),
        ({"offchipram_chunk_bytes": 6}, r"offchipram_chunk_bytes must be a multiple of 4 \(bus_bits\), not 6"),
        ({"interrupt_name": "wire"}, r"name of a pin must be .* no word of the language, not 'wire'"),
        ({"module_name": "1st"}, r"module_name must be letters, digits and '_', .* not '1st'"),
        ({"module_name": "case"}, r"module_name must be .* no word of the language, not 'case'"),
    ],
)
def test_boundaries_that_cannot_be(wish: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneratedConfig(**wish)  # type: ignore[arg-type]


def test_parameters_are_described() -> None:
    described = {parameter.name: parameter.description for parameter in MACHINE.parameters()}
    assert all(described.values())
    assert described["register_map"].startswith("NNgen's version")
