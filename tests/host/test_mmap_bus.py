"""The board's bus, as far as it goes without a board: files stand for the devices."""

import threading
import time

import numpy as np
import pytest

from gatewright.host import Bus, MmapBus, Window

ENDED = (0x1C, 2)


@pytest.fixture
def files(tmp_path):
    registers, memory = tmp_path / "registers", tmp_path / "memory"
    registers.write_bytes(bytes(8192))
    memory.write_bytes(bytes(16384))
    return registers, memory


def test_registers_and_memory_are_those_of_the_device(files):
    registers, memory = files
    with MmapBus(Window(registers, 4096 + 64, 256), Window(memory, 0, 16384), 0x4000_0000, ENDED) as bus:
        assert isinstance(bus, Bus)
        bus.write32(8, 0x1234_5678)
        assert bus.read32(8) == 0x1234_5678
        bus.memory[5:8] = np.array([1, 2, 3], np.uint8)
        assert len(bus.memory) == 16384
        assert bus.base == 0x4000_0000
    assert registers.read_bytes()[4096 + 64 + 8 :][:4] == bytes.fromhex("78563412")
    assert memory.read_bytes()[5:8] == b"\1\2\3"


def test_waiting_ends_with_patience_or_with_the_pending_register(files):
    registers, memory = files
    with MmapBus(Window(registers, 0, 256), Window(memory, 0, 4096), 0, ENDED, patience=0.02) as bus:
        bus.write32(ENDED[0], 1)
        assert not bus.wait_interrupt()
        bus._patience = 10
        machine = threading.Thread(target=lambda: (time.sleep(0.05), bus.write32(ENDED[0], 3)))
        machine.start()
        assert bus.wait_interrupt()
        machine.join()
