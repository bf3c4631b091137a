"""Queues run on their own and in order; tokens hold them back; stamps say when instructions completed."""

import random
from itertools import pairwise

import pytest
from loopback import SOURCE, TARGET, Rig, bit, delay, end, load, nothing, store

from gatewright.hdl.csr_map import REGISTER_MAP, ErrorCode
from gatewright.hdl.instruction import STAMP_COUNT, TOKEN_WIDTH, Queue
from gatewright.sim.memory import MEMORIES

PAIRS = [(giver, taker) for giver in Queue for taker in Queue if giver != taker]


def any_instruction(queue: Queue, number: int, **fields: int) -> int:
    """An instruction of a queue that takes some time."""
    place = {"scratch": 512 * number, "offset": 512 * number, "length": 300}
    if queue is Queue.LOAD:
        return load(region=SOURCE, **place, **fields)
    if queue is Queue.STORE:
        return store(region=TARGET, **place, **fields)
    return delay(50, **fields)


@pytest.mark.parametrize(("giver", "taker"), PAIRS)
def test_token_orders_two_queues(giver: Queue, taker: Queue) -> None:
    def program(ordered: bool) -> list[int]:
        first = [any_instruction(giver, 2 * i, stamp=i == 3, stamp_index=0) for i in range(3)]
        first.append(any_instruction(giver, 7, stamp=1, stamp_index=0, signal=bit(taker) if ordered else 0))
        second = any_instruction(taker, 8, stamp=1, stamp_index=1, wait=bit(giver) if ordered else 0)
        return [*first, second, end()]

    with Rig() as rig:
        assert rig.run(program(ordered=False))
        free = rig.stamps(2)
        assert rig.run(program(ordered=True))
        ordered = rig.stamps(2)
    assert free[1] < free[0] < ordered[0] + 5
    assert ordered[1] > ordered[0] + 40  # it took its own time after the token came


@pytest.mark.parametrize("memory", ["default", "stalls"])
def test_chain_through_all_pairs(memory: str) -> None:
    chain = [Queue.LOAD, Queue.COMPUTE, Queue.STORE, Queue.COMPUTE, Queue.LOAD, Queue.STORE, Queue.LOAD]
    program = []
    for number, queue in enumerate(chain):
        wait = bit(chain[number - 1]) if number else 0
        signal = bit(chain[number + 1]) if number + 1 < len(chain) else 0
        program.append(any_instruction(queue, number, wait=wait, signal=signal, stamp=1, stamp_index=number))
    with Rig(64, MEMORIES[memory]) as rig:
        assert rig.run([*program, end()]), rig.report()
        stamps = rig.stamps(len(chain))
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert all(gap >= 40 for gap in gaps), stamps


def test_one_completion_gives_to_both_and_one_start_takes_from_both() -> None:
    program = [
        load(region=SOURCE, scratch=0, length=2000, signal=bit(Queue.COMPUTE, Queue.STORE), stamp=1, stamp_index=0),
        delay(20, wait=bit(Queue.LOAD), signal=bit(Queue.STORE), stamp=1, stamp_index=1),
        store(region=TARGET, scratch=0, length=2000, wait=bit(Queue.LOAD, Queue.COMPUTE), stamp=1, stamp_index=2),
        end(),
    ]
    with Rig() as rig:
        rig.check(program)
        load_end, delay_end, store_end = rig.stamps(3)
    assert delay_end == load_end + 21
    assert store_end > delay_end + 2000 // 8


def test_instructions_without_report_complete_in_order() -> None:
    """What the core does not report completes once all before it have."""
    program = [
        delay(100, stamp=1, stamp_index=0),
        nothing(stamp=1, stamp_index=1, signal=bit(Queue.STORE)),
        delay(100, stamp=1, stamp_index=2),
        nothing(stamp=1, stamp_index=3),
        store(region=TARGET, length=8, wait=bit(Queue.COMPUTE), stamp=1, stamp_index=4),
        end(),
    ]
    with Rig() as rig:
        assert rig.run(program)
        stamps = rig.stamps(5)
    # the loopback core takes NOTHING only when its delay is over
    assert stamps[1] == stamps[0] + 2
    assert stamps[2] == stamps[0] + 102
    assert stamps[3] == stamps[2] + 2
    assert stamps[4] > stamps[1]


