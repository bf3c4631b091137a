"""The C runtime of a build folder, compiled as a user would, drives the simulated machine."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_bus import CBus

import gatewright
from gatewright.host import memory_size
from gatewright.inputs import random_inputs
from gatewright.sim import SimulatedBus

LENET = Path(__file__).parents[2] / "examples" / "lenet5" / "lenet5.onnx"

MAIN = """
#include "gatewright.h"
#include "gatewright_program.h"
int run(const gw_bus *bus, const uint8_t *image, const void *x, void *y) {
    gw_status status = gw_load(bus, &gw_the_program, image);
    if (status != GW_OK) return status;
    gw_put(bus, &gw_the_program, &gw_the_inputs[0], x);
    status = gw_run(bus);
    gw_get(bus, &gw_the_program, &gw_the_outputs[0], y);
    return status;
}
"""


MACHINES = {
    "systolic": ("systolic", {}),
    "NNgen 1.3.4": ("generated", {"multipliers": 16}),
    "NNgen 1.0": ("generated", {"multipliers": 16, "register_map": "1.0"}),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_c_runtime_computes_what_the_model_computes(machine, tmp_path):
    samples = np.random.default_rng(0).random((8, 1, 32, 32), np.float32)
    target, config = MACHINES[machine]
    build = gatewright.compile(LENET, target, config, samples=samples)
    driver = gatewright.emit(build, tmp_path / "b") / "driver"
    (driver / "main.c").write_text(MAIN)
    compiler = [shutil.which("cc") or "c++", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*compiler, "-o", "run.so", "gatewright.c", "main.c"], cwd=driver, check=True)
    library = ctypes.CDLL(str(driver / "run.so"))
    library.run.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
    library.gw_cycles.restype = ctypes.c_uint64

    (x,) = build.program.encode(random_inputs(build.graph.input_ports, 1))
    expected = build.target.run(build.program, [x])
    image = (tmp_path / "b" / "program.bin").read_bytes()
    binding = build.program.outputs[0]
    y = np.zeros(binding.type.shape, binding.type.dtype.storage)
    with SimulatedBus(
        build.verilog,
        build.target.top_module(build.config),
        memory_bytes=memory_size(build.program),
        data_width=build.target.data_width(build.config),
        pins=build.target.pins(build.config),
    ) as bus:
        around = CBus.around(bus)
        for _ in range(2):
            y[:] = 0
            assert library.run(ctypes.byref(around), image, x.ctypes.data, y.ctypes.data) == 0
            np.testing.assert_array_equal(y, expected.outputs[binding.name])
            assert abs(library.gw_cycles(ctypes.byref(around)) - expected.cycles) <= 50
