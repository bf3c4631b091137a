"""Each rule of the protocol, broken by a machine that breaks nothing else."""

import pytest

from gatewright.errors import MachineFault
from gatewright.sim import MEMORIES, MemoryOptions, ProtocolError

SLOW = MemoryOptions(read_limit=1, write_limit=1)

RULES = {
    "ar_falls": "ARVALID fell before ARREADY",
    "ar_changes": "AR changed between ARVALID and ARREADY",
    "aw_falls": "AWVALID fell before AWREADY",
    "w_falls": "WVALID fell before WREADY",
    "w_changes": "W changed between WVALID and WREADY",
    "no_last": "WLAST must be 1 in beat 8 of 8 at 0x80008038",
    "always_last": "WLAST must be 0 in beat 1 of 8 at 0x80008000",
    "fixed_burst": r"ARBURST must be INCR \(1\), not 0, at 0x80000000",
    "narrow": r"AWSIZE must be the bus's width \(3\), not 1, at 0x80008000",
    "crosses": "AR burst of 256 beats at 0x80000f00 crosses a 4 KiB boundary",
    "stray_strobe": "WSTRB names bytes before the burst's address 0x80001003",
    "waits_for_ready": "AR depends on a READY of the same cycle",
    "looks_at_ready": "W (depends on a READY of the same cycle|changed between WVALID and WREADY)",
    "lite_r_falls": r"\(register\) RVALID fell before \(register\) RREADY",
    "lite_b_falls": r"\(register\) BVALID fell before \(register\) BREADY",
    "lite_r_changes": r"\(register\) R changed between \(register\) RVALID and \(register\) RREADY",
    "stray_read_answer": r"\(register\) RVALID without a read to answer",
    "stray_write_answer": r"\(register\) BVALID without a write to answer",
    "exokay": r"\(register\) response must not be EXOKAY",
    "valid_in_reset": "ARVALID, AWVALID and WVALID must be low during reset",
}


def run(open_bus, fault, seeds=range(12)):
    """Run the machine under different stalls until the rule is broken, if it is."""
    for seed in seeds:
        bus = open_bus(fault=fault, options=MEMORIES["stalls"], seed=seed)
        for register, value in ((0, bus.base), (4, bus.base + 0x8000), (8, 32), (12, 1)):
            bus.write32(register, value)
        for _ in range(20):
            bus.read32(12)
        bus.wait_interrupt(5000)
        bus.close()


@pytest.mark.parametrize("fault", RULES)
def test_broken_rule_is_named(open_bus, fault):
    with pytest.raises(ProtocolError, match=f"{RULES[fault]}.*, in cycle"):
        run(open_bus, fault)


def test_register_that_never_answers_is_a_fault(open_bus):
    bus = open_bus(fault="silent")
    with pytest.raises(MachineFault, match="register read at 0xc is never answered"):
        bus.read32(12)


def test_broken_rule_stays_broken(open_bus):
    bus = open_bus(fault="narrow", options=SLOW)
    for register, value in ((0, bus.base), (4, bus.base + 0x8000), (8, 32)):
        bus.write32(register, value)
    for attempt in (lambda: (bus.write32(12, 1), bus.wait_interrupt()), bus.wait_interrupt, lambda: bus.read32(0)):
        with pytest.raises(ProtocolError, match="AWSIZE"):
            attempt()
