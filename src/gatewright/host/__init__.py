"""The host side of a machine: one driver for simulator and board. Knows programs and registers, no compiler."""

from gatewright.host.bus import Bus

__all__ = ["Bus"]
