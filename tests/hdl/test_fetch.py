"""The program is read once, no further than its length, from wherever it lies."""

from itertools import pairwise

import pytest
from loopback import BASE, Rig, delay, end, nothing

from gatewright.hdl.csr_map import REGISTER_MAP
from gatewright.hdl.instruction import INSTRUCTION_BYTES, Queue
from gatewright.sim.memory import MEMORIES


def run_at(rig: Rig, place: int, program: list[int]) -> None:
    rig.place(program)
    size = len(program) * INSTRUCTION_BYTES
    rig.bus.memory[place : place + size] = rig.bus.memory[:size].copy()
    rig.bus.memory[:place] = 0
    rig.write("REGION_BASE_LO", BASE + place, 0)
    rig.order("start")
    assert rig.bus.wait_interrupt()
    assert rig.read("STATUS") == REGISTER_MAP.field("STATUS", "done").insert(1)


@pytest.mark.parametrize("bus_bits", [32, 64, 128, 256])
@pytest.mark.parametrize("memory", ["ideal", "stalls"])
def test_length_and_place(bus_bits: int, memory: str) -> None:
    with Rig(bus_bits, MEMORIES[memory]) as rig:
        for length, place in ((1, 0), (2, 224), (8, 256), (9, 4096 - 64), (17, 32), (40, 4096 - 32), (100, 96)):
            run_at(rig, place, [*(nothing() for _ in range(length - 1)), end()])
            assert rig.read("COMPLETED", Queue.COMPUTE) == length - 1
            assert rig.read("READ_BEATS") == length * INSTRUCTION_BYTES // rig.bus_bytes


def test_instructions_come_in_order_through_a_slow_core() -> None:
    cycles = [1 + number * 7 % 13 for number in range(60)]
    program = [delay(count, stamp=1, stamp_index=number) for number, count in enumerate(cycles)]
    with Rig(256, MEMORIES["ideal"]) as rig:
        assert rig.run([*program, end()])
        stamps = rig.stamps(len(cycles))
    assert [later - earlier for earlier, later in pairwise(stamps)] == [c + 1 for c in cycles[1:]]
