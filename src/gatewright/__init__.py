"""Gatewright turns a trained neural network into a hardware accelerator, and proves that it computes that network.

    build = gatewright.compile("network.onnx", target="systolic")     load, quantise if need be, lower
    gatewright.run(build, x).outputs                                  simulate the emitted Verilog
    gatewright.verify(build).equal                                    against meaning, model and ONNX Runtime
    gatewright.emit(build, "folder")                                  Verilog, program, driver, report

`load` and `quantize` give the integer graph on its own. The command `gatewright` does the same.
"""

from gatewright.build import Build
from gatewright.compile import compile, load
from gatewright.emit import emit, load_build
from gatewright.engines import Run, RunOptions, run
from gatewright.errors import GatewrightError
from gatewright.quantize import QuantiseOptions
from gatewright.quantize import quantise as quantize
from gatewright.verify import Verification, VerifyOptions, verify

__all__ = [
    "Build",
    "GatewrightError",
    "QuantiseOptions",
    "Run",
    "RunOptions",
    "Verification",
    "VerifyOptions",
    "compile",
    "emit",
    "load",
    "load_build",
    "quantize",
    "run",
    "verify",
]
