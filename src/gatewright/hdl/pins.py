"""The ports of a machine that belong to no bus: clock, reset, interrupt."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pins"]


@dataclass(frozen=True)
class Pins:
    """Names, and what they mean. Without `interrupt` there is no such port."""

    clock: str = "clk"
    reset: str = "rst"
    reset_active_low: bool = False
    interrupt: str | None = "irq"
