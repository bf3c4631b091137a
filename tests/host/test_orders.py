"""Orders of both register maps, as writes on a bus."""

import numpy as np
import pytest

from gatewright.errors import ProgramError
from gatewright.hdl.csr_map import REGISTER_MAP
from gatewright.hdl.csr_nngen import NngenRegisters, nngen_register_map
from gatewright.host.export import registers_of
from gatewright.host.orders import orders_of

BASES = (("scratch", 0), ("output", 0), ("constants", 0))


class Recorder:
    """A bus that remembers writes and answers each read with the next of `answers`."""

    base = 0
    memory = np.zeros(0, np.uint8)

    def __init__(self, answers=()):
        self.writes, self.reads, self.answers, self.interrupts = [], [], iter(answers), 0

    def read32(self, offset):
        self.reads.append(offset)
        return next(self.answers)

    def write32(self, offset, value):
        self.writes.append((offset, value))

    def wait_interrupt(self):
        self.interrupts += 1
        return True


def orders(version, answers=(), **options):
    own = version is None
    registers = REGISTER_MAP if own else nngen_register_map(NngenRegisters(BASES, version=version, **options))
    bus = Recorder(answers)
    return bus, orders_of(bus, registers_of(registers))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (None, [(0x40, 0x1000), (0x44, 1), (0x48, 0x2000), (0x4C, 1), (0x50, 0x3000), (0x54, 1), (0x20, 9), (0x18, 3)]),
        ("1.3.4", [(128, 0x8000_0000), (132, 0x1000), (136, 0x2000), (140, 0x3000), (40, 1)]),
        ("1.0", [(36, 0x8000_0000), (40, 0x1000), (44, 0x2000), (48, 0x3000)]),
    ],
)
def test_places(version, expected):
    bus, given = orders(version)
    given.place(1 << 32 if version is None else 0x8000_0000, [0x1000, 0x2000, 0x3000], 9)
    assert bus.writes == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (None, [(0x1C, 3), (0x10, 1), (0x10, 2)]),
        ("1.3.4", [(44, 3), (16, 1), (24, 1)]),
        ("1.0", [(16, 1), (24, 1)]),
    ],
)
def test_acknowledge_start_and_reset(version, expected):
    bus, given = orders(version)
    given.acknowledge()
    given.start()
    given.reset()
    assert bus.writes == expected


def test_base_registers_hold_32_bits():
    _, given = orders("1.3.4")
    with pytest.raises(ProgramError, match="memory must lie below address 0x100000000, not at 0xfffff000"):
        given.place(0xFFFF_F000, [0, 0x1000], 9)


@pytest.mark.parametrize("options", [{"version": None}, {"version": "1.3.4"}])
def test_waiting_for_the_interrupt(options):
    bus, given = orders(**options)
    assert given.wait()
    assert (bus.interrupts, bus.reads) == (1, [])


@pytest.mark.parametrize("options", [{"version": "1.0"}, {"version": "1.3.4", "interrupt": False}])
def test_waiting_without_an_interrupt(options):
    bus, given = orders(answers=[1, 1, 0], **options)
    assert given.wait()
    assert (bus.interrupts, bus.reads) == (0, [20] * 3)


def test_a_machine_that_stays_busy_is_looked_at_again_later():
    bus, given = orders("1.0", answers=[1] * 10_000)
    assert not given.wait()
    assert len(bus.reads) < 10_000
