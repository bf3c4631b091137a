"""Widths of single layers as a user writes them: `conv1=a8w4`, or a table in a TOML file."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatewright.errors import ConfigError, reason
from gatewright.quantize.options import parse_bits

__all__ = ["read_widths"]

_TABLE = "layers"


def read_widths(items: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Widths (activation read, weights) by layer; each item is `LAYER=a8w4` or a TOML file with a table `layers`.

    In the file, `conv1 = "a8w4"` and `conv1 = [8, 4]` mean the same. Later items win.
    """
    found: dict[str, tuple[int, int]] = {}
    for item in items:
        layer, equals, bits = item.rpartition("=")
        found.update({layer.strip(): parse_bits(bits)} if equals else _read_table(Path(item)))
    return found


def _read_table(path: Path) -> dict[str, tuple[int, int]]:
    try:
        table = tomllib.loads(path.read_text()).get(_TABLE)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} must be LAYER=a8w4 or a TOML file: {reason(error)}") from None
    if not isinstance(table, dict) or not table:
        raise ConfigError(f'{path} must have a table [{_TABLE}] such as: conv1 = "a8w4"')
    return {layer: _widths(path, layer, value) for layer, value in table.items()}


def _widths(path: Path, layer: str, value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return parse_bits(value)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(bits, int) for bits in value):
        return parse_bits(f"a{value[0]}w{value[1]}")
    raise ConfigError(f'{path}: {layer} must be given widths such as "a8w4" or [8, 4], not {value!r}')
