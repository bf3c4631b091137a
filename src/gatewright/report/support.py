"""What a machine supports, as a table for the documentation; generated from the rules that `check` applies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatewright.targets import Target

__all__ = ["parameter_table", "support_table"]


def support_table(target: Target[Any]) -> str:
    """One row an operator in Markdown: its name, how it runs, under which conditions."""
    return "\n".join(_rows(target)) + "\n"


def parameter_table(target: Target[Any]) -> str:
    """One row a parameter in Markdown: its name and default."""
    rows = [f"| `{parameter.name}` | {parameter.default} |" for parameter in target.parameters()]
    return "\n".join(["| parameter | default |", "|---|---|", *rows]) + "\n"


def _rows(target: Target[Any]) -> Iterator[str]:
    yield "| operator | runs as | when |"
    yield "|---|---|---|"
    for rule in target.supports.rules:
        yield f"| `{rule.operator}` | {rule.runs} | {'; '.join(rule.conditions) or 'always'} |"
