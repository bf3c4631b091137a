"""The copy machine on every kind of memory: results never change, cycles do, and errors reach the machine."""

from dataclasses import replace

import numpy as np
import pytest

from gatewright.errors import ConfigError, MachineFault
from gatewright.host import Bus
from gatewright.sim import MEMORIES, ErrorRange, MemoryOptions, ProtocolError, SimulatedBus

BURST = 8
SOURCE, TARGET, LENGTH, CONTROL = 0, 4, 8, 12
DONE, ERROR = 1, 2


def start(bus, bursts, source=0, target=0x8000):
    for register, value in ((SOURCE, bus.base + source), (TARGET, bus.base + target), (LENGTH, bursts), (CONTROL, 1)):
        bus.write32(register, value)


def copy(bus, bursts=32, source=0, target=0x8000, data_width=64):
    """Copy, check the result, and return the cycles from start to interrupt and the status."""
    size = bursts * BURST * data_width // 8
    before = bus.memory.copy()
    began = bus.cycles
    start(bus, bursts, source, target)
    assert bus.wait_interrupt()
    took = bus.cycles - began
    assert bus.outstanding == 0
    status = bus.read32(CONTROL)
    bus.write32(CONTROL, 1)
    expected = before
    expected[target : target + size] = before[source : source + size]
    return took, status, np.array_equal(bus.memory, expected)


@pytest.mark.parametrize("name", MEMORIES)
def test_copies_on_every_memory(open_bus, name):
    _, status, equal = copy(open_bus(options=MEMORIES[name]))
    assert (status, equal) == (DONE, True)


@pytest.mark.parametrize("seed", range(12))
def test_copies_under_stalls(open_bus, seed):
    bus = open_bus(options=MEMORIES["stalls"], seed=seed)
    for _ in range(3):
        _, status, equal = copy(bus)
        assert (status, equal) == (DONE, True)


@pytest.mark.parametrize("data_width", [32, 64, 128, 256])
@pytest.mark.parametrize("memory", ["default", "stalls"])
def test_copies_at_every_width(open_bus, data_width, memory):
    bus = open_bus(data_width, options=MEMORIES[memory], seed=3)
    _, status, equal = copy(bus, bursts=20, data_width=data_width)
    assert (status, equal) == (DONE, True)


def test_is_a_bus(open_bus):
    assert isinstance(open_bus(), Bus)


def test_stalls_come_on_every_channel(open_bus):
    bus = open_bus(options=MEMORIES["stalls"])
    for _ in range(12):
        copy(bus)
    counts = bus.stall_counts
    assert {name for name, count in counts.items() if not count.held_by_bench} == set()
    assert counts["m_axi_r"].transfers == counts["m_axi_w"].transfers == 12 * 32 * BURST
    assert counts["m_axi_ar"].transfers == counts["m_axi_aw"].transfers == counts["m_axi_b"].transfers == 12 * 32


def test_default_memory_holds_nothing_but_addresses_and_early_data(open_bus):
    bus = open_bus()
    copy(bus)
    held = {name: count.held_by_bench for name, count in bus.stall_counts.items()}
    assert {name for name, cycles in held.items() if cycles} <= {"m_axi_ar", "m_axi_aw", "m_axi_w"}


def test_cycles_repeat_by_seed(open_bus):
    options = MEMORIES["stalls"]
    took = [copy(open_bus(options=options, seed=seed))[0] for seed in (1, 1, 2)]
    assert took[0] == took[1] != took[2]
    assert not options.is_deterministic


def test_cycles_of_a_deterministic_memory_ignore_the_seed(open_bus):
    took = {copy(open_bus(options=MEMORIES[name], seed=seed))[0] for seed in (1, 2) for name in ("default",)}
    assert len(took) == 1
    assert MEMORIES["default"].is_deterministic


@pytest.mark.parametrize(("read", "write"), [(1, 1), (10, 1), (1, 10), (40, 33)])
def test_latencies_are_as_stated(open_bus, read, write):
    fastest = copy(open_bus(options=MemoryOptions(read_latency=1, write_latency=1)), bursts=1)[0]
    slower = copy(open_bus(options=MemoryOptions(read_latency=read, write_latency=write)), bursts=1)[0]
    assert slower - fastest == read - 1 + write - 1


@pytest.mark.parametrize(
    ("name", "value", "longer"),
    [
        ("read_wait", 5, 5),
        ("write_wait", 9, 9),
        ("write_gap", 4, 3),
    ],
)
def test_addresses_and_data_wait_as_stated(open_bus, name, value, longer):
    """One burst each way: nothing hides what it waits for."""
    options = MemoryOptions(read_latency=1, write_latency=1)
    fastest = copy(open_bus(options=options), bursts=1)[0]
    assert copy(open_bus(options=replace(options, **{name: value})), bursts=1)[0] - fastest == longer


def test_serial_reads_begin_after_each_other(open_bus):
    """Of several reads each begins `read_latency` cycles after the end of the one before it."""
    bursts, latency = 6, 50
    bus = open_bus(options=MemoryOptions(read_latency=latency, write_latency=1, serial=True))
    serial = copy(bus, bursts=bursts)[0]
    first = copy(open_bus(options=MemoryOptions(read_latency=latency, write_latency=1)), bursts=1)[0]
    assert serial - first == (bursts - 1) * (latency + BURST - 1)


