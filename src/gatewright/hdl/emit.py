"""From an Amaranth component to the Verilog that people read, simulate and synthesise."""

import json
import re
from collections.abc import Mapping

from amaranth.lib import wiring

from gatewright.errors import ToolError
from gatewright.hdl.netlist import Path, Ports, component_ports, to_rtlil
from gatewright.hdl.rtlil import merge_modules
from gatewright.hdl.tidy import tidy_verilog
from gatewright.hdl.yosys import run_yosys

__all__ = ["emit_verilog", "port_names", "synthesise"]

_AXI_CHANNELS: frozenset[str | int] = frozenset({"aw", "w", "b", "ar", "r"})

# Choices become plain `?:` (a parallel `casez` reads and lints worse), registers take `if (enable)` form, and aliases
# of nets, of which Amaranth writes one per port of every child, disappear. Enables and resets that registers share are
# written once.
_CLEAN_UP = """\
read_rtlil design.il
proc -norom
pmuxtree
opt_expr
opt_merge
opt_clean -purge
opt_dff -simple-dffe
opt_merge
opt_clean -purge
write_verilog -noattr design.v
"""


def emit_verilog(component: wiring.Component, name: str) -> str:
    """Write a component as one hierarchical Verilog text whose top module is `name`.

    Members of the signature become ports named by their path: `i.payload` is `i_payload`, and a channel of an AXI
    interface is written without its second underscore: `m_axi.ar.addr` is `m_axi_araddr`. Members without bits are
    left out, since Verilog has no such ports. The domain `sync` becomes the ports `clk` and `rst`. The text depends on
    the component alone: equal components give equal text, with no dates, machine paths or attributes in it.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
        raise ValueError(f"Name of a Verilog module must be an identifier, not {name!r}")
    ports = _ports(component)
    merged = merge_modules(to_rtlil(component, ports, name), name, ["clk", "rst", *ports])
    verilog = run_yosys(_CLEAN_UP, {"design.il": merged}, "design.v")
    body = tidy_verilog(verilog.split("*/", 1)[1].strip())  # without Yosys' own heading, which names its build
    return f"// {name}, written by Gatewright\n\n{body}\n"


def port_names(component: wiring.Component) -> tuple[str, ...]:
    """Return the names of the ports that `emit_verilog` writes for a component's signature, in order."""
    return tuple(_ports(component))


def _ports(component: wiring.Component) -> Ports:
    """The ports by the names they get, with their directions."""
    signals = [(path, port) for path, port in component_ports(component) if len(port[0])]
    siblings: dict[Path, set[str | int]] = {}
    for path, _ in signals:
        for depth in range(len(path)):
            siblings.setdefault(path[:depth], set()).add(path[depth])
    return {_port_name(path, siblings): signal for path, signal in signals}


def _port_name(path: Path, siblings: Mapping[Path, set[str | int]]) -> str:
    name = str(path[0])
    for depth in range(1, len(path)):
        is_channel = path[depth - 1] in _AXI_CHANNELS and siblings[path[: depth - 1]] >= _AXI_CHANNELS
        name += f"{path[depth]}" if is_channel else f"_{path[depth]}"
    return name


def synthesise(verilog: str, top: str, script: str = "synth_xilinx -flatten -noiopad") -> dict[str, int]:
    """Map a design with one of Yosys' `synth_*` commands and count the cells of the whole design by type.

    `script` may be several commands; the last line must not name the top module, which is added to it.
    """
    commands = f"read_verilog -sv design.v\n{script} -top {top}\ntee -q -o stat.json stat -json\n"
    report = json.loads(run_yosys(commands, {"design.v": verilog}, "stat.json"))
    if "design" not in report:
        raise ToolError(f"Yosys counted no cells in {top}")
    counts = report["design"]["num_cells_by_type"]
    return {cell: counts[cell] for cell in sorted(counts) if cell != "$scopeinfo"}
