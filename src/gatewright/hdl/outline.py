"""What an emitted Verilog text consists of: ports of its modules, memories of the design. Read, so that it is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gatewright.errors import ConfigError

__all__ = ["MemoryOutline", "ModuleOutline", "Outline", "PortOutline"]

_NAME = r"(?:\\\S+ |[A-Za-z_][\w$]*)"
_RANGE = r"(?:\[(\d+):(\d+)\] )?"
_MODULE = re.compile(rf"^module ({_NAME})\s*(?:\((.*?)\))?;(.*?)^endmodule", re.MULTILINE | re.DOTALL)
_PORT = re.compile(rf"^  (input|output|inout) (?:signed )?{_RANGE}({_NAME});", re.MULTILINE)
_MEMORY = re.compile(rf"^  reg (?:signed )?{_RANGE}({_NAME}) ?\[(\d+):(\d+)\];", re.MULTILINE)
_INSTANCE = re.compile(rf"^  ({_NAME}) ({_NAME}) ?\($", re.MULTILINE)


@dataclass(frozen=True)
class PortOutline:
    """A port of a module."""

    name: str
    direction: Literal["input", "output", "inout"]
    width: int


@dataclass(frozen=True)
class MemoryOutline:
    """A memory of `depth` words; `path` are the names of the instances around it and its own, with dots between."""

    path: str
    width: int
    depth: int

    @property
    def bits(self) -> int:
        return self.width * self.depth


@dataclass(frozen=True)
class ModuleOutline:
    """One module: ports in order, memories of its own, and (module, name) of the instances in it."""

    name: str
    ports: tuple[PortOutline, ...]
    memories: tuple[MemoryOutline, ...]
    instances: tuple[tuple[str, str], ...]


class Outline:
    """The modules of a text that `emit_verilog` wrote.

    Raises
    ------
    ConfigError
        If there is no module of the name asked for.
    """

    def __init__(self, verilog: str) -> None:
        self._modules = {module.name: module for module in map(_module, _MODULE.finditer(verilog))}

    def module(self, name: str) -> ModuleOutline:
        if name not in self._modules:
            raise ConfigError(f"the Verilog must have a module {name!r}; it has {', '.join(self._modules) or 'none'}")
        return self._modules[name]

    def memories(self, top: str) -> tuple[MemoryOutline, ...]:
        """Every memory below (and in) a module, each as often as it is built."""
        return tuple(self._below(self.module(top), ""))

    def _below(self, module: ModuleOutline, path: str) -> Iterator[MemoryOutline]:
        for memory in module.memories:
            yield MemoryOutline(path + memory.path, memory.width, memory.depth)
        for kind, name in module.instances:
            if kind in self._modules:
                yield from self._below(self._modules[kind], f"{path}{name}.")


def _module(found: re.Match[str]) -> ModuleOutline:
    name, header, body = found.groups()
    ports = {}
    for direction, high, low, port in _PORT.findall(body):
        ports[_plain(port)] = PortOutline(_plain(port), direction, _count(high, low))
    order = [_plain(port) for port in re.findall(_NAME, header or "")]
    memories = [
        MemoryOutline(_plain(memory), _count(high, low), _count(last, first))
        for high, low, memory, last, first in _MEMORY.findall(body)
    ]
    instances = [(_plain(kind), _plain(instance)) for kind, instance in _INSTANCE.findall(body) if kind != "module"]
    return ModuleOutline(_plain(name), tuple(ports[port] for port in order), tuple(memories), tuple(instances))


def _plain(name: str) -> str:
    return name.removeprefix("\\").rstrip()


def _count(one: str, other: str) -> int:
    return abs(int(one) - int(other)) + 1 if one else 1
