"""The shell moves bytes: any alignment, stride, count and bus width, under whatever the memory does."""

import random

import pytest
from loopback import SOURCE, TARGET, TARGET_PLACE, PausingMachine, Rig, bit, end, load, store

from gatewright.hdl.instruction import Queue
from gatewright.sim.memory import MEMORIES, MemoryOptions

BUS_BITS = (32, 64, 128, 256)
SLOTS = 4  # parts of the scratchpad, used in turn
SLOT_BYTES = 1 << 14
AREA_BYTES = 1 << 14  # of the target, for each store


def copies(rng: random.Random, count: int) -> list[int]:
    """A program of random loads and stores over `SLOTS` slots; a slot is reused when its store has been done."""
    program = []
    for number in range(count):
        slot = number % SLOTS * SLOT_BYTES
        start = rng.randrange(64)
        from_store = bit(Queue.STORE) if number >= SLOTS else 0
        program.append(
            load(
                region=SOURCE,
                offset=rng.randrange(1 << 16),
                scratch=slot + start,
                wait=from_store,
                signal=bit(Queue.STORE),
                **(nest := loaded(rng)),
            )
        )
        total = nest["length"] * nest["count0"] * nest["count1"]
        program.append(
            store(
                region=TARGET,
                offset=number * AREA_BYTES + rng.randrange(64),
                scratch=slot + start + rng.randrange(8),
                wait=bit(Queue.LOAD),
                signal=bit(Queue.LOAD),
                **stored(rng, total - 7),
            )
        )
    # tokens that are left over do no harm
    return [*program, end()]


def loaded(rng: random.Random) -> dict[str, int]:
    """A nest of up to about 5000 bytes; segments may overlap and go backwards."""
    length = rng.choice((rng.randint(1, 40), rng.randint(1, 1500)))
    count0 = rng.randint(1, max(1, min(20, 5000 // length)))
    count1 = rng.randint(1, max(1, min(5, 5000 // (length * count0))))
    length += 8  # at least 8 bytes in all
    return {
        "length": length,
        "count0": count0,
        "stride0": rng.randint(-2000, 2000),
        "count1": count1,
        "stride1": rng.randint(-9000, 9000),
    }


def stored(rng: random.Random, total: int) -> dict[str, int]:
    """A nest of up to `total` bytes whose segments do not overlap."""
    count0 = rng.randint(1, min(8, total))
    count1 = rng.randint(1, min(4, total // count0))
    length = rng.randint(1, total // (count0 * count1))
    stride0 = length + rng.randrange(20)
    return {
        "length": length,
        "count0": count0,
        "stride0": stride0,
        "count1": count1,
        "stride1": stride0 * count0 + rng.randrange(100),
    }


@pytest.mark.parametrize("bus_bits", BUS_BITS)
@pytest.mark.parametrize("memory", ["default", "ideal", "nngen", "stalls"])
def test_random_copies(bus_bits: int, memory: str) -> None:
    program = copies(random.Random(bus_bits), 24)
    with Rig(bus_bits, MEMORIES[memory], seed=bus_bits) as rig:
        rig.check(program)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bus_bits", BUS_BITS)
def test_random_copies_under_stalls(bus_bits: int, seed: int) -> None:
    options = MemoryOptions(
        read_latency=1 + seed, jitter=30 * (seed % 3), stall_probability=0.1 * seed, reorder=True, read_limit=1 + seed
    )
    program = copies(random.Random(seed), 24)
    with Rig(bus_bits, options, seed=seed) as rig:
        rig.check(program)


@pytest.mark.parametrize("bus_bits", BUS_BITS)
@pytest.mark.parametrize("memory", ["ideal", "stalls"])
def test_random_copies_with_a_core_that_holds_back(bus_bits: int, memory: str) -> None:
    program = copies(random.Random(bus_bits), 24)
    with Rig(bus_bits, MEMORIES[memory], seed=bus_bits, machine=PausingMachine) as rig:
        rig.check(program)


@pytest.mark.parametrize("base", [0, 0xFFF0_0000, 0x12_3456_7000, 0xFFFF_FFFF_FFF0_0000])
def test_memory_anywhere_in_64_bits(base: int) -> None:
    with Rig(base=base) as rig:
        rig.check(copies(random.Random(1), 6))


@pytest.mark.parametrize("bus_bits", BUS_BITS)
def test_every_alignment(bus_bits: int) -> None:
    """Each offset in memory with each one in the scratchpad, lengths around the bus's width."""
    lanes = bus_bits // 8
    program = []
    for number in range(2 * lanes):
        here, there = number % lanes, number * 7 % lanes
        length = 1 + number * 5 % (2 * lanes)
        scratch = 128 * number + here
        program.append(load(region=SOURCE, offset=300 * number + there, scratch=scratch, length=length, signal=4))
        program.append(store(region=TARGET, offset=128 * number + there, scratch=scratch, length=length, wait=1))
    with Rig(bus_bits, MEMORIES["ideal"]) as rig:
        rig.check([*program, end()])


@pytest.mark.parametrize("bus_bits", BUS_BITS)
@pytest.mark.parametrize("offset", [4095, 4090, 1, 0])
def test_long_transfers_over_4_kib_boundaries(bus_bits: int, offset: int) -> None:
    length = 20_001
    program = [
        load(region=SOURCE, offset=offset, scratch=3, length=length, signal=4),
        store(region=TARGET, offset=4096 - offset, scratch=3, length=length, wait=1),
        end(),
    ]
    with Rig(bus_bits) as rig:
        rig.check(program)


def test_scratchpad_addresses_wrap() -> None:
    program = [
        load(region=SOURCE, offset=5, scratch=(1 << 16) - 100, length=300, signal=4),
        store(region=TARGET, offset=2, scratch=(1 << 16) - 90, length=200, wait=1),
        end(),
    ]
    with Rig() as rig:
        rig.check(program)


def test_memory_that_was_stored_can_be_loaded_once_the_store_has_signalled() -> None:
    """AXI does not order reads after writes: the token comes after the last write response."""
    options = MemoryOptions(read_latency=1, write_latency=60, jitter=20, reorder=True, check_hazards=True)
    program = []
    for number in range(12):
        place = 512 * number
        region = SOURCE if number == 0 else TARGET
        program.append(
            load(region=region, offset=max(0, place - 512), scratch=place, length=512, wait=4 * (number > 0), signal=4)
        )
        program.append(store(region=TARGET, offset=place, scratch=place, length=512, wait=1, signal=1))
    with Rig(64, options) as rig:
        rig.check([*program, end()])
        source = rig.bus.memory[1 << 17 : (1 << 17) + 512]
        assert (rig.bus.memory[TARGET_PLACE + 11 * 512 : TARGET_PLACE + 12 * 512] == source).all()


def test_odd_depths() -> None:
    program = copies(random.Random(3), 24)
    with Rig(64, MEMORIES["stalls"], queue_depth=5, read_bursts=3, write_bursts=7) as rig:
        rig.check(program)
