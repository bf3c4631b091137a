"""Hardware shared by the machines, as Amaranth components, and the Verilog they become."""

from gatewright.hdl.emit import emit_verilog, port_names, synthesise
from gatewright.hdl.stream import DeepQueue, PipelineRegister, SkidBuffer

__all__ = ["DeepQueue", "PipelineRegister", "SkidBuffer", "emit_verilog", "port_names", "synthesise"]
