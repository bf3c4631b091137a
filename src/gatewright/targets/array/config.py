"""Configuration of the array datapath: everything its Verilog depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from gatewright.errors import ConfigError

__all__ = ["LANES_OF_A_PARAMETER_WORD", "ArrayConfig", "hash_of", "settable_bytes"]

LANES_OF_A_PARAMETER_WORD = 4
"""Most lanes of the vector unit for each lane of the post unit, whose parameters it reads."""


def _power_of_two_at_least(value: int) -> int:
    return 1 << (value - 1).bit_length()


_LEAST_BYTES = 1024


def settable_bytes(least: int) -> int:
    """The least size of a scratchpad that a configuration can have and that holds so many bytes."""
    return max(_LEAST_BYTES, _power_of_two_at_least(least))


def hash_of(config: Any) -> int:
    """32-bit hash of all parameters, readable from the machine and stored in each program."""
    text = json.dumps(asdict(config), sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


@dataclass(frozen=True)
class ArrayConfig:
    """Parameters of the datapath; widths in bits, memories in bytes.

    Raises
    ------
    ConfigError
        If a parameter is out of range; the message names it and says what would be right.
    """

    rows: int = 8
    """Pixels computed at once."""
    columns: int = 8
    """Filters computed at once."""
    activation_width: int = 8
    """Bits of an activation in the array, at most 16; with more than 8, each layer reads elements of 1 or 2 bytes."""
    weight_width: int = 8
    """Bits of a weight in the array, at most 16; with more than 8, each takes 2 bytes."""
    accumulator_width: int = 32
    """Bits of a sum, at most 64; what does not fit is refused at compile time."""
    multiplier_width: int = 17
    """Width of the unsigned requantisation multiplier; 0 builds a dyadic machine, which only shifts."""
    post_lanes: int = 4
    """Channels the post unit takes in one cycle."""
    activation_bytes: int = 64 * 1024
    """Scratchpad that the array reads activations from."""
    weight_bytes: int = 64 * 1024
    """Scratchpad of weights."""
    output_bytes: int = 64 * 1024
    """Scratchpad of results on their way to memory, and of residual operands."""
    parameter_bytes: int = 8 * 1024
    """Scratchpad of biases, multipliers and shifts: 8 bytes a filter, 16 with sums of more than 32 bits."""
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
    result_width: int = 8
    """Bits of the widest result: 8, 16 or 32; each layer writes elements of any size up to that."""
    feed_words: int = 0
    """Elements of a tap word, at least `rows`; 0: the least power of two that is at least `rows`."""
    vector_lanes: int = 0
    """Elements the vector unit takes in one cycle, a power of two up to 4 x post_lanes; 0 builds none."""
    vector_sum_width: int = 48
    """Bits of a sum in the vector unit."""
    vector_operand_bytes: int = 2
    """Bytes of the largest element that the vector unit reads: 1 or 2."""
    vector_result_bytes: int = 4
    """Bytes of the largest element that the vector unit writes: 1, 2 or 4."""
    vector_operand: bool = True
    """Build the second operand of the vector unit: products, weights, sums of two tensors."""
    vector_product_shift: bool = True
    """Build the rounding shift of the vector unit's products."""
    vector_affine: bool = True
    """Build the vector unit's sum of two operands times a factor each."""
    vector_shift: bool = True
    """Build the vector unit's shift of one operand by the other."""
    vector_maximum: bool = True
    """Build the vector unit's maxima and their places."""
    vector_table: bool = True
    """Build the 256-entry table of the vector unit."""

    def __post_init__(self) -> None:
        self._check_range("rows", 1, 64)
        self._check_range("columns", 1, 64)
        self._check_range("activation_width", 2, 16)
        self._check_range("weight_width", 2, 16)
        self._check_range("accumulator_width", 16, 64)
        if self.result_width not in (8, 16, 32):
            raise ConfigError(f"result_width must be 8, 16 or 32, not {self.result_width!r}")
        if self.multiplier_width != 0:
            self._check_range("multiplier_width", 2, 24)
        self._check_range("queue_depth", 2, 64)
        if self.feed_words != 0:
            self._check_range("feed_words", self.rows, 64)
        if self.bus_bits not in (32, 64, 128, 256):
            raise ConfigError(f"bus_bits must be 32, 64, 128 or 256, not {self.bus_bits}")
        lanes = self.post_lanes
        if lanes not in (1, 2, 4, 8, 16, 32, 64) or lanes > _power_of_two_at_least(self.columns):
            raise ConfigError(
                f"post_lanes must be a power of two from 1 to {_power_of_two_at_least(self.columns)} "
                f"for {self.columns} columns, not {lanes}"
            )
        self._check_vector_unit()
        for name in ("activation_bytes", "output_bytes", "weight_bytes", "parameter_bytes"):
            self._check_memory(name)

    def _check_range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"{name} must be a whole number from {low} to {high}, not {value!r}")

    def _check_vector_unit(self) -> None:
        lanes = (0, 1, 2, 4, 8, 16, 32, 64)
        for name, allowed in (
            ("vector_lanes", lanes),
            ("vector_operand_bytes", (1, 2)),
            ("vector_result_bytes", (1, 2, 4)),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or value not in allowed:
                raise ConfigError(f"{name} must be {', '.join(map(str, allowed[:-1]))} or {allowed[-1]}, not {value!r}")
        most = LANES_OF_A_PARAMETER_WORD * self.post_lanes
        if self.vector_lanes > most:
            raise ConfigError(
                f"vector_lanes must be at most {most} with {self.post_lanes} post_lanes, "
                f"whose parameters it reads, not {self.vector_lanes}"
            )
        self._check_range("vector_sum_width", 16, 64)
        for name in ("vector_product_shift", "vector_shift"):
            if getattr(self, name) and not self.vector_operand:
                raise ConfigError(f"{name} needs vector_operand: set {name} to false, or vector_operand to true")

    def _check_memory(self, name: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or value < _LEAST_BYTES or value > 1 << 20 or value & (value - 1):
            raise ConfigError(f"{name} must be a power of two from {_LEAST_BYTES} to {1 << 20}, not {value!r}")

    # Derived figures, each used by hardware, model and compiler alike.

    @property
    def dyadic(self) -> bool:
        return self.multiplier_width == 0

    @property
    def bus_bytes(self) -> int:
        return self.bus_bits // 8

    @property
    def word_length(self) -> int:
        """Elements of a tap word: a row takes them from one read of the scratchpad and uses them in as many cycles."""
        return self.feed_words or _power_of_two_at_least(self.rows)

    @property
    def activation_element_bytes(self) -> int:
        """Bytes of the largest activation that the array reads: 1 or 2."""
        return 1 if self.activation_width <= 8 else 2

    @property
    def weight_element_bytes(self) -> int:
        """Bytes of a weight: 1 or 2."""
        return 1 if self.weight_width <= 8 else 2

    @property
    def result_element_bytes(self) -> int:
        """Bytes of the largest result that the post unit writes: 1, 2 or 4."""
        return self.result_width // 8

    @property
    def residual_width(self) -> int:
        """Bits of the residual adder's operands and results: 8 or 16."""
        return min(self.result_width, 16)

    @property
    def weight_word_bytes(self) -> int:
        """Bytes of one row of weights: one weight a column, rounded up to a power of two."""
        return _power_of_two_at_least(self.columns * self.weight_element_bytes)

    @property
    def lane_groups(self) -> int:
        """Cycles the post unit needs for one row of results."""
        return -(-self.columns // self.post_lanes)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of one bank word of the byte-addressed scratchpads (activation, output)."""
        word = _power_of_two_at_least(self.word_length) * self.activation_element_bytes
        results = self.post_lanes * self.result_element_bytes
        return max(word, self.bus_bytes, results, self.vector_window_bytes)

    @property
    def scratch_line(self) -> int:
        """Alignment of values in the byte-addressed scratchpads: no write goes beyond a value's last line."""
        return max(64, self.vector_window_bytes)

    @property
    def vector_window_bytes(self) -> int:
        """Bytes that the vector unit reads or writes at once, at most; 0 without it."""
        return self.vector_lanes * max(self.vector_operand_bytes, self.vector_result_bytes)

    @property
    def vector_multiplier_width(self) -> int:
        """Bits of the vector unit's requantisation multiplier, unsigned; it has one on a dyadic machine, too."""
        return self.multiplier_width or 16

    @property
    def bias_width(self) -> int:
        """Bits of a bias: 32, or 64 where sums have more than 32."""
        return 32 if self.accumulator_width <= 32 else 64

    @property
    def parameter_entry_bytes(self) -> int:
        """Bytes of the parameters of one filter: 8, or 16 with a wide bias; see `isa.parameter_layout`."""
        return 8 if self.bias_width == 32 else 16

    @property
    def parameter_word_bytes(self) -> int:
        """Bytes of one word of the parameter scratchpad: those of a filter for each lane."""
        return self.parameter_entry_bytes * self.post_lanes

    @property
    def multipliers(self) -> int:
        return self.rows * self.columns

    def digest(self) -> int:
        return hash_of(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))
