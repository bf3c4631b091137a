"""A `.keras` file: a zip archive of the architecture (`config.json`) and the parameters (`model.weights.h5`)."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import ModelError

__all__ = ["Archive", "read_archive", "variable_groups"]

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


@dataclass(frozen=True)
class Archive:
    """The configuration of the model, and the variables of each layer by the path of its group in the weights file."""

    config: Mapping[str, Any]
    variables: Mapping[str, tuple[np.ndarray, ...]]


def read_archive(path: Path) -> Archive:
    """Read a file; raises `ModelError` that names it and says what is wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {_CONFIG, _WEIGHTS} - set(archive.namelist())
            if missing:
                raise ModelError(f"{path}: is not a Keras model: it has no {' and no '.join(sorted(missing))}")
            config = json.loads(archive.read(_CONFIG))
            weights = archive.read(_WEIGHTS)
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: is not a .keras file (a zip archive): {error}") from error
    except ValueError as error:
        raise ModelError(f"{path}: {_CONFIG} cannot be read: {error}") from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= config.keys():
        raise ModelError(f"{path}: {_CONFIG} must describe a model (class_name, config)")
    try:
        return Archive(config, _read_variables(weights))
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: {_WEIGHTS} cannot be read: {error}") from error


def variable_groups(class_names: list[str]) -> list[str]:
    """The group of each layer of one model: its class in snake case, numbered from the second of a class on."""
    counts: dict[str, int] = {}
    groups = []
    for class_name in class_names:
        name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
        count = counts.get(name, 0)
        counts[name] = count + 1
        groups.append(f"{name}_{count}" if count else name)
    return groups


def _read_variables(weights: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """The arrays of every group `<path>/vars`, in order, by `<path>`."""
    import h5py  # only Keras files need it, and it takes a while

    found: dict[str, tuple[np.ndarray, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and name.split("/")[-1] == "vars":
            arrays = [np.asarray(item[key]) for key in sorted(item, key=int)]
            found[name.removesuffix("vars").strip("/")] = tuple(arrays)

    with h5py.File(io.BytesIO(weights), "r") as file:
        file.visititems(visit)
    return found
