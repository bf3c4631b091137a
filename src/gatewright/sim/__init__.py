"""Simulation of the emitted Verilog: Verilator builds it, a C++ harness surrounds it, Python drives it."""

from gatewright.sim.bus import ChannelCount, SimulatedBus
from gatewright.sim.memory import MEMORIES, ErrorRange, MemoryOptions
from gatewright.sim.model import Model, ProtocolError
from gatewright.sim.stream_bench import StreamBench, StreamRun, run_stream
from gatewright.sim.verilator import lint

__all__ = [
    "MEMORIES",
    "ChannelCount",
    "ErrorRange",
    "MemoryOptions",
    "Model",
    "ProtocolError",
    "SimulatedBus",
    "StreamBench",
    "StreamRun",
    "lint",
    "run_stream",
]
