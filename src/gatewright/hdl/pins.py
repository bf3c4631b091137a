"""The ports of a machine as its user names them: clock, reset, interrupt, and the two AXI interfaces."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pins"]


@dataclass(frozen=True)
class Pins:
    """Names, and what they mean. Without `interrupt` there is no such port.

    `master` and `slave` are what the names of AXI4 and AXI4-Lite ports begin with.
    """

    clock: str = "clk"
    reset: str = "rst"
    reset_active_low: bool = False
    interrupt: str | None = "irq"
    master: str = "m_axi_"
    slave: str = "s_axi_"
