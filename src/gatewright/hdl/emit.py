"""From an Amaranth component to the Verilog that people read, simulate and synthesise."""

import gc
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Const, Fragment, Value, ValueCastable, _nir
from amaranth.hdl._ast import SignalDict
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.lib import wiring

from gatewright.errors import ToolError
from gatewright.hdl.rtlil import merge_modules
from gatewright.hdl.tidy import tidy_verilog
from gatewright.hdl.yosys import run_yosys

__all__ = ["emit_verilog", "port_names", "synthesise"]

_Path = tuple[str | int, ...]

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
    interface is written without its second underscore: `m_axi.ar.addr` is `m_axi_araddr`. The
    domain `sync` becomes the ports `clk` and `rst`. The text depends on the component alone: equal components give
    equal text, with no dates, machine paths or attributes in it.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
        raise ValueError(f"Name of a Verilog module must be an identifier, not {name!r}")
    named = dict(_ports(component))
    with _uncollected():
        merged = merge_modules(_rtlil(component, named, name), name, ["clk", "rst", *named])
    verilog = run_yosys(_CLEAN_UP, {"design.il": merged}, "design.v")
    body = tidy_verilog(verilog.split("*/", 1)[1].strip())  # without Yosys' own heading, which names its build
    return f"// {name}, written by Gatewright\n\n{body}\n"


def _rtlil(component: wiring.Component, ports: Mapping[str, tuple[Value, PortDirection]], name: str) -> str:
    """Write a component as RTLIL, as `amaranth.back.rtlil` does, but without zeroes in its memories."""
    netlist = build_netlist(Fragment.get(component, None), ports=ports, name=name)
    _forget_zeroes(netlist)
    has_content = rtlil.EmptyModuleChecker(netlist)
    design = rtlil.Design(emit_src=False)
    for index, module in enumerate(netlist.modules):
        if not has_content.is_empty(index):
            builder = design.module(".".join(module.name), src_loc=module.src_loc)
            _ModuleEmitter(builder, netlist, module, SignalDict(), empty_checker=has_content).emit()
    return str(design)


class _ModuleEmitter(rtlil.ModuleEmitter):
    """Amaranth's, but for the contents of memories, which it collects bit by bit: half a minute for a large ROM."""

    def emit_memory(self, cell_idx, cell):
        mask = (1 << cell.width) - 1
        words = "".join(f"{row & mask:0{cell.width}b}" for row in reversed(cell.init))
        self.builder.cell(
            "$meminit_v2",
            ports={
                "ADDR": self.sigspec(),
                "DATA": f"{len(words)}'{words}" if words else self.sigspec(),
                "EN": self.sigspec(_nir.Value.ones(cell.width)),
            },
            parameters={
                "MEMID": self.memories[cell_idx].memid,
                "ABITS": 0,
                "WIDTH": cell.width,
                "WORDS": cell.depth,
                "PRIORITY": 0,
            },
            src_loc=cell.src_loc,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector: a netlist is millions of objects that live until it is written."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _forget_zeroes(netlist: Any) -> None:
    """Take initial contents of nothing but zeroes from memories that are written to.

    Amaranth writes them bit by bit, half of the time that emission takes, and Yosys one line a word. Synthesis maps the
    memories to block RAM all the same; nothing may rely on the zeroes, which the simulator proves by filling in noise.
    """
    written = {cell.memory for cell in netlist.cells if isinstance(cell, _nir.SyncWritePort)}
    for index, cell in enumerate(netlist.cells):
        if index in written and not any(cell.init):
            cell.init = ()


def port_names(component: wiring.Component) -> tuple[str, ...]:
    """Return the names of the ports that `emit_verilog` writes for a component's signature, in order."""
    return tuple(port for port, _ in _ports(component))


def _ports(component: wiring.Component) -> Iterator[tuple[str, tuple[Value, PortDirection]]]:
    members = list(component.signature.flatten(component))
    siblings: dict[_Path, set[str | int]] = {}
    for path, _, _ in members:
        for depth in range(len(path)):
            siblings.setdefault(path[:depth], set()).add(path[depth])
    for path, member, value in members:
        signal = value.as_value() if isinstance(value, ValueCastable) else value
        if isinstance(signal, Value) and not isinstance(signal, Const):
            direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
            yield _port_name(path, siblings), (signal, direction)


def _port_name(path: _Path, siblings: Mapping[_Path, set[str | int]]) -> str:
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
