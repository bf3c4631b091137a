"""Runs a build folder on a board under Linux: `python -m gatewright.host.board --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gatewright.errors import DataError, GatewrightError, file_reason
from gatewright.host.driver import Driver, memory_size
from gatewright.host.mmap_bus import MmapBus, Window
from gatewright.host.registers import Registers
from gatewright.program import Program

__all__ = ["main"]

REGISTER_BYTES = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once, write the outputs, print the cycles; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (GatewrightError, OSError) as error:
        print(f"error: {file_reason(error)}", file=sys.stderr)
        return getattr(error, "exit_status", GatewrightError.exit_status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gatewright.host.board", description=__doc__)
    parser.add_argument("folder", type=Path, help="build folder")
    parser.add_argument("-i", "--input", action="append", required=True, metavar="X.npy", help="one for each input")
    parser.add_argument("-o", "--output", action="append", required=True, metavar="Y.npy", help="one for each output")
    parser.add_argument("--registers", required=True, metavar="FILE@ADDRESS", help="such as /dev/mem@0xA0000000")
    parser.add_argument("--memory", required=True, metavar="FILE@ADDRESS", help="shared with the machine, not cached")
    parser.add_argument("--base", metavar="ADDRESS", help="the memory as the machine sees it, if it is another address")
    parser.add_argument("--interrupt", metavar="FILE", help="UIO device such as /dev/uio0; without it, polling")
    parser.add_argument("--patience", type=float, default=1.0, metavar="SECONDS", help="longest silence of a good run")
    return parser


def _run(options: argparse.Namespace) -> int:
    program = Program.load(options.folder)
    registers = Registers.load(options.folder / "driver" / "registers.json")
    inputs = program.encode([np.load(path, allow_pickle=False) for path in options.input])
    if len(options.output) != len(program.outputs):
        raise DataError(f"{len(program.outputs)} output files must be named, not {len(options.output)}")
    register_file, register_address = _place(options.registers)
    memory_file, memory_address = _place(options.memory)
    with MmapBus(
        Window(register_file, register_address, REGISTER_BYTES),
        Window(memory_file, memory_address, memory_size(program)),
        base=int(options.base, 0) if options.base else memory_address,
        ended=(registers.offset("STATUS"), registers.mask("STATUS.done", "STATUS.error")),
        interrupt=options.interrupt,
        patience=options.patience,
    ) as bus:
        result = Driver(bus, registers, program).run(inputs)
    for path, array in zip(options.output, program.decode(result.outputs).values(), strict=True):
        with open(path, "wb") as file:  # `np.save` would append its own ending to a path
            np.save(file, array)
    print(f"{result.cycles:,} cycles")
    return 0


def _place(text: str) -> tuple[str, int]:
    path, separator, address = text.rpartition("@")
    try:
        return path, int(address, 0) if separator else _missing(text)
    except ValueError:
        return path, _missing(text)


def _missing(text: str) -> int:
    raise DataError(f"registers and memory must be given as FILE@ADDRESS, not {text!r}")


if __name__ == "__main__":
    sys.exit(main())
