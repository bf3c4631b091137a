"""What stops the machine, what it says about it, and how it runs again."""

import random

import pytest
from loopback import BASE, SOURCE, SOURCE_PLACE, TARGET, TARGET_PLACE, Rig, bit, delay, end, load, store

from gatewright.errors import MachineFault
from gatewright.hdl.csr_map import REGISTER_MAP, ErrorCode
from gatewright.hdl.instruction import HEADER, TRANSFER, Memory, Opcode, Queue, pack
from gatewright.sim.memory import MEMORIES, ErrorRange, MemoryOptions

COPY = [
    load(region=SOURCE, offset=3, scratch=0, length=4000, signal=bit(Queue.STORE)),
    store(region=TARGET, offset=1, scratch=0, length=4000, wait=bit(Queue.LOAD)),
    end(),
]

ILLEGAL = {
    "blank memory": 0,
    "opcode nobody has": pack(HEADER, {"opcode": 5}),
    "opcode of another core": pack(HEADER, {"opcode": Opcode.CORE2}),
    "reserved bits": pack(HEADER, {"opcode": Opcode.CORE1, "reserved": 1}),
    "wait for itself": load(length=8, wait=bit(Queue.LOAD)),
    "signal to itself": store(length=8, signal=bit(Queue.STORE)),
    "no length": load(length=0),
    "no count0": load(length=8, count0=0),
    "no count1": store(length=8, count1=0),
    "load of a memory the machine has not": pack(
        TRANSFER, {"opcode": Opcode.LOAD, "memory": Memory.WEIGHT, "length": 8, "count0": 1, "count1": 1}
    ),
    "store of a memory that cannot be stored": pack(
        TRANSFER, {"opcode": Opcode.STORE, "memory": Memory.TABLE, "length": 8, "count0": 1, "count1": 1}
    ),
}


def reset(rig: Rig) -> None:
    rig.order("reset")
    for _ in range(200):
        if not rig.status("resetting"):
            break
        rig.bus.step(50)
    assert rig.read("STATUS") == 0
    assert rig.read("IRQ_STATUS") == 0
    assert rig.bus.outstanding == 0