def test_outstanding_limit_keeps_addresses_waiting(open_bus):
    free = copy(open_bus(options=MemoryOptions(read_latency=100)))[0]
    bus = open_bus(options=MemoryOptions(read_latency=100, read_limit=1))
    assert copy(bus)[0] > free
    assert bus.stall_counts["m_axi_ar"].held_by_bench > 0


def test_pauses_take_their_share(open_bus):
    bus = open_bus(options=MemoryOptions(read_latency=1, write_latency=1, run_cycles=15, pause_cycles=4))
    copy(bus)
    assert bus.stall_counts["m_axi_r"].held_by_bench > 0
    assert bus.stall_counts["m_axi_w"].held_by_bench > 0


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("response", ["SLVERR", "DECERR"])
def test_error_ranges_answer_with_an_error(open_bus, reads, response):
    place = 0x8000_0000 + (0x100 if reads else 0x8100)
    options = MemoryOptions(errors=(ErrorRange(place, 4, response, reads=reads, writes=not reads),))
    bus = open_bus(options=options)
    bus.memory[:] = 0
    bus.memory[:0x1000] = 7
    _, status, equal = copy(bus)
    assert status == DONE | ERROR
    assert not equal
    if not reads:
        assert bus.memory[0x8100:0x8108].tolist() == [0] * 8
        assert bus.memory[0x8108:0x8110].tolist() == [7] * 8


def test_places_outside_the_memory_answer_with_an_error(open_bus):
    bus = open_bus(memory_bytes=0x9000)
    start(bus, 1, target=0x9000)
    assert bus.wait_interrupt()
    assert bus.read32(CONTROL) == DONE | ERROR


def test_registers_that_are_missing_are_a_fault(open_bus):
    bus = open_bus()
    with pytest.raises(MachineFault, match="The machine answers SLVERR to a write of register 0x40"):
        bus.write32(0x40, 1)
    assert bus.read32(LENGTH) is not None


def test_registers_keep_their_values(open_bus):
    bus = open_bus(options=MEMORIES["stalls"])
    bus.write32(SOURCE, 0xDEAD_BEEF)
    bus.write32(LENGTH, 0x1234_5678)
    assert (bus.read32(SOURCE), bus.read32(LENGTH)) == (0xDEAD_BEEF, 0x1234_5678)


def test_time_passes_in_accesses_and_steps_only(open_bus):
    bus = open_bus(options=MemoryOptions(host_cycles=20))
    quiet = open_bus(options=MemoryOptions(host_cycles=0))
    for one in (bus, quiet):
        one.cost = -one.cycles
        one.read32(0)
        one.cost += one.cycles
    assert bus.cost - quiet.cost == 20
    before = bus.cycles
    bus.step(100)
    assert bus.cycles == before + 100


def test_waiting_ends_without_an_interrupt(open_bus):
    bus = open_bus()
    before = bus.cycles
    assert not bus.wait_interrupt(500)
    assert bus.cycles == before + 500
    assert bus.idle_cycles >= 500


def test_hazards_are_found_when_asked_for(open_bus):
    options = MemoryOptions(read_limit=8, check_hazards=True)
    assert copy(open_bus(options=options))[1] == DONE
    bus = open_bus(options=options)
    start(bus, 8, source=0, target=0x40)
    with pytest.raises(ProtocolError, match=r"(read|write) at 0x80000[0-9a-f]{3} while a (read|write)"):
        bus.wait_interrupt()


def test_memory_starts_as_noise_by_seed(open_bus):
    first, second, third = (open_bus(seed=seed).memory.copy() for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_reset_makes_ready_again(open_bus):
    bus = open_bus(options=MEMORIES["stalls"])
    start(bus, 32)
    bus.step(50)
    bus.reset()
    assert bus.outstanding == 0
    assert copy(bus)[1:] == (DONE, True)


def test_place_of_the_memory_is_free(open_bus):
    bus = open_bus(base=0x1000_0000)
    assert bus.base == 0x1000_0000
    assert copy(bus)[1:] == (DONE, True)


def test_trace_is_written(open_bus, tmp_path):
    bus = open_bus(trace=tmp_path / "run.vcd")
    copy(bus, bursts=1)
    bus.close()
    assert "m_axi_araddr" in (tmp_path / "run.vcd").read_text()


def test_width_must_be_the_machines(copy_verilog):
    with pytest.raises(ConfigError, match="AXI4 master must be 128 bits wide, not 64"):
        SimulatedBus(copy_verilog(64), "copy_machine", data_width=128, memory_bytes=64)


def test_ports_must_be_those_of_a_machine():
    with pytest.raises(ConfigError, match="Module top must have the ports of a machine; these are missing: irq, m_axi"):
        SimulatedBus("module top(input clk, input rst); endmodule", "top", memory_bytes=64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_latency": 0}, "read_latency of the memory must be at least 1, not 0"),
        ({"jitter": -1}, "jitter of the memory must not be negative, not -1"),
        ({"pause_cycles": 3}, "run_cycles of the memory must be at least 1 where pause_cycles is not 0"),
        ({"stall_probability": 1.0}, "stall_probability of the memory must be 0..0.95, not 1.0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        MemoryOptions(**options)


def test_memories_have_names():
    assert MemoryOptions.named("ideal") is MEMORIES["ideal"]
    with pytest.raises(ConfigError, match="Memory must be one of default, ideal, nngen, stalls, not 'fast'"):
        MemoryOptions.named("fast")
