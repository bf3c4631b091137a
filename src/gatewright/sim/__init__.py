"""Simulation of the emitted Verilog: Verilator builds it, a C++ harness surrounds it, Python drives it."""

from gatewright.sim.model import Model
from gatewright.sim.stream_bench import StreamBench, StreamRun, run_stream
from gatewright.sim.verilator import lint

__all__ = ["Model", "StreamBench", "StreamRun", "lint", "run_stream"]