@pytest.mark.parametrize("word", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_illegal_instruction(word: int) -> None:
    with Rig() as rig:
        assert rig.run([delay(1), delay(1), word, end()])
        assert rig.status("error") == 1
        assert rig.status("busy") == 0
        assert rig.error() is ErrorCode.ILLEGAL_INSTRUCTION
        assert rig.read("FAULT_INDEX") == 2
        assert rig.read("IRQ_STATUS") == REGISTER_MAP.field("IRQ_STATUS", "error").insert(1)
        rig.order("start")  # has no effect before a reset
        assert rig.status("error") == 1
        reset(rig)
        rig.check(COPY)


@pytest.mark.parametrize("program", [[], [delay(5), delay(5)]], ids=["empty", "without END"])
def test_program_without_end(program: list[int]) -> None:
    with Rig() as rig:
        assert rig.run(program)
        assert rig.error() is ErrorCode.PROGRAM_END_MISSING
        assert rig.read("FAULT_INDEX") == len(program)


@pytest.mark.parametrize("memory", [MemoryOptions(), MEMORIES["stalls"]], ids=["default", "stalls"])
@pytest.mark.parametrize(
    ("code", "place", "index"),
    [
        (ErrorCode.READ_BUS_ERROR, SOURCE_PLACE + 8192, 1),
        (ErrorCode.WRITE_BUS_ERROR, TARGET_PLACE + 8192, 4),
        (ErrorCode.READ_BUS_ERROR, 0, 0),
    ],
    ids=["load", "store", "fetch"],
)
def test_bus_error(code: ErrorCode, place: int, index: int, memory: MemoryOptions) -> None:
    errors = (
        ErrorRange(BASE + place, 1, reads=code is ErrorCode.READ_BUS_ERROR, writes=code is ErrorCode.WRITE_BUS_ERROR),
    )
    options = MemoryOptions(**{**vars(memory), "errors": errors})
    program = [
        load(region=SOURCE, offset=0, scratch=0, length=2000),
        load(region=SOURCE, offset=4000, scratch=2000, length=9000),
        load(region=SOURCE, offset=0, scratch=0, length=2000, signal=bit(Queue.STORE)),
        store(region=TARGET, offset=0, scratch=0, length=3000, wait=bit(Queue.LOAD)),
        store(region=TARGET, offset=3000, scratch=0, length=9000),
        end(),
    ]
    with Rig(64, options) as rig:
        assert rig.run(program)
        assert rig.error() is code
        assert rig.read("FAULT_INDEX") == index
        fault = rig.read("FAULT_ADDRESS_LO") | rig.read("FAULT_ADDRESS_HI") << 32
        assert fault <= BASE + place < fault + 512
        before = rig.bus.stall_counts["m_axi_ar"].transfers
        rig.bus.step(500)
        assert rig.bus.stall_counts["m_axi_ar"].transfers <= before + 1  # nothing new is requested
        reset(rig)
        if code is not ErrorCode.READ_BUS_ERROR or place:
            rig.check(COPY)


def test_address_beside_the_memory_is_a_bus_error() -> None:
    with Rig() as rig:
        assert rig.run([load(region=SOURCE, offset=0xF000_0000, length=100), end()])
        assert rig.error() is ErrorCode.READ_BUS_ERROR
        assert rig.read("FAULT_ADDRESS_HI") == 1  # the sum of base and offset has its carry


@pytest.mark.parametrize("bus_bits", [32, 64, 256])
@pytest.mark.parametrize("memory", ["default", "stalls"])
def test_soft_reset_in_the_middle_and_a_correct_run_after_it(memory: str, bus_bits: int) -> None:
    rng = random.Random(bus_bits)
    program = []
    for number in range(6):
        place = 8192 * number
        program.append(load(region=SOURCE, offset=place + number, scratch=place, length=8000, signal=bit(Queue.STORE)))
        program.append(store(region=TARGET, offset=place, scratch=place, length=8000, wait=bit(Queue.LOAD)))
    with Rig(bus_bits, MEMORIES[memory]) as rig:
        for _ in range(12):
            rig.place([*program, end()])
            rig.order("start")
            rig.bus.step(rng.randrange(3000))
            rig.order("reset")
            reset(rig)
            counted = [rig.bus.stall_counts[f"m_axi_{channel}"].transfers for channel in ("ar", "aw", "w", "r")]
            rig.bus.step(100)
            after = [rig.bus.stall_counts[f"m_axi_{channel}"].transfers for channel in ("ar", "aw", "w", "r")]
            assert counted == after
        rig.check(COPY)
        rig.check([*program, end()])


def test_soft_reset_keeps_what_the_host_has_set() -> None:
    with Rig() as rig:
        rig.place(COPY)
        rig.order("reset")
        rig.bus.step(10)
        assert rig.read("REGION_BASE_LO", 1) == BASE + SOURCE_PLACE
        assert rig.read("PROGRAM_LENGTH") == len(COPY)
        assert rig.read("IRQ_ENABLE") == 3
        rig.order("start")
        assert rig.bus.wait_interrupt()
        assert rig.status("done") == 1


def test_machine_runs_again_without_reset() -> None:
    with Rig() as rig:
        for _ in range(3):
            rig.bus.memory[TARGET_PLACE : TARGET_PLACE + 8192] = 0
            rig.check(COPY)
            assert rig.read("IRQ_STATUS") == 1


def test_program_may_end_before_its_length() -> None:
    """Instructions behind END are read ahead and forgotten."""
    with Rig() as rig:
        rig.check([*COPY, *[0] * 40])
        rig.check(COPY)


def test_registers_answer_errors_where_there_are_none() -> None:
    with Rig() as rig:
        with pytest.raises(MachineFault, match="SLVERR"):
            rig.bus.read32(0x7000)
        with pytest.raises(MachineFault, match="SLVERR"):
            rig.bus.write32(REGISTER_MAP.offset("ID"), 0)
        assert rig.read("ID") == int.from_bytes(b"GWRT", "little")
        assert rig.read("CAPABILITY") == 1 << 16
