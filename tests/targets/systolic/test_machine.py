"""The whole machine: what other tools say of its Verilog, and a real network on the kind that only shifts."""

import sys
from pathlib import Path

import pytest
from tests.conformance.machines import SYSTOLIC

from gatewright.compile import compile
from gatewright.hdl import synthesise
from gatewright.quantize import QuantiseOptions
from gatewright.sim import lint
from gatewright.targets.systolic import SystolicTarget
from gatewright.verify import verify
from gatewright.verilog import machine_verilog

EXAMPLE = Path(__file__).parents[3] / "examples" / "lenet5"
TARGET = SystolicTarget()


@pytest.mark.parametrize("machine", SYSTOLIC)
def test_verilator_has_nothing_to_say(machine: str) -> None:
    assert lint(machine_verilog(TARGET, SYSTOLIC[machine]), TARGET.top) == ""


@pytest.mark.slow
def test_yosys_maps_multipliers_and_memories() -> None:
    config = SYSTOLIC["8x8"]
    cells = synthesise(machine_verilog(TARGET, config), TARGET.top, "synth_xilinx -family xcup -flatten -noiopad")
    multipliers = sum(count for cell, count in cells.items() if cell.startswith("DSP48"))
    assert multipliers >= config.multipliers
    assert cells["RAMB36E2"] * 4096 >= config.activation_bytes + config.weight_bytes + config.output_bytes


def test_lenet5_with_power_of_two_scales_needs_no_multiplier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "digits", raising=False)
    import digits

    train_images, _, images, _ = digits.load()
    options = QuantiseOptions(scales="pow2")
    build = compile(EXAMPLE / "lenet5.onnx", "systolic", {"multiplier_width": 0}, train_images[:64], options)
    found = verify(build, images[:1])
    assert found.equal
    assert found.report["multipliers_outside_array"] == 1 + 2 * build.config.post_lanes  # addresses, residual adder
