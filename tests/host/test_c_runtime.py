"""The C runtime, compiled and run on the same machine of registers as the Python driver."""

import ctypes
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest
from c_bus import CBus
from fake_bus import FakeBus

from gatewright.hdl.csr_map import REGISTER_MAP, ErrorCode
from gatewright.host.export import c_header, c_program
from gatewright.ir import I8, Port, TensorType
from gatewright.program import Binding, Program, Region

DIGEST = 0xCAFE_0001
VECTOR = TensorType((4,), I8)
PROGRAM = Program(
    name="negate",
    target="fake",
    config={},
    config_digest=DIGEST,
    instruction_count=3,
    regions=(
        Region("program", "program", 96, b"\1" * 96),
        Region("constants", "constants", 5000, b"weights"),
        Region("tensors", "input", 64),
    ),
    inputs=(Binding("x", 2, 0, VECTOR, Port('the "x"', "float32", (4,), None, 0.5, 3, 3, type=VECTOR)),),
    outputs=(Binding("y", 2, 32, VECTOR),),
    layers=(),
)
X = np.array([1, -2, 3, 127], np.int8)
NOT_A_MACHINE, OTHER_CONFIGURATION, TOO_LITTLE_MEMORY, MACHINE_ERROR, NO_PROGRESS = range(1, 6)

# What a user's own program does; the bus comes from Python.
MAIN = """
#include "gatewright.h"
#include "gatewright_program.h"
int run(const gw_bus *bus, const uint8_t *image, const int8_t *x, int8_t *y) {
    gw_status status = gw_load(bus, &gw_the_program, image);
    if (status != GW_OK) return status;
    gw_put(bus, &gw_the_program, &gw_the_inputs[0], x);
    status = gw_run(bus);
    gw_get(bus, &gw_the_program, &gw_the_outputs[0], y);
    return status;
}
double scale(void) { return gw_the_inputs[0].scale + gw_the_inputs[0].zero_point; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("gatewright.c", "gatewright.h"):
        shutil.copy(str(files("gatewright").joinpath("host", "native", name)), folder)
    (folder / "gatewright_registers.h").write_text(c_header(REGISTER_MAP))
    (folder / "gatewright_program.h").write_text(c_program(PROGRAM))
    (folder / "main.c").write_text(MAIN)
    compiler = [shutil.which("cc"), "-std=c99"] if shutil.which("cc") else ["c++"]
    warnings = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    command = [*compiler, *warnings, "-shared", "-fPIC", "-o", "runtime.so", "gatewright.c", "main.c"]
    subprocess.run(command, cwd=folder, check=True)
    loaded = ctypes.CDLL(str(folder / "runtime.so"))
    loaded.run.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
    loaded.scale.restype = ctypes.c_double
    loaded.gw_text.restype = ctypes.c_char_p
    loaded.gw_cycles.restype = ctypes.c_uint64
    return loaded


@pytest.fixture
def image(tmp_path):
    PROGRAM.save(tmp_path)
    return (tmp_path / "program.bin").read_bytes()


def negate(bus: FakeBus) -> None:
    start = bus.region(2)
    bus.memory[start + 32 : start + 36] = (-bus.memory[start : start + 4].view(np.int8)).view(np.uint8)
    bus.put("CYCLES_HI", 2)
    bus.put("CYCLES_LO", 1000)
    bus.finish()


def run(library, image, bus):
    y = np.zeros(4, np.int8)
    status = library.run(ctypes.byref(CBus.around(bus)), image, X.ctypes.data, y.ctypes.data)
    return status, y


def test_a_program_runs(library, image):
    bus = FakeBus(DIGEST, negate)
    status, y = run(library, image, bus)
    assert status == 0
    np.testing.assert_array_equal(y, -X)
    assert [bus.region(index) for index in range(3)] == [0, 4096, 12288]
    assert bus.memory[4096:4103].tobytes() == b"weights"
    assert (bus.memory[4103:12288] == 0xA5).all()
    assert library.gw_cycles(ctypes.byref(CBus.around(bus))) == (2 << 32) + 1000


def test_tensors_say_their_scale(library):
    assert library.scale() == 3.5


@pytest.mark.parametrize(
    ("bus", "expected"),
    [
        (FakeBus(7, negate), OTHER_CONFIGURATION),
        (FakeBus(DIGEST, negate, size=8192), TOO_LITTLE_MEMORY),
        (FakeBus(DIGEST, lambda bus: bus.fail(ErrorCode.READ_BUS_ERROR)), MACHINE_ERROR),
        (FakeBus(DIGEST, lambda bus: None), NO_PROGRESS),
    ],
)
def test_faults_have_their_status(library, image, bus, expected):
    assert run(library, image, bus)[0] == expected
    assert library.gw_text(expected)


def test_something_else_on_the_bus_is_noticed(library, image):
    bus = FakeBus(DIGEST, negate)
    bus.put("ID", 0)
    assert run(library, image, bus)[0] == NOT_A_MACHINE


def test_a_machine_in_error_is_reset_and_runs_again(library, image):
    bus = FakeBus(DIGEST, lambda bus: bus.fail(ErrorCode.WRITE_BUS_ERROR))
    assert run(library, image, bus)[0] == MACHINE_ERROR
    bus.behave, bus.patience = negate, 1
    assert run(library, image, bus)[0] == 0
