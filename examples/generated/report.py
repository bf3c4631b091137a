"""What the examples do with their networks: compile, count cycles layer by layer, and simulate where asked to."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import onnx

import gatewright
from gatewright import RunOptions
from gatewright.build import Build

__all__ = ["main"]


def main(model: onnx.ModelProto, samples: np.ndarray, multipliers: int, *, simulate: bool = False) -> None:
    """Compile a float network for a machine of its own, 32-bit bus, and print where its cycles go."""
    parser = argparse.ArgumentParser(description=f"{model.graph.name} on a machine made for it")
    parser.add_argument("--multipliers", type=int, default=multipliers)
    parser.add_argument("--rtl", action=argparse.BooleanOptionalAction, default=simulate, help="simulate the Verilog")
    parser.add_argument("-o", "--output", help="write a build folder here")
    options = parser.parse_args()

    config = {"multipliers": options.multipliers, "bus_bits": 32}
    start = time.perf_counter()
    build = gatewright.compile(model, "generated", config, samples=samples)
    print(f"compiled in {time.perf_counter() - start:.1f} s: {build.program.instruction_count} instructions")
    start = time.perf_counter()
    print(f"Verilog: {len(build.verilog.splitlines()):,} lines in {time.perf_counter() - start:.1f} s")
    print_cycles(build, samples[:1])
    if options.rtl:
        simulate_verilog(build, samples[:1])
    if options.output:
        print(f"build folder: {gatewright.emit(build, options.output)}")


def print_cycles(build: Build, image: np.ndarray) -> None:
    """Cycles of each layer by the model, beside what all its multiplications need.

    Rows of kernels that lie in the padding are left out, so a layer can take less.
    """
    start = time.perf_counter()
    result = gatewright.run(build, image, "model").results[0]
    seconds = time.perf_counter() - start
    chosen = build.config
    print(f"machine: {chosen.rows} x {chosen.columns} multipliers, {memory(build)} bytes of scratchpads")
    print(f"{'layer':<28}{'kind':<14}{'MACs':>14}{'limit':>12}{'cycles':>12}")
    for layer, cycles in zip(build.program.layers, result.layer_cycles or (), strict=True):
        print(f"{layer.name[:27]:<28}{layer.op:<14}{layer.macs:>14,}{layer.limit_cycles:>12,}{cycles:>12,}")
    limit = sum(layer.limit_cycles for layer in build.program.layers)
    print(f"{'total':<42}{build.program.macs:>14,}{limit:>12,}{result.cycles:>12,}   ({seconds:.1f} s)")


def memory(build: Build) -> int:
    names: Sequence[str] = ("activation_bytes", "weight_bytes", "output_bytes", "parameter_bytes")
    return sum(getattr(build.config, name) for name in names)


def simulate_verilog(build: Build, image: np.ndarray) -> None:
    """The Verilog must compute what the integer network means."""
    found = gatewright.run(build, image, "rtl", RunOptions(memory="default"))
    meant = gatewright.run(build, image, "evaluate")
    agree = all(np.array_equal(found.outputs[name], meant.outputs[name]) for name in meant.outputs)
    print(f"RTL: {found.cycles:,} cycles, {'the same outputs' if agree else 'OTHER OUTPUTS'}")
