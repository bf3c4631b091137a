"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["table", "verdict"]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; headings that end in `>` are of columns aligned to the right."""
    names = [heading.removesuffix(">") for heading in headings]
    rules = ["---:" if heading.endswith(">") else "---" for heading in headings]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (names, rules, *rows))


def verdict(kept: bool) -> str:
    return "yes" if kept else "**no**"
