"""Simulation of the emitted Verilog: Verilator builds it, a C++ harness surrounds it, Python drives it."""

from gatewright.sim.model import Model
from gatewright.sim.verilator import lint

__all__ = ["Model", "lint"]
