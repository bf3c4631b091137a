"""Calibration samples: checked against the model's inputs, cut into batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gatewright.errors import ConfigError, DataError
from gatewright.quantize.network import Network

__all__ = ["HeldOut", "Samples", "batches", "check_samples", "spread"]

Samples = np.ndarray | Mapping[str, np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Samples that the network was not trained on, and that calibration does not see; with labels, their classes."""

    samples: Samples
    labels: np.ndarray | None = None


def check_samples(network: Network, samples: Samples | None) -> dict[str, np.ndarray]:
    """Return one float32 array per input, the first axis counting samples; say what is wrong otherwise."""
    wanted = {name: _describe(network, name) for name in network.inputs}
    if samples is None:
        listed = ", ".join(f"{name!r} {shape}" for name, shape in wanted.items())
        raise ConfigError(
            f"a float model needs calibration samples, typical inputs as float32 ({listed}): "
            "pass --calibrate X.npy on the command line, or samples= from Python"
        )
    if not isinstance(samples, Mapping):
        if len(wanted) != 1:
            raise DataError(f"calibration samples must be a mapping from input to array for {', '.join(wanted)}")
        samples = {next(iter(wanted)): samples}
    if set(samples) != set(wanted):
        raise DataError(f"calibration samples must be for {', '.join(wanted)}, not {', '.join(samples) or 'nothing'}")
    checked = {name: _check(network, name, np.asarray(samples[name])) for name in wanted}
    counts = {name: len(array) for name, array in checked.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"calibration samples must be equally many for every input, not {counts}")
    return checked


def batches(network: Network, samples: Mapping[str, np.ndarray], most: int) -> Iterator[dict[str, np.ndarray]]:
    """Cut samples into feeds of the model's own batch size, or of at most `most` where the model leaves it open.

    Where the samples do not fill the last batch of a fixed size, it is filled up with the first samples again.
    """
    shapes = [network.shape(name) for name in samples]
    fixed = next((shape[0] for shape in shapes if shape and shape[0] is not None), None)
    size = fixed or most
    count = len(next(iter(samples.values())))
    for start in range(0, count, size):
        stop = start + size if fixed else min(start + size, count)
        picked = np.arange(start, stop) % count
        yield {name: array[picked] for name, array in samples.items()}


def spread(count: int, picked: int) -> np.ndarray:
    """Which of `count` samples are `picked` at equal distances, as booleans: samples may come in order of class."""
    steps = np.arange(count + 1) * picked // count
    return np.diff(steps) > 0


def _describe(network: Network, name: str) -> str:
    shape = network.shape(name)
    if not shape:
        return "of any shape"
    return f"[samples, {', '.join('?' if size is None else str(size) for size in shape[1:])}]"


def _check(network: Network, name: str, array: np.ndarray) -> np.ndarray:
    what = f"calibration samples for {name!r}"
    if array.dtype.kind != "f":
        raise DataError(f"{what} must be floating point, as the network was trained, not {array.dtype}")
    shape = network.shape(name)
    if shape:
        fits = array.ndim == len(shape)
        fits = fits and all(size in (None, got) for size, got in zip(shape[1:], array.shape[1:], strict=True))
        if not fits:
            raise DataError(f"{what} must be {_describe(network, name)}, not {list(array.shape)}")
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{what} must hold at least one sample")
    array = np.ascontiguousarray(array, dtype=np.float32)
    finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if not finite.all():
        raise DataError(f"{what} must be finite; sample {int(np.argmin(finite))} holds NaN or infinity")
    return array
