"""Configuration of the bitfusion machine: everything its Verilog depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import product

from gatewright.errors import ConfigError
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.bitfusion.packing import CHUNK_BYTES

__all__ = ["FusionConfig"]

_MOST_FEED_BYTES = 512


@dataclass(frozen=True)
class FusionConfig:
    """Parameters of the machine; widths in bits, memories in bytes.

    Raises
    ------
    ConfigError
        If a parameter is out of range; the message names it and says what would be right.
    """

    rows: int = 16
    """Fusion units of a column: pixels computed at once."""
    columns: int = 16
    """Fusion units of a row: filters computed at once."""
    composable: bool = True
    """Build fusion units; without, plain 8 x 8 multipliers, for networks that have 8 bits throughout."""
    accumulator_width: int = 32
    """Bits of a sum, at most 64; a network that needs more than 32 gets 48 or 64 where this is not given."""
    multiplier_width: int = 17
    """Width of the unsigned requantisation multiplier; 0 builds a dyadic machine, which only shifts."""
    result_width: int = 8
    """Bits of the widest result, 8, 16 or 32; a network gets what it needs where this is not given."""
    post_lanes: int = 8
    """Channels the post unit takes in one cycle."""
    ibuf_bytes: int = 128 * 1024
    """Input buffer, which the array reads activations from."""
    wbuf_bytes: int = 128 * 1024
    """Weight buffer, of all units together."""
    obuf_bytes: int = 64 * 1024
    """Output buffer: results on their way to memory, and residual operands."""
    parameter_bytes: int = 8 * 1024
    """Buffer of biases, multipliers and shifts: 8 bytes a filter, 16 with sums of more than 32 bits."""
    feed_bytes: int = 0
    """Bytes that a row takes from one read of the input buffer; 0: eight for each row, rounded up."""
    bus_bits: int = 64
    """Data width of the AXI4 master: 32, 64, 128 or 256."""
    residual: bool = True
    """Build the residual adder of the post unit."""
    pool: bool = True
    """Build the running maximum of the post unit."""
    lut: bool = True
    """Build the 256-entry table of the post unit."""
    queue_depth: int = 8
    """Instructions that wait in each of the three queues."""

    def __post_init__(self) -> None:
        try:
            self.array()
        except ConfigError as error:
            raise ConfigError(_in_our_words(str(error))) from None
        least = 4 * self._row_power
        if self.feed_bytes and (self.feed_bytes & (self.feed_bytes - 1) or not least <= self.feed_bytes <= 512):
            raise ConfigError(
                f"feed_bytes must be 0 or a power of two from {least} to {_MOST_FEED_BYTES} for {self.rows} rows, "
                f"not {self.feed_bytes}"
            )
        for name, window in (
            ("ibuf_bytes", self.feed_window),
            ("obuf_bytes", self.result_window),
            ("wbuf_bytes", self.weight_window),
        ):
            if getattr(self, name) < 4 * window:
                raise ConfigError(f"{name} must be at least {4 * window} for this array, not {getattr(self, name)}")

    @property
    def _row_power(self) -> int:
        return 1 << (self.rows - 1).bit_length()

    @property
    def feed_window(self) -> int:
        """Bytes of one read of the input buffer: the longest word of taps."""
        return max(self.feed_bytes or min(8 * self._row_power, _MOST_FEED_BYTES), self.result_window)

    @property
    def result_window(self) -> int:
        """Bytes of one access to the output buffer: a word of the bus, or the results of all lanes."""
        return max(self.bus_bytes, self.post_lanes * self.result_width // 8)

    @property
    def weight_window(self) -> int:
        """Bytes of one read of the weight buffer: a chunk for each column, rounded up to a power of two."""
        return max(1 << (CHUNK_BYTES * self.columns - 1).bit_length(), self.bus_bytes)

    @property
    def bus_bytes(self) -> int:
        return self.bus_bits // 8

    @property
    def multipliers(self) -> int:
        return self.rows * self.columns

    def wider(self, given: Collection[str]) -> Iterator[FusionConfig]:
        """Configurations with wider results and sums than this one, the narrowest first; what is `given` stays."""
        widths = {"accumulator_width": (48, 64), "result_width": (16, 32)}
        names = [name for name in widths if name not in given]
        for values in product(*((getattr(self, name), *widths[name]) for name in names)):
            yield replace(self, **dict(zip(names, values, strict=True)))

    def array(self) -> ArrayConfig:
        """The parts that this machine shares with the array machines, in their terms.

        Units take operands of 16 bits a byte at a time.
        """
        names = set(ArrayConfig.names()) & set(self.names())
        return ArrayConfig(
            activation_width=16 if self.composable else 8,
            weight_width=16 if self.composable else 8,
            activation_bytes=self.ibuf_bytes,
            weight_bytes=self.wbuf_bytes,
            output_bytes=self.obuf_bytes,
            **{name: getattr(self, name) for name in names},
        )

    def digest(self) -> int:
        """32-bit hash of all parameters, readable from the machine and stored in each program."""
        text = json.dumps({"machine": "bitfusion"} | asdict(self), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))


_NAMES = {"activation_bytes": "ibuf_bytes", "weight_bytes": "wbuf_bytes", "output_bytes": "obuf_bytes"}


def _in_our_words(message: str) -> str:
    """A message about the shared parts with this machine's names of the buffers."""
    for theirs, ours in _NAMES.items():
        message = message.replace(theirs, ours)
    return message
