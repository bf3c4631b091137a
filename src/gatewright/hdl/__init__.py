"""Hardware shared by the machines, as Amaranth components, and the Verilog they become."""

from gatewright.hdl.emit import emit_verilog, port_names, synthesise
from gatewright.hdl.stream_queue import StreamQueue

__all__ = ["StreamQueue", "emit_verilog", "port_names", "synthesise"]
