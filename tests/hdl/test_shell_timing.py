"""The timing that docs/shell.md promises and the cycle model counts with, and how busy the bus is kept."""

from itertools import pairwise

import pytest
from loopback import SOURCE, TARGET, Rig, bit, delay, end, load, nothing, store

from gatewright.hdl.axi import BURST_BEATS
from gatewright.hdl.fetch import QUEUE_DEPTH
from gatewright.hdl.instruction import HEADER, INSTRUCTION_BYTES, Queue, pack
from gatewright.hdl.load import LoadUnit
from gatewright.hdl.store import StoreUnit
from gatewright.sim.memory import MemoryOptions

STAMP = {"stamp": 1, "stamp_index": 0}
FIRST_REQUEST = 1  # cycle of the fetch's ARVALID, counted as CYCLES counts
INSTRUCTION_TO_START = 2  # last beat of an instruction to its unit taking it: fetch queue, issue queue
REQUEST_TO_PINS = 1


def memory(latency: int, **options: int) -> MemoryOptions:
    return MemoryOptions(read_latency=latency, write_latency=latency, **options)


def start(latency: int, bus_bits: int, index: int = 0) -> int:
    """Cycle in which instruction `index` (of the first burst) is taken by its idle unit."""
    beats = INSTRUCTION_BYTES * 8 // bus_bits
    return FIRST_REQUEST + latency + (index + 1) * beats - 1 + INSTRUCTION_TO_START


@pytest.mark.parametrize("latency", [1, 7, 32])
@pytest.mark.parametrize("bus_bits", [32, 64, 256])
class TestLatency:
    def test_compute(self, bus_bits: int, latency: int) -> None:
        with Rig(bus_bits, memory(latency)) as rig:
            assert rig.run([delay(5, **STAMP), end()])
            assert rig.stamps(1) == [start(latency, bus_bits) + 5]

    @pytest.mark.parametrize("beats", [1, 3])
    def test_load(self, bus_bits: int, latency: int, beats: int) -> None:
        with Rig(bus_bits, memory(latency)) as rig:
            # longer programs would have their fetch in the way of the load
            assert rig.run([load(region=SOURCE, length=beats * rig.bus_bytes, **STAMP), end()])
            request = start(latency, bus_bits) + LoadUnit.REQUEST_LATENCY + REQUEST_TO_PINS
            fetched = start(latency, bus_bits, 1) - INSTRUCTION_TO_START
            first_beat = max(request + latency, fetched + 1)
            completion = first_beat + beats - 1 + LoadUnit.WRITE_LATENCY
            assert rig.stamps(1) == [completion]
            assert rig.read("CYCLES_LO") == completion + 2

    @pytest.mark.parametrize("beats", [1, 3])
    def test_store(self, bus_bits: int, latency: int, beats: int) -> None:
        with Rig(bus_bits, memory(latency)) as rig:
            assert rig.run([store(region=TARGET, length=beats * rig.bus_bytes, **STAMP), end()])
            first_beat = start(latency, bus_bits) + StoreUnit.REQUEST_LATENCY + StoreUnit.DATA_LATENCY
            completion = first_beat + beats - 1 + latency
            assert rig.stamps(1) == [completion]
            assert rig.read("CYCLES_LO") == completion + 2

    def test_token(self, bus_bits: int, latency: int) -> None:
        """A completion in cycle t lets a waiting instruction start in t + 1."""
        with Rig(bus_bits, memory(latency)) as rig:
            first = delay(200, signal=bit(Queue.LOAD), **STAMP)
            second = load(region=SOURCE, length=1, wait=bit(Queue.COMPUTE), stamp=1, stamp_index=1)
            assert rig.run([first, second, end()])
            given, loaded = rig.stamps(2)
            assert loaded == given + 1 + LoadUnit.REQUEST_LATENCY + REQUEST_TO_PINS + latency + LoadUnit.WRITE_LATENCY


def test_dispatch_takes_one_instruction_a_cycle() -> None:
    with Rig(256, memory(1)) as rig:
        assert rig.run([*(nothing(stamp=1, stamp_index=number) for number in range(8)), end()])
        assert [later - earlier for earlier, later in pairwise(rig.stamps(8))] == [1] * 7


