"""The driver on a machine of registers only: loading, results, and every way to fail."""

import dataclasses

import numpy as np
import pytest
from fake_bus import FakeBus

from gatewright.errors import DataError, MachineFault, ProgramError
from gatewright.hdl.csr_map import REGISTER_MAP, ErrorCode
from gatewright.host import Bus, Driver, memory_size
from gatewright.host.export import registers_of
from gatewright.ir import I8, TensorType
from gatewright.program import Binding, LayerInfo, Program, Region

DIGEST = 0xCAFE_0001
VECTOR = TensorType((4,), I8)
REGISTERS = registers_of(REGISTER_MAP)
PROGRAM = Program(
    name="negate",
    target="fake",
    config={"lanes": 4},
    config_digest=DIGEST,
    instruction_count=3,
    regions=(
        Region("program", "program", 96, b"\1" * 96),
        Region("constants", "constants", 5000, b"weights"),
        Region("tensors", "input", 64),
    ),
    inputs=(Binding("x", 2, 0, VECTOR),),
    outputs=(Binding("y", 2, 32, VECTOR),),
    layers=(LayerInfo("first", "add", 0, 0), LayerInfo("y", "add", 0, 0)),
)
X = np.array([1, -2, 3, 127], np.int8)


def negate(bus: FakeBus) -> None:
    """y = -x, in 1000 cycles and a bit of time stamps."""
    start = bus.region(2)
    bus.memory[start + 32 : start + 36] = (-bus.memory[start : start + 4].view(np.int8)).view(np.uint8)
    bus.put("CYCLES_LO", 1000)
    bus.put("STAMP", 400, 0)
    bus.put("STAMP", 990, 1)
    bus.put("COMPUTE_BUSY", 640)
    bus.finish()


def driver(behave=negate, digest=DIGEST, **options) -> tuple[Driver, FakeBus]:
    bus = FakeBus(digest, behave, **options)
    return Driver(bus, REGISTERS, PROGRAM), bus


def test_the_bench_is_a_bus():
    assert isinstance(FakeBus(0, negate), Bus)


def test_run_returns_outputs_cycles_and_counters():
    unit, bus = driver()
    seen = []
    result = unit.run([X], seen.append)
    np.testing.assert_array_equal(result.outputs["y"], -X)
    assert result.engine == "rtl"
    assert result.cycles == 1000
    assert result.counters["compute_busy"] == 640
    assert result.layer_cycles == (400, 600)
    assert sum(result.layer_cycles) == result.cycles
    assert seen == [1000]
    assert bus.get("IRQ_STATUS") == 0


def test_regions_lie_at_4_kib_and_the_rest_of_memory_is_left_alone():
    unit, bus = driver()
    unit.load()
    assert [bus.region(index) for index in range(3)] == [0, 4096, 12288]
    assert memory_size(PROGRAM) == 16384
    assert bus.memory[:96].tobytes() == b"\1" * 96
    assert bus.memory[4096:4103].tobytes() == b"weights"
    assert (bus.memory[4103:] == 0xA5).all()
    assert bus.get("PROGRAM_LENGTH") == 3


def test_a_program_of_another_configuration_is_refused():
    message = r"'negate' was compiled for another configuration of fake: .* is for lanes=4"
    with pytest.raises(ProgramError, match=message) as caught:
        driver(digest=7)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [("ID", 0, "ID of the machine must be"), ("VERSION", 0x0001_0001, r"version of the machine must be 2, not 1\.1")],
)
def test_another_machine_is_refused(register, value, message):
    bus = FakeBus(DIGEST, negate)
    bus.put(register, value)
    with pytest.raises(ProgramError, match=message):
        Driver(bus, REGISTERS, PROGRAM)


def test_memory_must_be_large_enough():
    unit, _ = driver(size=8192)
    with pytest.raises(ProgramError, match="memory must have at least 16384 bytes, not 8192"):
        unit.load()


