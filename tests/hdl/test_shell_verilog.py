"""The Verilog of the smallest machine is clean."""

import pytest
from loopback_machine import LoopbackMachine

from gatewright.hdl import emit_verilog
from gatewright.sim import lint


@pytest.mark.parametrize("bus_bits", [32, 64, 128, 256])
def test_verilator_finds_nothing_wrong(bus_bits: int) -> None:
    assert lint(emit_verilog(LoopbackMachine(bus_bits), "loopback"), "loopback") == ""


def test_queue_depth_and_outstanding_bursts_may_be_any_number() -> None:
    machine = LoopbackMachine(64, queue_depth=5, read_bursts=3, write_bursts=7)
    assert lint(emit_verilog(machine, "loopback"), "loopback") == ""
