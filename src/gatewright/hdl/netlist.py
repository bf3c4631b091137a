"""From a component to RTLIL, and the one module that uses what Amaranth does not publish.

`amaranth.back.rtlil.convert` gives the same text, but writes the contents of memories bit by bit, zeroes included: half
of the time that emission takes, half a minute for a large ROM, and Yosys would print a line a word. So this module
takes the steps of `convert` one by one, and needs for it, of Amaranth 0.5:

- `hdl._ir.build_netlist` with `PortDirection`, and the cells of `hdl._nir`: to take zeroes out of memories;
- `back.rtlil.ModuleEmitter`, `EmptyModuleChecker` and `Design` with `hdl._ast.SignalDict`: to write ROMs in one go.

A test holds its text against that of `convert`.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Const, Fragment, Value, ValueCastable, _nir
from amaranth.hdl._ast import SignalDict
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.lib import wiring

__all__ = ["Path", "Ports", "component_ports", "to_rtlil"]

Path = tuple[str | int, ...]
Ports = Mapping[str, tuple[Value, PortDirection]]


def component_ports(component: wiring.Component) -> Iterator[tuple[Path, tuple[Value, PortDirection]]]:
    """The signals of a component's signature by their paths, with their directions."""
    for path, member, value in component.signature.flatten(component):
        signal = value.as_value() if isinstance(value, ValueCastable) else value
        if isinstance(signal, Value) and not isinstance(signal, Const):
            yield path, (signal, PortDirection.Input if member.flow == wiring.In else PortDirection.Output)


def to_rtlil(component: wiring.Component, ports: Ports, name: str) -> str:
    """A component as RTLIL, a module an instance; memories that are written to and start as zeroes have no contents."""
    with _uncollected():
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
    """Amaranth's, but for the contents of memories, which it collects bit by bit."""

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
