"""From a component to RTLIL, and the one module that uses what Amaranth does not publish.

`amaranth.back.rtlil.convert` gives the same text, but writes the contents of memories bit by bit, zeroes included: half
of the time that emission takes, half a minute for a large ROM, and Yosys would print a line a word. So this module
takes the steps of `convert` one by one, and needs for it, of Amaranth 0.5:

- `hdl._ir.build_netlist` with `PortDirection`, and the cells of `hdl._nir`: to take zeroes out of memories;
- `back.rtlil.ModuleEmitter`, `EmptyModuleChecker` and `Design` with `hdl._ast.SignalDict`: to write ROMs in one go;
- the flag `_MustUse__used` of elaboratables that are never elaborated on purpose.

A test holds its text against that of `convert`.
"""

import gc
import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Const, Fragment, Instance, ResetSignal, Value, ValueCastable, _nir
from amaranth.hdl._ast import SignalDict
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.lib import wiring

__all__ = ["Path", "Ports", "component_ports", "one_of_many", "to_rtlil"]

Path = tuple[str | int, ...]
Ports = Mapping[str, tuple[Value, PortDirection]]


@dataclass
class _Kinds:
    """Components that are many, met while the design `top` is written: the first of each kind by its module."""

    top: str
    modules: dict[Hashable, str] = field(default_factory=dict)
    waiting: list[tuple[str, wiring.Component]] = field(default_factory=list)


_RESET_IN_USE = re.compile(r"^(?! +wire .*\\rst$| +connect \\rst \\rst( \[0\])?$).*\\rst\b", re.MULTILINE)
_KINDS: ContextVar[_Kinds | None] = ContextVar("_KINDS", default=None)


def component_ports(component: wiring.Component) -> Iterator[tuple[Path, tuple[Value, PortDirection]]]:
    """The signals of a component's signature by their paths, with their directions."""
    for path, member, value in component.signature.flatten(component):
        signal = value.as_value() if isinstance(value, ValueCastable) else value
        if isinstance(signal, Value) and not isinstance(signal, Const):
            yield path, (signal, PortDirection.Input if member.flow == wiring.In else PortDirection.Output)


def one_of_many(component: wiring.Component, name: str, kind: Hashable) -> wiring.Component | Instance:
    """What to add as a submodule for one of many components that are equal where `kind` is; `name` is what they are.

    In emission only the first one of a kind is elaborated: an array has hundreds, and Amaranth would go through all
    that is in each of them. They have no registers that a reset changes, or `to_rtlil` raises `ValueError`.
    """
    kinds = _KINDS.get()
    if kinds is None:
        return component
    if (name, kind) not in kinds.modules:
        kinds.modules[name, kind] = f"{kinds.top}.{name}_{len(kinds.modules)}"
        kinds.waiting.append((kinds.modules[name, kind], component))
    component._MustUse__used = True  # or Amaranth warns of all but the first
    ports = {
        f"{'i' if direction is PortDirection.Input else 'o'}_{port}": signal
        for port, (signal, direction) in _flat_ports(component).items()
    }
    return Instance(kinds.modules[name, kind], i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)


def _flat_ports(component: wiring.Component) -> Ports:
    return {"_".join(map(str, path)): port for path, port in component_ports(component)}


def to_rtlil(component: wiring.Component, ports: Ports, name: str) -> str:
    """A component as RTLIL, a module an instance, but one for `one_of_many`, behind the others.

    Memories that are written to and start as zeroes have no contents.
    """
    kinds = _Kinds(name)
    token = _KINDS.set(kinds)
    try:
        texts = [_convert(component, ports, name)]
        while kinds.waiting:
            module, first = kinds.waiting.pop(0)
            texts.append(_convert(first, _flat_ports(first), module))
            if _RESET_IN_USE.search(texts[-1]):
                raise ValueError(f"{module} must have no register with a reset to be one of many")
    finally:
        _KINDS.reset(token)
    return "\n".join(texts)


def _convert(component: wiring.Component, ports: Ports, name: str) -> str:
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