def read_busy(rig: Rig, program: list[int]) -> float:
    """Beats a cycle from the first to the last load's completion; the fetch's beats in between count as well."""
    first, *others = program
    marked = [first | _stamp(0), *others[:-1], others[-1] | _stamp(1)]
    assert rig.run([*marked, end()])
    begin, finish = rig.stamps(2)
    transfers = rig.bus.stall_counts["m_axi_r"].transfers
    fetched_before = QUEUE_DEPTH * INSTRUCTION_BYTES // rig.bus_bytes
    return (transfers - fetched_before - 1) / (finish - begin)


def _stamp(index: int) -> int:
    return pack(HEADER, {"stamp": 1, "stamp_index": index})


@pytest.mark.parametrize("bus_bits", [32, 64, 128, 256])
@pytest.mark.parametrize("offset", [0, 12])
def test_loads_in_a_row_keep_the_bus_busy(bus_bits: int, offset: int) -> None:
    """Loads of one longest burst each, the first a single beat."""
    size = BURST_BEATS * bus_bits // 8
    loads = [load(region=SOURCE, length=4)]
    loads += [load(region=SOURCE, offset=number * size + offset, length=size) for number in range(30)]
    with Rig(bus_bits, memory(32)) as rig:
        assert 0.97 <= read_busy(rig, loads) <= 1


@pytest.mark.parametrize(("outstanding", "latency"), [(8, 6), (8, 32), (16, 32), (40, 32)])
def test_short_segments_request_a_burst_a_cycle_as_far_as_outstanding_bursts_reach(
    outstanding: int, latency: int
) -> None:
    segments = 400
    program = [
        load(region=SOURCE, length=4, **STAMP),
        load(
            region=SOURCE, length=8, count0=20, stride0=24, count1=segments // 20, stride1=800, stamp=1, stamp_index=1
        ),
        end(),
    ]
    with Rig(64, memory(latency, read_limit=64), read_bursts=outstanding) as rig:
        assert rig.run(program)
        begin, finish = rig.stamps(2)
        assert finish - begin == pytest.approx(segments * max(1, (latency + 2) / outstanding), abs=20)


@pytest.mark.parametrize("bus_bits", [32, 64, 128, 256])
def test_stores_in_a_row_keep_the_bus_busy(bus_bits: int) -> None:
    size = BURST_BEATS * bus_bits // 8
    stores = [store(region=TARGET, offset=number * size, length=size) for number in range(20)]
    stores[0] |= _stamp(0)
    stores[-1] |= _stamp(1)
    with Rig(bus_bits, memory(32)) as rig:
        assert rig.run([*stores, end()])
        begin, finish = rig.stamps(2)
        assert 19 * BURST_BEATS / (finish - begin) >= 0.97


def test_counters() -> None:
    """Every cycle of a run has at most one reason; they are what the program makes them."""
    program = [
        load(region=SOURCE, length=4000, signal=bit(Queue.COMPUTE), **STAMP),
        delay(300, wait=bit(Queue.LOAD), signal=bit(Queue.STORE), stamp=1, stamp_index=1),
        store(region=TARGET, length=4000, wait=bit(Queue.COMPUTE), signal=bit(Queue.COMPUTE), stamp=1, stamp_index=2),
        delay(100, wait=bit(Queue.STORE)),
        end(),
    ]
    with Rig(64, memory(32)) as rig:
        assert rig.run(program)
        load_end, delay_end, store_end = rig.stamps(3)
        beats_each = INSTRUCTION_BYTES // 8
        assert rig.read("COMPUTE_BUSY") == 400
        assert rig.read("STALL_LOAD") == load_end - start(32, 64, 1) + 1
        assert rig.read("STALL_STORE") == store_end - delay_end
        assert rig.read("STALL_DRAIN") == 0
        assert rig.read("READ_BEATS") == 500 + len(program) * beats_each
        assert rig.read("WRITE_BEATS") == 500
        reasons = ("COMPUTE_BUSY", "STALL_LOAD", "STALL_STORE", "STALL_FETCH", "STALL_DRAIN")
        assert rig.read("CYCLES_LO") - 5 <= sum(rig.read(name) for name in reasons) <= rig.read("CYCLES_LO")
