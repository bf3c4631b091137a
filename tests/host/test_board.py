"""The board's command line, on files instead of devices: a thread plays the machine."""

import threading
import time

import numpy as np
import pytest

from gatewright.hdl.csr_map import REGISTER_MAP, SHELL_ID, SHELL_VERSION
from gatewright.host.board import main
from gatewright.host.export import registers_of
from gatewright.ir import I8, Port, TensorType
from gatewright.program import Binding, Program, Region

VECTOR = TensorType((1, 4), I8)
PORT = Port("x", "int8", (1, 4), type=VECTOR)
PROGRAM = Program(
    name="negate",
    target="fake",
    config={},
    config_digest=5,
    instruction_count=1,
    regions=(Region("program", "program", 32, b"\1" * 32), Region("tensors", "input", 64)),
    inputs=(Binding("x", 1, 0, VECTOR, PORT),),
    outputs=(Binding("y", 1, 32, VECTOR, Port("y", "int8", (1, 4), type=VECTOR)),),
    layers=(),
)


@pytest.fixture
def board(tmp_path):
    """A build folder, and files that hold registers and memory."""
    PROGRAM.save(tmp_path)
    (tmp_path / "driver").mkdir()
    registers_of(REGISTER_MAP).save(tmp_path / "driver" / "registers.json")
    words = np.zeros(1024, "<u4")
    for name, value in (("ID", SHELL_ID), ("VERSION", SHELL_VERSION), ("CONFIG_DIGEST", 5)):
        words[REGISTER_MAP.offset(name) // 4] = value
    (tmp_path / "registers").write_bytes(words.tobytes())
    (tmp_path / "memory").write_bytes(bytes(3 * 4096))
    np.save(tmp_path / "x.npy", np.array([[1, -2, 3, 127]], np.int8))
    return tmp_path


def command(board, *more: str) -> list[str]:
    files = ["-i", str(board / "x.npy"), "-o", str(board / "scores")]
    return [str(board), *files, "--registers", f"{board}/registers@0", "--memory", f"{board}/memory@0x1000", *more]


def play(board) -> None:
    """Wait for start, negate, finish."""
    words = np.memmap(board / "registers", "<u4", "r+")
    memory = np.memmap(board / "memory", np.int8, "r+", offset=4096)
    control, status = (REGISTER_MAP.offset(name) // 4 for name in ("CONTROL", "STATUS"))
    for _ in range(5000):
        if words[control]:
            break
        time.sleep(0.001)
    memory[4096 + 32 : 4096 + 36] = -memory[4096 : 4096 + 4]
    words[REGISTER_MAP.offset("CYCLES_LO") // 4] = 1234
    words[status] = 2


def test_a_run_on_a_board(board, capsys):
    machine = threading.Thread(target=play, args=(board,))
    machine.start()
    status = main(command(board, "--base", "0x80000000", "--patience", "10"))
    machine.join()
    assert status == 0
    np.testing.assert_array_equal(np.load(board / "scores"), [[-1, 2, -3, -127]])
    assert capsys.readouterr().out == "1,234 cycles\n"
    words = np.fromfile(board / "registers", "<u4")
    assert words[REGISTER_MAP.offset("REGION_BASE_LO", 1) // 4] == 0x8000_1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--registers", "nowhere"), "must be given as FILE@ADDRESS, not 'nowhere'"),
        (("--registers", "nowhere@here"), "must be given as FILE@ADDRESS, not 'nowhere@here'"),
        (("--registers", "nowhere@0"), "error: nowhere: no such file"),
        (("-o", "second.npy"), "1 output files must be named, not 2"),
        (("-i", "nowhere.npy"), "error: nowhere.npy: no such file"),
    ],
)
def test_what_can_be_wrong(board, capsys, change, message):
    assert main(command(board, *change)) == 2
    assert message in capsys.readouterr().err


def test_a_machine_of_another_configuration(board, capsys):
    words = np.memmap(board / "registers", "<u4", "r+")
    words[REGISTER_MAP.offset("CONFIG_DIGEST") // 4] = 6
    words.flush()
    assert main(command(board)) == 2
    assert "another configuration" in capsys.readouterr().err
