"""Sets of model inputs: from files, from a seed, and cut into the batches that a graph is made for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatewright.errors import ConfigError, DataError, reason
from gatewright.ir import Port
from gatewright.program import Arrays, by_name

__all__ = ["InputSet", "check_seed", "join_outputs", "random_inputs", "read_inputs", "split_inputs"]

InputSet = dict[str, np.ndarray]
"""One batch of model inputs (or outputs), by the model's names."""


def read_inputs(items: Sequence[str]) -> list[np.ndarray] | dict[str, np.ndarray]:
    """Arrays from files given as `file` or `name=file`; raises `DataError` for what is not a .npy file."""
    named = {}
    for item in items:
        name, _, path = item.rpartition("=")
        if name in named:
            raise DataError(f"inputs must have different names, not {name!r} twice" if name else _UNNAMED)
        named[name] = _read(path)
    if "" in named and len(named) > 1:
        raise DataError(_UNNAMED)
    return list(named.values()) if "" in named else named


_BEGINNINGS = (b"\x93N", b"PK")  # of arrays, and of archives of them
_UNNAMED = "several inputs must each be given as name=file"


def _read(path: str) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            if file.read(2) not in _BEGINNINGS:
                raise DataError(f"{path} must be a .npy file, as numpy.save writes it")
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"Cannot read the array {path}: {reason(error)}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path} must hold one array (.npy), not an archive of {', '.join(array.files)}")
    return array


def split_inputs(ports: Sequence[Port], arrays: Arrays) -> list[InputSet]:
    """Cut arrays along their first axis into batches of the ports' shapes.

    An array may hold any number of batches, or any number of samples without the batch axis where that is 1.
    """
    named = by_name([port.name for port in ports], arrays)
    cut = {port.name: _cut(port, np.asarray(named[port.name])) for port in ports}
    counts = {name: len(batches) for name, batches in cut.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"inputs must hold equally many batches, not {counts}")
    return [{name: batches[index] for name, batches in cut.items()} for index in range(next(iter(counts.values())))]


def _cut(port: Port, array: np.ndarray) -> list[np.ndarray]:
    shape = port.concrete_shape
    if shape and array.shape == shape[1:] and shape[0] == 1:
        return [array[None]]
    batched = shape and array.ndim == len(shape) and array.shape[1:] == shape[1:]
    if not batched or not len(array) or len(array) % shape[0]:
        return [array]  # which the port will refuse unless it fits, saying what is right
    return list(array.reshape(-1, *shape))


def check_seed(seed: int) -> None:
    """Raise `ConfigError` unless values can be drawn from this seed."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed must be a whole number of at least 0, not {seed!r}")


def random_inputs(ports: Sequence[Port], seed: int) -> InputSet:
    """One batch of uniformly random inputs, over the whole range of each input, in the model's own types."""
    generator = np.random.default_rng(seed)
    inputs = {}
    for port in ports:
        integers = generator.integers(*port.legal, port.graph_type.shape, np.int64, endpoint=True)
        inputs[port.name] = port.decode(integers)
    return inputs


def join_outputs(sets: Sequence[InputSet]) -> InputSet:
    """Batches of outputs one after another along the first axis."""
    return {name: np.concatenate([np.atleast_1d(one[name]) for one in sets]) for name in sets[0]}