def test_every_completion_is_stamped_however_they_coincide() -> None:
    """Short instructions of all queues complete in the same cycles; each stamp is of its own instruction."""
    rng = random.Random(1)
    program = []
    for number in range(STAMP_COUNT):
        queue = rng.choice(list(Queue))
        stamp = {"stamp": 1, "stamp_index": number}
        place = {"offset": 8 * number, "scratch": 8 * number, "length": 8}
        if queue is Queue.LOAD:
            program.append(load(region=SOURCE, **place, **stamp))
        elif queue is Queue.STORE:
            program.append(store(region=TARGET, **place, **stamp))
        else:
            program.append(rng.choice((delay(1, **stamp), nothing(**stamp))))
    with Rig(256, MEMORIES["ideal"]) as rig:
        assert rig.run([*program, end()])
        stamps = rig.stamps(STAMP_COUNT)
        cycles = rig.read("CYCLES_LO")
    assert len(set(stamps)) == STAMP_COUNT  # one is written a cycle
    assert max(stamps) <= cycles
    assert min(stamps) > 0
    for queue_words in _by_queue(program):
        own = [stamps[number] for number in queue_words]
        assert own == sorted(own)


def _by_queue(program: list[int]) -> list[list[int]]:
    opcodes = [word & 0xF for word in program]
    return [[n for n, opcode in enumerate(opcodes) if (opcode >= 8) == core and (core or opcode == kind)]
            for core, kind in ((True, 0), (False, 1), (False, 2))]  # fmt: skip


def test_tokens_do_not_outlive_a_run() -> None:
    give = [load(region=SOURCE, length=8, signal=bit(Queue.STORE)), end()]
    take = [store(region=TARGET, length=8, wait=bit(Queue.LOAD)), end()]
    with Rig() as rig:
        assert rig.run(give)
        assert not rig.run(take, timeout_cycles=2000)
        head = rig.read("HEAD", Queue.STORE)
        assert REGISTER_MAP.field("HEAD", "valid").extract(head) == 1
        assert REGISTER_MAP.field("HEAD", "lacks").extract(head) == bit(Queue.LOAD)
        assert REGISTER_MAP.field("HEAD", "index").extract(head) == 0
        assert rig.status("busy") == 1


def test_hung_run_says_what_is_active() -> None:
    with Rig() as rig:
        assert not rig.run([nothing(), delay(60_000), nothing(), end()], timeout_cycles=2000)
        active = rig.read("ACTIVE", Queue.COMPUTE)
        head = rig.read("HEAD", Queue.COMPUTE)
        assert REGISTER_MAP.field("ACTIVE", "index").extract(active) == 1
        assert REGISTER_MAP.field("HEAD", "index").extract(head) == 2
        assert REGISTER_MAP.field("HEAD", "lacks").extract(head) == 0
        assert [rig.read("DISPATCHED", queue) for queue in Queue] == [0, 3, 0]
        assert [rig.read("COMPLETED", queue) for queue in Queue] == [0, 1, 0]


@pytest.mark.parametrize("over", [0, 1])
def test_token_counter_takes_so_many_and_overflow_is_an_error(over: int) -> None:
    most = (1 << TOKEN_WIDTH) - 1
    program = [nothing(signal=bit(Queue.LOAD)) for _ in range(most + over)]
    with Rig() as rig:
        assert rig.run([*program, end()])
        assert rig.error() is (ErrorCode.TOKEN_OVERFLOW if over else ErrorCode.NONE)
        if over:
            assert rig.read("FAULT_INDEX") == most


def test_queues_that_are_full_hold_up_dispatch_only() -> None:
    """More instructions than a queue holds wait for the first; those behind them, in order, for dispatch."""
    program = [delay(400, signal=bit(Queue.STORE), stamp=1, stamp_index=0)]
    program += [delay(1) for _ in range(12)]
    program += [load(region=SOURCE, length=8, stamp=1, stamp_index=1), end()]
    with Rig(queue_depth=4) as rig:
        assert rig.run(program)
        first, behind = rig.stamps(2)
    assert behind > first
    with Rig(queue_depth=16) as rig:
        assert rig.run(program)
        first, behind = rig.stamps(2)
    assert behind < first