def test_inputs_are_checked():
    unit, _ = driver()
    with pytest.raises(DataError, match="1 inputs must be given, not 2"):
        unit.run([X, X])
    with pytest.raises(DataError, match="'x' must be integers"):
        unit.run([X.astype(np.float32)])


def test_an_illegal_instruction_is_named():
    def behave(bus: FakeBus) -> None:
        bus.put("FAULT_INDEX", 2)
        bus.fail(ErrorCode.ILLEGAL_INSTRUCTION)

    unit, _ = driver(behave)
    with pytest.raises(MachineFault, match=r"stopped: illegal instruction \(code 1\) at instruction 2 of 3") as caught:
        unit.run([X])
    assert caught.value.exit_status == 3


def test_a_bus_error_names_its_address_and_region():
    def behave(bus: FakeBus) -> None:
        bus.put("FAULT_ADDRESS_LO", (bus.base + 4096 + 0x40) & 0xFFFF_FFFF)
        bus.put("FAULT_ADDRESS_HI", 1)
        bus.fail(ErrorCode.READ_BUS_ERROR)

    unit, _ = driver(behave)
    with pytest.raises(MachineFault, match=r"read bus error .* 0x120001040 \(region 'constants' \+ 0x40\)"):
        unit.run([X])


def test_a_run_without_progress_names_the_oldest_waiting_instruction():
    def behave(bus: FakeBus) -> None:
        bus.put("HEAD", bus.field("HEAD", "valid") | bus.field("HEAD", "index", 2) | bus.field("HEAD", "lacks", 4), 0)
        bus.put("ACTIVE", bus.field("ACTIVE", "valid") | bus.field("ACTIVE", "index", 1), 1)

    unit, _ = driver(behave)
    with pytest.raises(MachineFault) as caught:
        unit.run([X])
    assert str(caught.value) == (
        "The machine makes no progress: status busy after 0 cycles; "
        "oldest waiting: instruction 1 in the compute unit has begun and does not end\n"
        "  instruction 2 at the head of the load queue waits for a token from store"
    )


def test_a_machine_in_error_is_reset_and_runs_again():
    unit, bus = driver(lambda bus: bus.fail(ErrorCode.WRITE_BUS_ERROR))
    with pytest.raises(MachineFault, match="write bus error"):
        unit.run([X])
    bus.behave, bus.patience = negate, 1
    np.testing.assert_array_equal(unit.run([X]).outputs["y"], -X)


def test_a_machine_that_does_not_reset_is_a_fault():
    unit, bus = driver()
    bus._control = lambda value: None
    bus.put("STATUS", bus.field("STATUS", "busy") | bus.field("STATUS", "resetting"))
    with pytest.raises(MachineFault, match="does not come out of reset: status busy resetting"):
        unit.load()


def test_cycles_beyond_32_bits():
    unit, bus = driver()
    unit.load()
    bus.put("CYCLES_HI", 1)
    bus.put("CYCLES_LO", 5)
    bus.put("STAMP", 0xFFFF_FFFF, 0)
    assert unit.cycles() == (1 << 32) + 5
    assert unit.layer_cycles() == (0xFFFF_FFFF, 6)


def test_waiting_instructions_are_optional():
    unit, _ = driver(lambda bus: None)
    with pytest.raises(MachineFault, match="oldest waiting: no instruction is waiting"):
        unit.run([X])


def test_layers_that_end_before_an_earlier_one_take_no_time():
    layers = (*PROGRAM.layers, LayerInfo("z", "add", 0, 0))
    bus = FakeBus(DIGEST, negate)
    unit = Driver(bus, REGISTERS, dataclasses.replace(PROGRAM, layers=layers))
    bus.put("CYCLES_LO", 1000)
    bus.put("STAMP", 700, 0)
    bus.put("STAMP", 690, 1)
    assert unit.layer_cycles() == (700, 0, 300)


def test_programs_without_layers_have_no_layer_cycles():
    bus = FakeBus(DIGEST, negate)
    assert Driver(bus, REGISTERS, dataclasses.replace(PROGRAM, layers=())).run([X]).layer_cycles == ()
