"""Where built simulation models are kept from one run to the next."""

import os
import shutil
import time
from pathlib import Path

__all__ = ["cache_folder", "trim"]

_DAY = 86_400.0


def cache_folder() -> Path:
    """Return the folder of built models: `GATEWRIGHT_CACHE`, or `gatewright` in the user's cache folder."""
    if own := os.environ.get("GATEWRIGHT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatewright"


def trim(folder: Path, keep: int = 200, pattern: str = "*") -> None:
    """Remove all but the `keep` entries of that pattern used last, sparing what was used within a day."""
    oldest = time.time() - _DAY
    entries = sorted(folder.glob(pattern), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        if entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)
