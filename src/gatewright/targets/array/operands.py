"""Weights and parameters of the array on their way to their scratchpads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import Memory
from gatewright.targets.array.bands import Band, band_bias, has_own_bias
from gatewright.targets.array.config import ArrayConfig, settable_bytes
from gatewright.targets.array.isa import parameter_dtype
from gatewright.targets.array.job import Job
from gatewright.targets.array.memory_map import MemoryMap, Place
from gatewright.targets.array.tiling import TapBlock
from gatewright.targets.array.writer import Ring, Writer

__all__ = ["OperandLoader", "parameter_table"]


class OperandLoader(Writer):
    """Loads weights, in blocks or all that stay, and parameters, unless they are there from before."""

    def __init__(self, config: ArrayConfig, memory: MemoryMap, sizes: Callable[[str], int]) -> None:
        super().__init__(config, memory, sizes)
        self.weights = Ring(config.weight_bytes, max(config.bus_bytes, config.weight_word_bytes), wrap=True)
        self._fetched = 0  # bytes of the weights that were placed last that have been loaded

    def place_weights(self, key: object, job: Job) -> int:
        """Room for all weights of a job, which `fetch_weights` then loads; its address."""
        self._fetched = 0
        return self.weights.put(key, job.weights.nbytes)

    def fetch_weights(self, key: object, job: Job, start: int, stop: int) -> None:
        """Load a job's weights, which begin at `start`, up to row `stop`, as far as that has not been done."""
        offset = self.pack(("weights", key), job.weights.tobytes())
        line = self.config.bus_bytes
        stop = -(-stop * self.config.weight_word_bytes // line) * line
        while self._fetched < stop:
            at = (start + self._fetched) % self.config.weight_bytes
            length = min(stop - self._fetched, self.config.weight_bytes - at)
            self.load(Memory.WEIGHT, Place(self.constants_region, offset + self._fetched), at, length)
            self._fetched += length

    def load_weights(self, key: object, job: Job, block: tuple[int, int], tap: TapBlock) -> int:
        """Address of the weights of some filter tiles and taps, loaded unless they are there."""
        full = ("weights", key, block, tap.start, tap.depth)
        found = self.weights.find(full)
        if found is not None:
            return found
        data = job.weights[block[0] : block[1], tap.start : tap.start + tap.depth].tobytes()
        if len(data) > self.config.weight_bytes:
            least, have = settable_bytes(len(data)), self.config.weight_bytes
            raise ConfigError(f"weight_bytes must be at least {least} for layer {job.name!r}, not {have}")
        start = self.weights.put(full, len(data))
        self.load_around(self.pack(full, data), start, len(data), self.config.weight_bytes)
        return start

    def parameter_size(self) -> int:
        """Bytes of the parameters of a tile of filters."""
        return self.config.lane_groups * self.config.parameter_word_bytes

    def load_parameters(self, key: object, job: Job, block: tuple[int, int], band: Band | None = None) -> int:
        """Address of a block's parameters; those of the whole job are loaded at once when half the room holds them.

        A band of the job may have a bias of its own.
        """
        own = band if band is not None and has_own_bias(job, band) else None
        word = self.parameter_size()
        last = len(job.weights)
        limit = self.config.parameter_bytes // 2
        if last * word <= limit:
            part = (0, last)
        elif (block[1] - block[0]) * word <= limit:
            part = block
        else:
            least, have = settable_bytes(2 * (block[1] - block[0]) * word), self.config.parameter_bytes
            raise ConfigError(f"parameter_bytes must be at least {least} for layer {job.name!r}, not {have}")
        full = ("parameters", key, part, own and (own.first, own.stop))
        start = self.parameters.find(full)
        if start is None:
            shape = replace(job, bias=band_bias(job, own, self.config.columns)) if own else job
            data = parameter_table(shape, self.config, last, self.config.columns)[part[0] : part[1]].tobytes()
            start = self.parameters.put(full, len(data))
            self.load_constants(Memory.PARAMETER, full, data, start)
        return start + (block[0] - part[0]) * word


def parameter_table(job: Job, config: ArrayConfig, rows: int, columns: int) -> np.ndarray:
    """Parameters of a job's filters, `columns` of them a row, as `isa.parameter_dtype` [rows, all lanes]."""
    mul, shift = job.mul.astype(np.int64), job.shift.astype(np.int64)
    if config.dyadic:
        shift = shift - np.array([int(value).bit_length() - 1 for value in mul])
        mul = np.zeros_like(mul)
    table = np.zeros((rows, config.lane_groups * config.post_lanes), parameter_dtype(config.bias_width))
    words = np.zeros(rows * columns, table.dtype)
    words["bias"][: len(mul)] = job.bias.astype(table.dtype["bias"])  # wraps, as sums do
    words["mul_shift"][: len(mul)] = mul | (shift & 0xFF) << 24
    table[:, :columns] = words.reshape(rows, columns)
    return table
