"""The copy machine of `tests/support`, written once and put on as many buses as a test wants."""

import pytest
from copy_machine import CopyMachine, FaultyMachine

from gatewright.hdl import emit_verilog
from gatewright.sim import MEMORIES, SimulatedBus


@pytest.fixture(scope="session")
def copy_verilog():
    """The machine's Verilog by bus width, written once."""
    texts = {}

    def verilog(data_width=64, fault=None):
        if (data_width, fault) not in texts:
            component = FaultyMachine(fault) if fault else CopyMachine(data_width)
            texts[data_width, fault] = emit_verilog(component, "copy_machine")
        return texts[data_width, fault]

    return verilog


@pytest.fixture
def open_bus(copy_verilog):
    """Open the machine on a bus; all that a test opened is closed after it."""
    opened = []

    def opener(data_width=64, fault=None, options=MEMORIES["default"], **more):
        verilog = copy_verilog(data_width, fault)
        more = {"memory_bytes": 65536} | more
        opened.append(SimulatedBus(verilog, "copy_machine", data_width=data_width, options=options, **more))
        return opened[-1]

    yield opener
    for bus in opened:
        bus.close()
