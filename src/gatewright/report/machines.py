"""The machines for people: parameters, defaults and what each supports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from gatewright.report.support import format_default
from gatewright.targets import Target

__all__ = ["render_targets"]


def render_targets(machines: Sequence[Target[Any]]) -> RenderableType:
    """Two tables a machine."""
    return Group(*(part for machine in machines for part in (_parameters(machine), _support(machine))))


def _parameters(machine: Target[Any]) -> Table:
    table = Table(title=f"{machine.name}: {machine.summary}", title_justify="left")
    table.add_column("parameter")
    table.add_column("default", justify="right")
    table.add_column("meaning", overflow="fold")
    for parameter in machine.parameters():
        table.add_row(parameter.name, format_default(parameter), parameter.description)
    return table


def _support(machine: Target[Any]) -> Table:
    table = Table(title="runs", title_justify="left")
    for heading in ("operator", "as", "when"):
        table.add_column(heading, overflow="fold")
    for rule in machine.supports.rules:
        table.add_row(rule.operator, rule.runs, "; ".join(rule.conditions) or "always")
    return table
