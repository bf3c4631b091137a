"""Hardware shared by the machines, as Amaranth components, and the Verilog they become."""

from gatewright.hdl.emit import emit_verilog, synthesise

__all__ = ["emit_verilog", "synthesise"]
