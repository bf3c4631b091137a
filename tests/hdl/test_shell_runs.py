"""Runs: rows of short segments cross the bus in one go, and only what is meant arrives."""

import random

import pytest
from loopback import SOURCE, TARGET, PausingMachine, Rig, bit, end, load, store

from gatewright.hdl.burst import AddressSpace, longest_burst
from gatewright.hdl.instruction import Queue
from gatewright.sim.memory import MEMORIES, MemoryOptions

BUS_BITS = (32, 64, 128, 256)
SLOT_BYTES = 1 << 14
AREA_BYTES = 1 << 15


def space(bus_bits, runs=True):
    return AddressSpace(beats=longest_burst(bus_bits // 8), runs=runs)


def row(rng, bus_bytes, total):
    """A nest of rows of segments, up to `total` bytes, that can be moved as runs."""
    pitch = bus_bytes * rng.randint(1, 6)
    length = rng.randint(1, min(pitch, total))
    count0 = rng.randint(1, max(1, min(300, total // length)))
    count1 = rng.randint(1, max(1, min(4, total // (length * count0), AREA_BYTES // 2 // (pitch * count0))))
    return {
        "length": length,
        "count0": count0,
        "stride0": pitch,
        "count1": count1,
        "stride1": pitch * count0 + bus_bytes * rng.randrange(5),
        "run": (count0 - 1) * pitch + length,
    }


def moved(nest):
    return nest["length"] * nest["count0"] * nest["count1"]


def copies(rng, bus_bytes, count):
    """Loads and stores in turn, some of them runs and some not; a store takes what a load has brought."""
    program = []
    for number in range(count):
        slot = number % 4 * SLOT_BYTES + rng.randrange(64)
        loaded = row(rng, bus_bytes, 4000)
        stored = row(rng, bus_bytes, moved(loaded))
        offset = number * AREA_BYTES % (1 << 18) + bus_bytes * rng.randrange(20)
        for nest in (loaded, stored):
            if rng.random() < 0.2:
                nest["run"] = 0
        tokens = bit(Queue.STORE) if number >= 4 else 0
        place = {"offset": bus_bytes * rng.randrange(1000), "scratch": slot}
        program.append(load(region=SOURCE, wait=tokens, signal=bit(Queue.STORE), **place, **loaded))
        place = {"offset": offset, "scratch": slot}
        program.append(store(region=TARGET, wait=bit(Queue.LOAD), signal=bit(Queue.LOAD), **place, **stored))
    return [*program, end()]


@pytest.mark.parametrize("bus_bits", BUS_BITS)
@pytest.mark.parametrize("memory", ["ideal", "nngen", "stalls"])
def test_random_runs(bus_bits, memory):
    rng = random.Random(f"{bus_bits} {memory}")
    for seed in range(3):
        with Rig(bus_bits, MEMORIES[memory], seed=seed, space=space(bus_bits)) as rig:
            rig.check(copies(rng, bus_bits // 8, 16))


@pytest.mark.parametrize("seed", range(3))
def test_a_core_that_pauses(seed):
    rng = random.Random(seed)
    with Rig(32, MEMORIES["stalls"], seed=seed, machine=PausingMachine, space=space(32)) as rig:
        rig.check(copies(rng, 4, 12))


@pytest.mark.parametrize("runs", [False, True])
def test_a_machine_without_runs_moves_the_same(runs):
    rng = random.Random(5)
    program = copies(rng, 8, 12)
    with Rig(64, space=space(64, runs)) as rig:
        rig.check(program)


@pytest.mark.parametrize("bus_bits", BUS_BITS)
def test_a_run_takes_one_beat_a_cycle(bus_bits):
    """Segments one byte shorter than a bus word: a load, then a store, of as many beats as they take of the bus."""
    bus_bytes, count = bus_bits // 8, 1000
    pitch, length = bus_bytes, bus_bytes - 1
    nest = {"length": length, "count0": count, "stride0": pitch, "run": (count - 1) * pitch + length}
    read = load(region=SOURCE, offset=0, scratch=3, signal=bit(Queue.STORE), **nest)
    write = store(region=TARGET, offset=0, scratch=3, wait=bit(Queue.LOAD), **nest)
    ideal = MemoryOptions(read_latency=1, write_latency=1, read_limit=16, write_limit=16)
    with Rig(bus_bits, ideal, space=space(bus_bits)) as rig:
        rig.check([read, write, end()])
        assert rig.read("WRITE_BEATS") == count
        fetched = 3 * 32 // bus_bytes
        assert count <= rig.read("READ_BEATS") - fetched <= count + 32
        assert rig.read("CYCLES_LO") <= 2 * count + 100
