"""The register table as the driver reads it: plain numbers, from a file or from the machine's own table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gatewright.errors import ProgramError, reason

__all__ = ["Registers"]


@dataclass(frozen=True)
class Registers:
    """Where registers and their fields lie, and what identifies the machine behind them.

    `offsets` are those of element 0, `strides` are of arrays; `fields` are (lowest bit, width) by "REGISTER.field".
    `errors` are the texts of STATUS.error_code, `queues` the names of the queues by number.
    """

    id: int
    version: int
    offsets: Mapping[str, int]
    strides: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    queues: tuple[str, ...] = ()

    def offset(self, name: str, index: int = 0) -> int:
        """Byte offset of a register, or of element `index` of an array."""
        return self.offsets[name] + index * self.strides.get(name, 0)

    def extract(self, name: str, word: int) -> int:
        """The field "REGISTER.field" of a register's word."""
        low, width = self.fields[name]
        return word >> low & (1 << width) - 1

    def mask(self, *names: str) -> int:
        """The bits of some fields of one register."""
        return sum((1 << self.fields[name][1]) - 1 << self.fields[name][0] for name in names)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Registers:
        """Inverse of `save`; raises `ProgramError` when the file is not one."""
        try:
            values = json.loads(path.read_text())
            values["fields"] = {name: (low, width) for name, (low, width) in values["fields"].items()}
            values["errors"] = {int(code): text for code, text in values["errors"].items()}
            return cls(**{**values, "queues": tuple(values["queues"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProgramError(f"Cannot read the register table {path}: {reason(error)}") from None
